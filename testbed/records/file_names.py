"""From names to names of files: whatever a node is called, the files of its processes are in their folder. Pure."""

from __future__ import annotations

import hashlib
from pathlib import Path

_LONGEST_OCTETS = 150  # a name of a file may have 255, and table, life and suffix come on top
_KEPT_OCTETS = 100
_OTHER_MEANINGS = "/%~"  # of a path; of this; and of an earlier life of the same process


def file_name(name: str) -> str:
    """Return what stands for a name in the name of a file: that of no other name, and the name itself where it can."""
    quoted = "".join(map(_quoted, name))
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    octets = quoted.encode()
    if len(octets) <= _LONGEST_OCTETS:
        return quoted or "%"
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{octets[:_KEPT_OCTETS].decode(errors='ignore')}%{digest}"


def part_path(folder: Path, table: str, process: str, life: int | None = None) -> Path:
    """Return where a process writes its rows of a table; `life`: where those of an earlier one of its name are kept."""
    return folder / f"{table}.{file_name(process)}{'' if life is None else f'~{life}'}.part.csv"


def _quoted(sign: str) -> str:
    if sign.isprintable() and sign not in _OTHER_MEANINGS:
        return sign
    return "".join(f"%{octet:02X}" for octet in sign.encode(errors="surrogatepass"))
