"""OpenFlow 1.3 entries of a D-Router: what intercepts services, what steers bound flows.

Pure functions from the D-Router's actions to messages; the only module that words matches and actions.
All entries live in table 0, most specific first; everything else is switched as usual (NORMAL).

    priority  match                                    actions
    200 + n   flow identifier, to the D-SID            D-SID → D-BID, out of the uplink to the router
    200 + n   the same turned round, from the D-BID    D-BID → D-SID, NORMAL
    100       to a D-SID                               to the D-Router (Packet-In)
    0         anything                                 NORMAL

n counts the fields of the flow identifier: what comes home from an instance of two services may match the wide
identifier of one and the narrow identifier of the other, and belongs to the latter.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from ryu_apps.framework import ofproto_v1_3 as ofp
from ryu_apps.framework import ofproto_v1_3_parser as parser
from testbed.dyncast.affinity import AffinityEntry
from testbed.dyncast.codec import Address
from testbed.dyncast.flows import TCP, UDP

AFFINITY_COOKIE = 0xD1 << 48
SERVICE_COOKIE = 0xD2 << 48
KIND_MASK = 0xFFFF << 48
_EXACT_MASK = (1 << 64) - 1
_AFFINITY_PRIORITY = 200
_SERVICE_PRIORITY = 100

_ETHER_TYPE = {4: 0x0800, 6: 0x86DD}
_PORT_FIELDS = {TCP: ("tcp_src", "tcp_dst"), UDP: ("udp_src", "udp_dst")}

Datapath = Any
Message = Any


def ordinary_traffic(datapath: Datapath) -> Message:
    """Switch whatever is not a matter of Dyncast."""
    return _add(datapath, 0, 0, parser.OFPMatch(), [parser.OFPActionOutput(ofp.OFPP_NORMAL)])


def intercept_service(datapath: Datapath, d_sid: Address) -> Message:
    """Bring packets to a D-SID that have no entry to the controller, whole."""
    match = parser.OFPMatch(eth_type=_ETHER_TYPE[d_sid.version], **{f"ipv{d_sid.version}_dst": str(d_sid)})
    actions = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
    return _add(datapath, SERVICE_COOKIE, _SERVICE_PRIORITY, match, actions)


def affinity(datapath: Datapath, entry: AffinityEntry, uplink_port: int) -> list[Message]:
    """Bind a flow in both directions; only the way to the service times out and says so."""
    cookie = AFFINITY_COOKIE | entry.number
    priority = _AFFINITY_PRIORITY + sum(field is not None for field in entry.flow)
    return [
        _add(datapath, cookie, priority, homeward_match(entry), homeward_actions(entry)),
        _add(
            datapath,
            cookie,
            priority,
            forward_match(entry),
            forward_actions(entry, uplink_port),
            idle_timeout=entry.timeout_s,
            flags=ofp.OFPFF_SEND_FLOW_REM,
        ),
    ]


def remove_affinity(datapath: Datapath, entry: AffinityEntry) -> Message:
    """Take both entries of a flow away, without a word from the switch."""
    return _delete(datapath, AFFINITY_COOKIE | entry.number, _EXACT_MASK)


def remove_everything_of_ours(datapath: Datapath) -> list[Message]:
    """Take away all entries that an earlier controller of this kind left."""
    return [_delete(datapath, cookie, KIND_MASK) for cookie in (AFFINITY_COOKIE, SERVICE_COOKIE)]


def read_counters(datapath: Datapath, entry: AffinityEntry) -> Message:
    """Ask for the counters of a flow's entries."""
    cookie = AFFINITY_COOKIE | entry.number
    return parser.OFPFlowStatsRequest(
        datapath, 0, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, cookie, _EXACT_MASK, parser.OFPMatch()
    )


def is_affinity(cookie: int) -> bool:
    """Tell whether a cookie names a bound flow."""
    return cookie & KIND_MASK == AFFINITY_COOKIE


def number_of(cookie: int) -> int:
    """Return the number of the bound flow that a cookie names."""
    return cookie & ~KIND_MASK


