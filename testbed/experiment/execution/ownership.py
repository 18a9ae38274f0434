"""Results belong to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid).

Owns handing over what this process made, and that alone: by descriptor, for whoever owns the folder around it may swap
names at any time. A run's folder is root's until the run has ended.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, as who called sudo's. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    made = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _hand(made)
    finally:
        os.close(made)


def hand_over(folder: int) -> None:
    """Hand a folder of this process, by its descriptor, and all in it that is its own to who called sudo.

    Raises OSError.
    """
    owner = _caller()
    if owner is not None:
        _hand_inside(folder, owner)


def _hand_inside(folder: int, owner: tuple[int, int]) -> None:
    # From the inside out: in a folder that is still root's nobody swaps a name. In one that is somebody else's already,
    # anything may stand under any name, such as a file of root's that was moved there to be handed over.
    if not _is_ours(os.fstat(folder)):
        return
    for name in os.listdir(folder):
        _hand_entry(name, folder, owner)
    os.fchown(folder, *owner)


def _hand_entry(name: str, folder: int, owner: tuple[int, int]) -> None:
    entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(entry)
        if stat.S_ISDIR(found.st_mode):
            inside = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry)
            try:
                _hand_inside(inside, owner)
            finally:
                os.close(inside)
        elif _is_ours(found) and found.st_nlink == 1:  # a program of the scenario may have linked a file elsewhere
            os.chown(f"/proc/self/fd/{entry}", *owner)  # what was looked at, whatever has its name by now
    finally:
        os.close(entry)


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _hand(folder: int) -> None:
    owner = _caller()
    if owner is not None and _is_ours(os.fstat(folder)):
        os.fchown(folder, *owner)


def _caller() -> tuple[int, int] | None:
    uid, _, gid = os.environ.get("DYNCAST_OWNER", "").partition(":")
    return (int(uid), int(gid)) if uid.isdigit() and gid.isdigit() else None
