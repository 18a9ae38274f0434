"""The sockets that the starter opened inside a node's namespace and left open for the control process."""

from __future__ import annotations

import socket

from testbed.runtime.config import ConfigError


def inherited(descriptor: int, key: str, kind: socket.SocketKind) -> socket.socket:
    """Return the socket behind a descriptor that the configuration names by `key`. Raises ConfigError if it is none."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        problem = f"{key}: descriptor {descriptor} cannot be used: {error.strerror}"
        raise ConfigError(f"{problem}; the starter must leave a socket open") from error
    if found.type != kind:
        raise ConfigError(f"{key}: descriptor {descriptor} must be a socket of type {kind.name}")
    return found