def is_homeward(match: Any, entry: AffinityEntry) -> bool:
    """Tell whether a match read back from the switch is the entry's way home."""
    source = match.get(f"ipv{entry.d_bid.version}_src")
    return source is not None and ip_address(source) == entry.d_bid


def forward_match(entry: AffinityEntry) -> Any:
    """Match packets of the flow on their way to the service."""
    flow = entry.flow
    fields = _endpoints(flow.dst.version, src=flow.src, dst=flow.dst)
    return parser.OFPMatch(**fields, **_transport(flow.proto, src=flow.src_port, dst=flow.dst_port))


def homeward_match(entry: AffinityEntry) -> Any:
    """Match packets of the flow on their way home.

    Where the identifier leaves out the ports, or the protocol has none (ping), headers cannot tell them from answers
    to the same client speaking to the D-BID itself: those seem to come from the D-SID too while the flow lasts.
    """
    flow = entry.flow
    fields = _endpoints(flow.dst.version, src=entry.d_bid, dst=flow.src)
    return parser.OFPMatch(**fields, **_transport(flow.proto, src=flow.dst_port, dst=flow.src_port))


def forward_actions(entry: AffinityEntry, uplink_port: int) -> list[Any]:
    """Rewrite D-SID → D-BID and hand the packet to the router."""
    field = {f"ipv{entry.d_bid.version}_dst": str(entry.d_bid)}
    return [parser.OFPActionSetField(**field), parser.OFPActionOutput(uplink_port)]


def homeward_actions(entry: AffinityEntry) -> list[Any]:
    """Rewrite D-BID → D-SID and switch the packet to its client."""
    field = {f"ipv{entry.d_sid.version}_src": str(entry.d_sid)}
    return [parser.OFPActionSetField(**field), parser.OFPActionOutput(ofp.OFPP_NORMAL)]


def forward_packet(datapath: Datapath, entry: AffinityEntry, uplink_port: int, in_port: int, data: bytes) -> Message:
    """Send the packet at hand as its entry would."""
    return parser.OFPPacketOut(
        datapath=datapath,
        buffer_id=ofp.OFP_NO_BUFFER,
        in_port=in_port,
        actions=forward_actions(entry, uplink_port),
        data=data,
    )


def refuse_packet(datapath: Datapath, uplink_port: int, in_port: int, data: bytes) -> Message:
    """Hand the packet at hand to the router as it is, which has no way for it and tells its sender so."""
    return parser.OFPPacketOut(
        datapath=datapath,
        buffer_id=ofp.OFP_NO_BUFFER,
        in_port=in_port,
        actions=[parser.OFPActionOutput(uplink_port)],
        data=data,
    )


def _endpoints(version: int, src: Address | None, dst: Address | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"eth_type": _ETHER_TYPE[version]}
    if src is not None:
        fields[f"ipv{version}_src"] = str(src)
    if dst is not None:
        fields[f"ipv{version}_dst"] = str(dst)
    return fields


def _transport(proto: int | None, src: int | None, dst: int | None) -> dict[str, int]:
    if proto is None:
        return {}
    fields = {"ip_proto": proto}
    if proto in _PORT_FIELDS:
        for name, port in zip(_PORT_FIELDS[proto], (src, dst), strict=True):
            if port is not None:
                fields[name] = port
    return fields


def _add(
    datapath: Datapath,
    cookie: int,
    priority: int,
    match: Any,
    actions: list[Any],
    idle_timeout: int = 0,
    flags: int = 0,
) -> Message:
    return parser.OFPFlowMod(
        datapath=datapath,
        cookie=cookie,
        command=ofp.OFPFC_ADD,
        priority=priority,
        idle_timeout=idle_timeout,
        flags=flags,
        match=match,
        instructions=[parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)],
    )


def _delete(datapath: Datapath, cookie: int, cookie_mask: int) -> Message:
    return parser.OFPFlowMod(
        datapath=datapath,
        cookie=cookie,
        cookie_mask=cookie_mask,
        table_id=ofp.OFPTT_ALL,
        command=ofp.OFPFC_DELETE,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=parser.OFPMatch(),
    )
