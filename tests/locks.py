"""The locks of Python packages: requirements.lock, and requirements-test.lock, which has what only tests need.

`python -m tests.locks` makes them anew, with `uv` (which it finds on PATH) and the releases that there are today; with
`--keep`, with the releases that they have.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker

from testbed.cli.machine.checkout import ROOT

RUN, TEST = ROOT / "requirements.lock", ROOT / "requirements-test.lock"
_HEADS = {
    RUN: """\
# The tested releases, with the hashes of their files, for Python 3.10 to 3.13 on Linux, x86-64 and arm64; setup.py says
# what they stand for, pyproject.toml what is left out. `./dyncast` installs them. Made anew with: python -m tests.locks
""",
    TEST: """\
# What only tests need, beside requirements.lock; `./dyncast test` installs it. Made anew with: python -m tests.locks
""",
}
# The last that serve Python 3.11, too: one set from there on.
_ONE_SET = ("numpy<2.5", "networkx<3.7", "contourpy<1.4", "scipy<1.18")
# What every marker says besides, of the machines that pyproject.toml names: the only ones there are.
_OF_ALL = re.compile(
    r"( ;|) (and )?implementation_name == 'cpython' and platform_python_implementation == 'CPython'"
    r" and sys_platform == 'linux'"
)


class Locked(NamedTuple):
    """A release of a package in a lock: its hashes, and on which machines it is installed."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def is_for_this_python(self) -> bool:
        """Say whether this Python has it installed."""
        return not self.marker or Marker(self.marker).evaluate()

    @property
    def pin(self) -> str:
        """The release as a requirement."""
        return f"{self.name}=={self.version}{f' ; {self.marker}' if self.marker else ''}"


def read(lock: Path) -> list[Locked]:
    """Return what a lock has."""
    found = []
    for entry in _entries(lock.read_text(encoding="utf-8")):
        release, *hashes = re.split(r"\s+\\\n\s+--hash=", entry)
        pin, _, marker = release.partition(" ; ")
        name, _, version = pin.partition("==")
        found.append(Locked(name, version, marker, tuple(hashes)))
    return found


def _entries(text: str) -> list[str]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [entry.rstrip() for entry in re.split(r"\n(?=\S)", lines.strip())]


def _resolved(folder: Path, *arguments: str) -> list[str]:
    output = folder / "resolved"
    options = ("--universal", "--python-version", "3.10", "--generate-hashes", "--no-annotate", "--no-header")
    command = ["uv", "pip", "compile", "--quiet", *options, "--output-file", str(output), *arguments, "setup.py"]
    subprocess.run(command, cwd=ROOT, check=True)
    return _entries(_OF_ALL.sub("", output.read_text(encoding="utf-8")))


def main(arguments: list[str]) -> None:
    """Write both locks."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        constraints = folder / "constraints"
        kept = [item.pin for item in (*read(RUN), *read(TEST))] if "--keep" in arguments else _ONE_SET
        constraints.write_text("\n".join(kept), encoding="utf-8")
        every = _resolved(folder, "--constraint", str(constraints), "--extra", "test")
        constraints.write_text("\n".join(entry.partition(" \\")[0] for entry in every), encoding="utf-8")
        run = _resolved(folder, "--constraint", str(constraints))
    RUN.write_text(_HEADS[RUN] + "".join(f"{entry}\n" for entry in run), encoding="utf-8")
    TEST.write_text(_HEADS[TEST] + "".join(f"{entry}\n" for entry in every if entry not in run), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
