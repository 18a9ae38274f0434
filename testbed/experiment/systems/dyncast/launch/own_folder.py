"""The folder that a program of others runs in: its files, written by root, and the folder handed to who runs it.

Root comes back to it when an instance starts again, and it is somebody else's then: nothing is opened that was there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from testbed.runtime.caller import User

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def prepare(folder: Path, files: Mapping[str, str], user: User | None) -> None:
    """Write files anew, and hand them and the folder to `user`, if there is one. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name, text in files.items():
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=opened)
            with os.fdopen(os.open(name, _NEW_FILE, 0o644, dir_fd=opened), "w", encoding="utf-8") as stream:
                stream.write(text)
                _hand(stream.fileno(), user)
        _hand(opened, user)
    finally:
        os.close(opened)


def _hand(descriptor: int, user: User | None) -> None:
    if user is not None:
        os.fchown(descriptor, *user)
