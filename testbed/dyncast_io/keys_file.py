"""The file with the keys that a process gets, and that nobody else may read.

    {"agent": {"chicago": "<64 hex digits>"}, "d_router": {"chicago": "…", "denver": "…"}}

Owns the file's form, reading and writing it. Stdlib only. Whose keys go into which file is not its business.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from testbed import json_documents
from testbed.dyncast.messages.authentication import KEY_BYTES, Authenticator, Identity, Role
from testbed.runtime.config import ConfigError, Keys, parse

_OTHERS = 0o077


def authenticator(path: Path | None, identity: Identity, epoch: int) -> Authenticator | None:
    """Return the authenticator of a node with the keys in a file; None without a file. Raises ConfigError."""
    if path is None:
        return None
    try:
        return Authenticator(identity, read(path), epoch)
    except ValueError as error:
        raise ConfigError(f"keys_file: {path}: {error}") from error


def read(path: Path) -> dict[Identity, bytes]:
    """Return the keys in a file. Raises ConfigError, which says nothing of any key."""
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            document = json_documents.parse(stream.read())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("is no JSON") from error
    if mode & _OTHERS:
        raise ConfigError("can be read by others than its owner; set its mode to 0600")
    return parse(document, _keys)


def write(path: Path, keys: Mapping[Identity, bytes]) -> None:
    """Write keys into a new file that only its owner may read."""
    document: dict[str, dict[str, str]] = {role.value: {} for role in Role}
    for identity, key in keys.items():
        document[identity.role.value][identity.site] = key.hex()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(document, stream)


def _keys(keys: Keys) -> dict[Identity, bytes]:
    return {
        Identity(role, site): key
        for role in Role
        for site, key in keys.optional(role.value, lambda name: keys.section(name, _of_role), {}).items()
    }


def _of_role(keys: Keys) -> dict[str, bytes]:
    return {site: _key(keys, site) for site in keys}


def _key(keys: Keys, site: str) -> bytes:
    try:
        key = bytes.fromhex(keys.text(site))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise keys.error(site, f"must be {2 * KEY_BYTES} hex digits")
    return key
