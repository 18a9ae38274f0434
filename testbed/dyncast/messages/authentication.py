"""The sender of a message, shown by a trailer that only the holder of its key can write, and only once.

Owns the trailer, the keys of the nodes and the replay windows; knows no clock, no file and nothing of what messages
say. A message whose type has the bit `AUTHENTICATED` is followed by

    epoch (64) | number (64) | tag (256)

*Epoch* says when the sender's process began: later ones are greater. *Number* counts its messages, of all kinds and to
all receivers, from one. *Tag* is HMAC-SHA256 with the sender's key over

    length of the receiver's site name (8) | the name, UTF-8 | message | epoch | number

Reports are for every D-Router, and name no receiver; the D-Router of a site passes its agent's report on as it is. A
message of a D-Router names the one it is for, so that nobody else can be made to believe it. What a CFN node sends a
CFN Dispatcher is signed with the key that the two share: an attacker that takes over a Dispatcher can speak to none but
itself.

The CATS framework (Security Considerations) and CATS requirement R24 ask for it; docs/decisions/0008 says why so.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import AUTHENTICATED, FROM_AGENTS, TO_DISPATCHERS, CodecError, Header, Message
from testbed.errors import TestbedError

KEY_BYTES = 32
_TYPE = slice(2, 3)  # where the header has the type
_COUNT = struct.Struct("!QQ")
_TAG_BYTES = 32
_TRAILER_BYTES = _COUNT.size + _TAG_BYTES
_WINDOW = 1024  # numbers; a D-Router with many peers counts fast, and each of them sees few


class Role(Enum):
    """What a node is at its site; each has a key of its own."""

    AGENT = "agent"
    D_ROUTER = "d_router"
    DISPATCHER = "dispatcher"


@dataclass(frozen=True)
class Identity:
    """A node that sends messages, or a CFN Dispatcher (`site` is its name), whose key signs those to it."""

    role: Role
    site: str


class Refused(TestbedError):
    """A message that is not let in: what it counts as, why, and the site and sequence that it claims."""

    def __init__(self, counter: str, reason: str, claim: Header | Message | None = None) -> None:
        super().__init__(reason)
        self.counter = counter
        self.reason = reason
        self.site = claim.site if claim else ""
        self.sequence = claim.sequence if claim else 0


@dataclass(frozen=True)
class Verified:
    """A message that is what its sender wrote, without the trailer; `epoch` is that of the sender."""

    data: bytes
    epoch: int


class ReplayWindow:
    """Which messages of one sender have been seen: any order within a window, each once (as in RFC 4303)."""

    def __init__(self) -> None:
        self._epoch = -1
        self._highest = 0
        self._seen = 0  # bit n: the number `highest - n`

    def admit(self, epoch: int, number: int) -> bool:
        """Note a message; return False, and note nothing, if it was seen or may have been seen."""
        if epoch < self._epoch:
            return False
        if epoch > self._epoch:
            self._epoch, self._highest, self._seen = epoch, number, 1
            return True
        ahead = number - self._highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, _WINDOW) | 1) & ((1 << _WINDOW) - 1)
            self._highest = number
            return True
        bit = 1 << -ahead if -ahead < _WINDOW else 0
        if not bit or self._seen & bit:
            return False
        self._seen |= bit
        return True


class Authenticator:
    """Sign the messages of one node, and verify those of others.

    `keys` has the node's own and its senders'; `epoch` must be greater than at the node's last start.
    """

    def __init__(self, identity: Identity, keys: Mapping[Identity, bytes], epoch: int) -> None:
        if identity not in keys:
            raise ValueError(f"no key of the {_named(identity)} itself")
        self._site = identity.site
        self._keys = dict(keys)
        self._own_key = keys[identity]
        self._epoch = epoch
        self._number = 0
        self._windows: dict[Identity, ReplayWindow] = {}

    def sign(self, message: bytes, receiver: str = "", key_of: Identity | None = None) -> bytes:
        """Return a message with its trailer; `receiver` is the site of the only node that shall believe it.

        `key_of`: a node whose key signs in place of one's own.
        """
        self._number += 1
        marked = bytearray(message)
        marked[_TYPE] = bytes([message[_TYPE][0] | AUTHENTICATED])
        signed = bytes(marked) + _COUNT.pack(self._epoch, self._number)
        key = self._keys[key_of] if key_of else self._own_key
        return signed + _tag(key, receiver, signed)

    def verify(self, data: bytes) -> Verified:
        """Return the message in `data` if its sender wrote it and it was not seen before. Raises Refused."""
        header = _header_of(data)
        if not header.kind & AUTHENTICATED:
            raise _unauthenticated(data, header)
        kind = header.kind ^ AUTHENTICATED
        if len(data) < header.octets + _TRAILER_BYTES:
            raise Refused("messages_malformed", "malformed: cut short in the trailer", header)
        is_report = kind in FROM_AGENTS
        sender = Identity(Role.AGENT if is_report else Role.D_ROUTER, header.site)
        if kind in TO_DISPATCHERS:
            sender = Identity(Role.DISPATCHER, self._site)
        key = self._keys.get(sender)
        if key is None:
            raise Refused("messages_unknown_sender", f"no key of the {_named(sender)}", header)
        signed, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(key, "" if is_report else self._site, signed)):
            raise Refused("messages_forged", f"forged: not with the key of the {_named(sender)}", header)
        epoch, number = _COUNT.unpack(signed[-_COUNT.size :])
        if not self._windows.setdefault(sender, ReplayWindow()).admit(epoch, number):
            raise Refused("messages_replayed", "replayed", header)
        message = bytearray(signed[: -_COUNT.size])
        message[_TYPE] = bytes([kind])
        return Verified(bytes(message), epoch)


def _tag(key: bytes, receiver: str, signed: bytes) -> bytes:
    name = receiver.encode()
    return hmac.digest(key, bytes([len(name)]) + name + signed, "sha256")


def _header_of(data: bytes) -> Header:
    try:
        return codec.read_header(data)
    except CodecError as error:
        raise Refused("messages_malformed", f"malformed: {error}") from error


def _unauthenticated(data: bytes, header: Header) -> Refused:
    """Distinguish a message without a trailer from what is no message at all."""
    try:
        codec.decode(data)
    except CodecError as error:
        return Refused("messages_malformed", f"malformed: {error}", header)
    return Refused("messages_unauthenticated", "unauthenticated", header)


def _named(identity: Identity) -> str:
    if identity.role is Role.DISPATCHER:
        return f"CFN Dispatcher {identity.site!r}"
    return f"{'agent' if identity.role is Role.AGENT else 'D-Router'} of site {identity.site!r}"
