"""OpenFlow entries that keep what is left of an ended flow from its client: it would come from a D-BID.

Nothing in such a packet tells it from one of a direct conversation with the instance. So the switch tracks direct
conversations, in a conntrack zone of their own, and drops of what instances send (TCP, UDP) what belongs to none. Words
matches and actions; knows no flow. Without a zone there are no entries, and packets pass.

    table     priority  match                                  actions
    CLASSIFY  60        from the site, to a D-BID, uplink      NORMAL: a steered packet that comes back from the router
    CLASSIFY  55        from the site, to a D-BID              conntrack, commit; NORMAL
    CLASSIFY  52        from a D-BID to the site (reactive)    conntrack, on to UNBOUND
    UNBOUND   100       of a known conversation                NORMAL
    UNBOUND   95        to the node itself                     NORMAL
    UNBOUND   92        to a D-BID, from the uplink            NORMAL: as at 60
    UNBOUND   90        to a D-BID                             commit, NORMAL: instances may speak first to each other
    UNBOUND   80        first packet that an instance sends    commit, NORMAL: a SYN, or UDP of an ephemeral port
    UNBOUND   0         anything                               dropped, and counted
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from ryu_apps.dyncast.config.direct import DirectConfig
from ryu_apps.dyncast.entries.flow_entries import SCRATCH_REGISTER, SERVICE_COOKIE
from ryu_apps.dyncast.entries.group_entries import UNBOUND
from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import TCP, UDP

UNBOUND_COOKIE = 0xD7 << 48  # counts what is dropped
_BACK_PRIORITY, _DIRECT_PRIORITY, _FROM_INSTANCE_PRIORITY = 60, 55, 52
_NORMAL = wire.output(ofp.OFPP_NORMAL)


class DirectEntries:
    """The entries of one node; `prefixes` hold the hosts of its site."""

    def __init__(self, direct: DirectConfig | None, prefixes: Sequence[Network], uplink_port: int) -> None:
        self.zone = None if direct is None else direct.ct_zone
        self._gateways = () if direct is None else direct.gateways
        self._prefixes = prefixes
        self._uplink_port = uplink_port

    def for_everyone(self) -> bytes:
        """Know conversations, and what may begin one."""
        if self.zone is None:
            return b""
        commit = wire.track(self.zone, commits=True) + _NORMAL
        entries = [_unbound(100, wire.known_connection_match(), _NORMAL)]
        entries += [_unbound(95, wire.ip_match(gateway.version, dst=gateway), _NORMAL) for gateway in self._gateways]
        for version in (4, 6):
            entries.append(_unbound(80, wire.first_segment_match(version), commit))
            entries.append(_unbound(80, wire.ephemeral_udp_match(version), commit))
        entries.append(wire.add_entry(UNBOUND_COOKIE, 0, wire.EVERYTHING, b"", table=UNBOUND))
        return b"".join(entries)

    def to_instance(self, d_bid: Address) -> bytes:
        """Track what hosts of the site send to an instance without a D-SID."""
        if self.zone is None:
            return b""
        commit = wire.track(self.zone, commits=True) + _NORMAL
        instance = ip_network(d_bid)
        back = wire.network_match(self._uplink_port, d_bid.version, dst=instance)
        entries = [_unbound(92, back, _NORMAL), _unbound(90, wire.ip_match(d_bid.version, dst=d_bid), commit)]
        for prefix in self._of_family(d_bid):
            back = wire.network_match(self._uplink_port, d_bid.version, src=prefix, dst=instance)
            direct = wire.network_match(None, d_bid.version, src=prefix, dst=instance)
            entries.append(wire.add_entry(SERVICE_COOKIE, _BACK_PRIORITY, back, _NORMAL))
            entries.append(wire.add_entry(SERVICE_COOKIE, _DIRECT_PRIORITY, direct, commit))
        return b"".join(entries)

    def from_instance(self, d_bid: Address) -> bytes:
        """Let pass to hosts of the site what an instance sends of a known conversation; each flow is looked at."""
        if self.zone is None:
            return b""
        look_up = wire.hash_of_flow(SCRATCH_REGISTER) + wire.track(self.zone, table=UNBOUND)
        return b"".join(
            wire.add_entry(
                SERVICE_COOKIE, _FROM_INSTANCE_PRIORITY, wire.ip_match(d_bid.version, d_bid, prefix, proto), look_up
            )
            for prefix in self._of_family(d_bid)
            for proto in (TCP, UDP)
        )

    def _of_family(self, d_bid: Address) -> list[Network]:
        return [prefix for prefix in self._prefixes if prefix.version == d_bid.version]


def read_dropped() -> bytes:
    """Ask how much was dropped."""
    return wire.read_entries(UNBOUND_COOKIE)


def _unbound(priority: int, match: bytes, actions: bytes) -> bytes:
    return wire.add_entry(SERVICE_COOKIE, priority, match, actions, table=UNBOUND)
