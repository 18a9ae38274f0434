"""Select groups of Open vSwitch that hash what identifies a connection.

An OpenFlow 1.3 session cannot ask for a hash: the switch's own choice leaves out the ports of UDP, and all of a
client's datagrams would go to one instance. So groups are set over a second session, OpenFlow 1.5, at the bridge's
management socket. They stay when the session ends. Owns that session; knows nothing of what buckets are for.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from struct import pack, unpack
from types import SimpleNamespace
from typing import Any

from ryu_apps.framework import ofproto_v1_5 as ofp
from ryu_apps.framework import ofproto_v1_5_parser as parser

_TIMEOUT_S = 5.0
_HEADER = 8
_ADD_OR_MODIFY = 0x8000  # Open vSwitch's own command
_NETRONOME = 0x0000154D
_SELECTION_METHOD = 1
_METHOD_BYTES = 16

Bucket = tuple[int, list[Any]]


class GroupError(RuntimeError):
    """The switch refused a group, or does not answer; one line."""


class GroupRefused(GroupError):
    """The switch does not know such groups; asking again would not help."""


class SelectGroups:
    """A session at a bridge's management socket. Opened when first used, and again after it broke."""

    def __init__(self, management_socket: Path) -> None:
        self._path = management_socket
        self._session: socket.socket | None = None
        # What a message has to know of its session. The framework's own would be of the app's version only.
        self._protocol = SimpleNamespace(ofproto=ofp, ofproto_parser=parser)
        self._xid = 0

    def set(self, group_id: int, buckets: Mapping[int, Bucket]) -> None:
        """Have a group with these buckets, each a weight and actions; return when the switch has it.

        Raises GroupError, or GroupRefused where the switch knows none.
        """
        message = parser.OFPGroupMod(
            self._protocol,
            _ADD_OR_MODIFY,
            ofp.OFPGT_SELECT,
            group_id,
            buckets=[_bucket(number, *bucket) for number, bucket in buckets.items()],
            properties=[_HashOfConnection()],
        )
        message.serialize()
        try:
            self._ask(bytes(message.buf))
        except GroupError:
            self.close()  # there are answers to come that nobody will read
            raise
        except OSError as error:
            self.close()
            raise GroupError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            with suppress(OSError):
                self._session.close()
            self._session = None

    def _ask(self, message: bytes) -> None:
        session = self._opened()
        barrier = self._header(ofp.OFPT_BARRIER_REQUEST)
        session.sendall(message + barrier)
        while True:
            kind, body = _receive(session)
            if kind == ofp.OFPT_BARRIER_REPLY:
                return
            if kind == ofp.OFPT_ERROR:
                raise GroupRefused(f"{self._path}: the switch refused a group (error {unpack('!HH', body[:4])})")
            if kind == ofp.OFPT_ECHO_REQUEST:
                session.sendall(self._header(ofp.OFPT_ECHO_REPLY, body))

    def _opened(self) -> socket.socket:
        if self._session is None:
            session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            session.settimeout(_TIMEOUT_S)
            session.connect(str(self._path))
            session.sendall(self._header(ofp.OFPT_HELLO))
            kind, _ = _receive(session)
            if kind != ofp.OFPT_HELLO:
                session.close()
                raise GroupRefused(f"{self._path}: the switch does not speak OpenFlow 1.5")
            self._session = session
        return self._session

    def _header(self, kind: int, body: bytes = b"") -> bytes:
        self._xid += 1
        return pack("!BBHI", ofp.OFP_VERSION, kind, _HEADER + len(body), self._xid) + body


class _HashOfConnection:
    """The property of a group that makes it hash addresses, protocol and ports in the datapath (dp_hash)."""

    def serialize(self) -> bytes:
        method = b"dp_hash".ljust(_METHOD_BYTES, b"\0")
        body = pack("!II4x", _NETRONOME, _SELECTION_METHOD) + method + pack("!Q", 0)
        return pack("!HH", ofp.OFPGPT_EXPERIMENTER, 4 + len(body)) + body


def _bucket(number: int, weight: int, actions: list[Any]) -> Any:
    weighed = parser.OFPGroupBucketPropWeight(type_=ofp.OFPGBPT_WEIGHT, length=8, weight=weight)
    return parser.OFPBucket(bucket_id=number, actions=actions, properties=[weighed])


def _receive(session: socket.socket) -> tuple[int, bytes]:
    _, kind, length, _ = unpack("!BBHI", _exactly(session, _HEADER))
    return kind, _exactly(session, length - _HEADER)


def _exactly(session: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = session.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the switch closed the session")
        data += part
    return data
