"""Messages of a node to others: encoded, signed for their receiver, and addressed."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator
from testbed.dyncast.messages.codec import Message
from testbed.net.addresses import Address


class Outgoing:
    """Makes messages to the D-Routers of other sites, at their `addresses`; without `authenticator`, unsigned."""

    def __init__(self, addresses: Mapping[str, Address], authenticator: Authenticator | None) -> None:
        self.addresses = addresses
        self._authenticator = authenticator

    def message(self, site: str, message: Message, kind: str, *, is_deferrable: bool = False) -> SendMessage:
        """Return a message to the D-Router of a site; `kind` is for the signalling count."""
        return SendMessage(self.addresses[site], self.signed(site, message), kind, is_deferrable)

    def signed(self, site: str, message: Message) -> bytes:
        """Return the octets of a message that the D-Router of a site alone shall believe."""
        data = codec.encode(message)
        return self._authenticator.sign(data, site) if self._authenticator else data
