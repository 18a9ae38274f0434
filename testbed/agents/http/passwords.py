"""Names and passwords in a file that only its owner reads, so that they stand in no configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed.errors import InputError


class PasswordsError(InputError):
    """A file that holds no names and passwords; the text names it."""


def write(path: Path, users: Mapping[str, str]) -> None:
    """Write users and their passwords."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()), encoding="utf-8")


def read(path: Path) -> Mapping[str, str]:
    """Return the users and their passwords, at least one. Raises PasswordsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordsError(f"{path}: cannot be read; it must hold lines NAME:PASSWORD") from error
    parts = [line.partition(":") for line in lines if line]
    if not parts or not all(all(part) for part in parts):
        raise PasswordsError(f"{path}: must hold lines NAME:PASSWORD, at least one")
    return {name: password for name, _, password in parts}
