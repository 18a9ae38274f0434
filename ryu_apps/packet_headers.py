"""The flow key of a packet that a switch sent up, read with the framework's packet library.

Reads the headers that identify a flow and no more: the library's own dissection goes on into tunnels and
payloads, and takes the payload of a later fragment for ports. Knows nothing of services.
"""

from __future__ import annotations

from ipaddress import ip_address
from struct import unpack_from

from ryu_apps.framework import ethernet, ipv4, ipv6, vlan
from testbed.dyncast.flows import TCP, UDP, FlowKey

_SHORTEST_HEADER = {TCP: 20, UDP: 8}
_ICMP, _ICMPV6 = 1, 58
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
_FIRST_ICMPV6_INFORMATION = 128


def flow_key(data: bytes) -> FlowKey | None:
    """Return the key of an IPv4 or IPv6 packet in an Ethernet frame; None for what belongs to no flow.

    That is: anything malformed, anything else than IP, and ICMP errors, which speak of a flow but are none.
    A later fragment has no ports, nor has a TCP or UDP header that is cut short.
    """
    try:
        return _flow_key(data)
    except Exception:  # the library raises whatever its parsers stumble over
        return None


def _flow_key(data: bytes) -> FlowKey | None:
    _, kind, rest = ethernet.ethernet.parser(data)
    while kind is vlan.vlan:
        _, kind, rest = vlan.vlan.parser(rest)
    if kind is ipv4.ipv4:
        network, _, payload = ipv4.ipv4.parser(rest)
        proto, fragment_offset = network.proto, network.offset
    elif kind is ipv6.ipv6:
        network, _, payload = ipv6.ipv6.parser(rest)
        proto = network.ext_hdrs[-1].nxt if network.ext_hdrs else network.nxt
        fragment_offset = max((getattr(header, "offset", 0) for header in network.ext_hdrs), default=0)
    else:
        return None
    src, dst = ip_address(network.src), ip_address(network.dst)
    if fragment_offset == 0:
        if proto in _SHORTEST_HEADER and len(payload) >= _SHORTEST_HEADER[proto]:
            return FlowKey(src, dst, proto, *unpack_from("!HH", payload))
        if _is_icmp_error(proto, payload):
            return None
    return FlowKey(src, dst, proto, None, None)


def _is_icmp_error(proto: int, payload: bytes) -> bool:
    if proto == _ICMP:
        return payload[0] in _ICMP_ERRORS
    return proto == _ICMPV6 and payload[0] < _FIRST_ICMPV6_INFORMATION
