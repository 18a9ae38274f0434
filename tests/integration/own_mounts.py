"""Python on a machine whose files are changed for it alone: in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
# /etc is covered by a copy in memory, so that whatever is done to it ends with the namespace.
_WRITABLE_ETC = """
place=$(mktemp -d) && mount -t tmpfs tmpfs "$place" && mkdir "$place/upper" "$place/work" &&
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$place/upper,workdir=$place/work" /etc &&
umount -l "$place" && rmdir "$place" &&
"""


def run_python(program: str, set_up: str, *arguments: str) -> str:
    """Run a program after a line of shell, by which the machine looks otherwise to it; return what it printed."""
    line = f'{set_up} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", line, "sh", sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_writable_etc(set_up: str) -> str:
    """Return the line that makes /etc one's own first."""
    return f"{_WRITABLE_ETC.strip()} {set_up}"
