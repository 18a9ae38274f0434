"""A clone of this checkout with an environment of its own, as a user who has just set it up has it.

Only the pinned packages of others are those of the developer's environment, linked: they are what the launcher would
install. The testbed's own modules are the clone's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from testbed.cli.machine.checkout import ROOT

_OURS = ("dyncast.pth", "__editable__", "dyncast_testbed")


class FreshClone:
    """The clone; `path` is its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _copy_files(path)
        _make_environment(path)

    def command(self, *arguments: str) -> list[str]:
        return [str(self.path / "dyncast"), *arguments]

    def dyncast(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command through the launcher to its end."""
        return subprocess.run(
            self.command(*arguments), cwd=self.path, capture_output=True, text=True, timeout=timeout_s, check=False
        )


def _copy_files(path: Path) -> None:
    """Copy what git would hand out if all were committed."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():  # not removed meanwhile
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path / name)


def _make_environment(path: Path) -> None:
    venv = path / ".venv"
    python = str(Path(sys.executable).resolve())
    subprocess.run([python, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(_OURS):
            (site_packages / package.name).symlink_to(package)
    for script in Path(sysconfig.get_path("scripts")).iterdir():
        if script.name != "dyncast" and not (venv / "bin" / script.name).exists():
            (venv / "bin" / script.name).symlink_to(script)
    stamped = 'fingerprint "$lock_file" >"$stamp"; fingerprint "$test_lock_file" >"$test_stamp"'
    finish = f'unset DYNCAST_VENV; source "$1"; {stamped}; point_here'
    subprocess.run(["bash", "-c", finish, "bash", str(path / "dyncast")], check=True)
