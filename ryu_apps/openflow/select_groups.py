"""Select groups of Open vSwitch that hash what identifies a connection.

An OpenFlow 1.3 session cannot ask for a hash: the switch's own choice leaves out the ports of UDP, and all of a
client's datagrams would go to one instance. So groups are set over a second session, OpenFlow 1.5, at the bridge's
management socket. They stay when the session ends. Knows nothing of what buckets are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from struct import pack, unpack
from types import SimpleNamespace
from typing import Any

from ryu_apps.openflow.framework import ofproto_v1_5 as ofp
from ryu_apps.openflow.framework import ofproto_v1_5_parser as parser
from ryu_apps.openflow.management_session import ManagementSession, SessionError, VersionRefused
from testbed.errors import TestbedError

_ADD_OR_MODIFY = 0x8000  # Open vSwitch's own command
_NETRONOME = 0x0000154D
_SELECTION_METHOD = 1
_METHOD_BYTES = 16

Bucket = tuple[int, list[Any]]


class GroupError(TestbedError):
    """The switch refused a group, or does not answer; one line."""


class GroupRefused(GroupError):
    """The switch does not know such groups; asking again would not help."""


class SelectGroups:
    """The groups of one bridge."""

    def __init__(self, management_socket: Path) -> None:
        self._path = management_socket
        self._session = ManagementSession(management_socket, ofp.OFP_VERSION)
        # What a message has to know of its session. The framework's own would be of the app's version only.
        self._protocol = SimpleNamespace(ofproto=ofp, ofproto_parser=parser)

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
            answers = self._session.ask(bytes(message.buf))
        except VersionRefused as error:
            raise GroupRefused(str(error)) from error
        except SessionError as error:
            raise GroupError(str(error)) from error
        for kind, body in answers:
            if kind == ofp.OFPT_ERROR:
                raise GroupRefused(f"{self._path}: the switch refused a group (error {unpack('!HH', body[:4])})")

    def close(self) -> None:
        """End the session."""
        self._session.close()


class _HashOfConnection:
    """The property of a group that makes it hash addresses, protocol and ports in the datapath (dp_hash)."""

    def serialize(self) -> bytes:
        method = b"dp_hash".ljust(_METHOD_BYTES, b"\0")
        body = pack("!II4x", _NETRONOME, _SELECTION_METHOD) + method + pack("!Q", 0)
        return pack("!HH", ofp.OFPGPT_EXPERIMENTER, 4 + len(body)) + body


def _bucket(number: int, weight: int, actions: list[Any]) -> Any:
    weighed = parser.OFPGroupBucketPropWeight(type_=ofp.OFPGBPT_WEIGHT, length=8, weight=weight)
    return parser.OFPBucket(bucket_id=number, actions=actions, properties=[weighed])
