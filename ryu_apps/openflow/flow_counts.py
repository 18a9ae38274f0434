"""What a switch has counted, by the cookies of its flow entries.

The framework makes objects of each entry's match and actions: of a thousand entries that takes 80 ms. Here only cookie
and count are read (OpenFlow 1.3.5, section 7.3.5.2), over a session of its own. Knows nothing of what cookies mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct

from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.management_session import ManagementSession

_MULTIPART = Struct("!HH4x")  # its kind and flags
_ENTRY = Struct("!H22xQQ8x")  # length, cookie, packets; a match and instructions follow


class FlowCounts:
    """The counts of one bridge."""

    def __init__(self, management_socket: Path) -> None:
        self._session = ManagementSession(management_socket, ofp.OFP_VERSION)

    def read(self, cookies: Iterable[int], cookie_mask: int) -> list[tuple[int, int]]:
        """Return cookie and packets of each entry that has one of these cookies, as far as the mask goes.

        Raises SessionError.
        """
        asked = b"".join(wire.read_entries(cookie, cookie_mask) for cookie in cookies)
        replies = [body for kind, body in self._session.ask(asked) if kind == ofp.OFPT_MULTIPART_REPLY]
        return [count for reply in replies for count in _counts(reply)]

    def close(self) -> None:
        """End the session."""
        self._session.close()


def _counts(reply: bytes) -> Iterator[tuple[int, int]]:
    at = _MULTIPART.size
    while at + _ENTRY.size <= len(reply):
        length, cookie, packets = _ENTRY.unpack_from(reply, at)
        yield cookie, packets
        at += max(length, _ENTRY.size)
