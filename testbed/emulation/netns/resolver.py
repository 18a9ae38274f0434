"""Commands that look names up by a resolv.conf of their own, be the machine's a file, a dangling link or none.

Owns how `/etc/resolv.conf` comes about in a mount namespace of the command's own; the machine's stays as it is. Knows
nothing of what stands in it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from testbed.emulation.netns.namespaces import NamespaceError

_MACHINES = Path("/etc/resolv.conf")
# A file is covered by another. Where there is none, all of /etc is covered by itself with one more file in it; the
# folder of that is named by where one stands, for a path in the options of a mount may hold neither , nor :
_COVER = """
if [ -e /etc/resolv.conf ]; then mount --bind "$0/resolv.conf" /etc/resolv.conf
else (cd "$0" && mount -t overlay overlay -o lowerdir=.:/etc /etc)
fi && exec "$@"
"""


class ResolverError(NamespaceError):
    """Commands cannot have a resolv.conf of their own; one line that says why, and what to do."""


def write(folder: Path, lines: str) -> Path:
    """Write a resolv.conf to a folder of its own, made for it; return the folder. Raises ResolverError.

    What cannot be on this machine is found out here, by trying it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(lines, encoding="utf-8")
    tried = subprocess.run([*with_resolver(folder), "cat", str(_MACHINES)], capture_output=True, text=True, check=False)
    if tried.stdout != lines:
        why = " ".join(tried.stderr.split()) or "it is not what commands see then"
        raise ResolverError(0, f"commands cannot have a resolv.conf of their own: {why}; make {_MACHINES} a file")
    return folder


def with_resolver(folder: Path) -> list[str]:
    """Return what starts a command so that it looks names up as the resolv.conf in a folder says."""
    return ["unshare", "--mount", "--", "sh", "-c", _COVER, str(folder)]
