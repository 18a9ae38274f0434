"""Fragments and ICMP errors of any shape come out as if what they are of had been sent to the other address.

Scapy builds the packets, and is who says what their checksums should be.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ryu_apps.openflow.packet_in import PacketIn, PacketKind
from ryu_apps.openflow.packets import icmp_errors, rewriting
from ryu_apps.openflow.packets.fragments import LIFETIME_S, Fragments
from testbed.net.flow_key import FlowKey
from testbed.net.token_bucket import Rate
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, FAR, FAR6
from tests.packet_samples import built, pieces

_ENDS = {4: (str(CLIENT), str(D_SID), str(FAR)), 6: (str(CLIENT6), str(D_SID6), str(FAR6))}
_ROUTER = {4: "10.9.0.1", 6: "fd00:d:9::1"}
_VERSIONS = st.sampled_from((4, 6))
_PROTOCOLS = st.sampled_from(("udp", "udp without a checksum", "tcp", "echo"))


def ip(version: int, src: str, dst: str, identification: int = 1) -> Any:
    return IP(src=src, dst=dst, id=identification) if version == 4 else IPv6(src=src, dst=dst)


def transport(version: int, protocol: str) -> Any:
    if protocol == "echo":
        return ICMP(id=7) if version == 4 else ICMPv6EchoRequest(id=7)
    if protocol == "tcp":
        return TCP(sport=40000, dport=80)
    return UDP(sport=40000, dport=80) if protocol == "udp" or version == 6 else UDP(sport=40000, dport=80, chksum=0)


def frame(packet: Any) -> bytes:
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)


def packet_of(data: bytes, version: int) -> Any:
    return (IP if version == 4 else IPv6)(data[14:])


def put_together(version: int, parts: list[Any]) -> bytes:
    """The payload of a datagram whose fragments are all here."""
    at = {}
    for part in parts:
        offset = part.frag if version == 4 else part[IPv6ExtHdrFragment].offset
        at[offset * 8] = bytes(part)[20:] if version == 4 else bytes(part)[48:]
    assert sorted(at)[0] == 0
    return b"".join(at[offset] for offset in sorted(at))


@given(
    _VERSIONS,
    _PROTOCOLS,
    st.lists(st.tuples(st.binary(max_size=300), st.lists(st.integers(1, 12), min_size=1)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_fragments_in_any_order_are_of_their_datagram_and_whole_under_the_other_address(
    version: int, protocol: str, datagrams: list[tuple[bytes, list[int]]], rng: Random, is_reverse: bool
) -> None:
    client, d_sid, d_bid = _ENDS[version]
    src, dst = (d_bid, client) if is_reverse else (client, d_sid)
    sent, wanted = [], {}
    for number, (content, sizes) in enumerate(datagrams, 1):
        content = content.ljust(110, b"\0")  # at least two pieces
        whole = built(ip(version, src, dst) / transport(version, protocol) / Raw(content))
        sent += pieces(version, whole, sizes, number)
        other = (d_sid, dst) if is_reverse else (src, d_bid)
        rewritten = built(ip(version, *other) / transport(version, protocol) / Raw(content))
        wanted[number] = bytes(rewritten)[20 if version == 4 else 40 :]
    rng.shuffle(sent)
    counters: Counter[str] = Counter()
    fragments, came = Fragments(counters), []
    for part in sent:
        came += fragments.take(PacketIn(3, frame(part), PacketKind.FRAGMENT), 1.0)
    assert not counters and len(came) == len(sent)
    ports = (None, None) if protocol == "echo" else (40000, 80)
    proto = {"tcp": 6, "echo": 1 if version == 4 else 58}.get(protocol, 17)
    assert {key for key, _ in came} == {FlowKey(ip_address(src), ip_address(dst), proto, *ports)}
    out: dict[int, list[Any]] = {number: [] for number in wanted}
    for _, item in came:
        to = {"src": ip_address(d_sid)} if is_reverse else {"dst": ip_address(d_bid)}
        part = packet_of(rewriting.readdressed(item.data, **to), version)
        assert bytes(part) == bytes(built_again(part, version))  # its own header's checksum stands
        out[part.id if version == 4 else part[IPv6ExtHdrFragment].id].append(part)
    assert {number: put_together(version, parts) for number, parts in out.items()} == wanted
    assert fragments.next_timer_s() == float("inf")  # nothing is kept of what is whole


def built_again(packet: Any, version: int) -> Any:
    if version == 6:
        return packet
    again = packet.copy()
    del again.chksum
    return again


def error(version: int, kind: int, outer: tuple[str, str], quoted: bytes) -> Any:
    if version == 4:
        return ip(4, *outer) / ICMP(type=(3, 11, 12)[kind % 3], code=1) / Raw(quoted)
    layer = (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded)[kind % 3]
    return ip(6, *outer) / layer() / Raw(quoted)


@given(
    _VERSIONS,
    _PROTOCOLS,
    st.binary(max_size=200),
    st.integers(8, 300),
    st.integers(0, 2),
    st.sampled_from(("router", "instance", "client")),
)
def test_an_error_comes_out_as_if_it_had_been_about_what_was_sent(
    version: int, protocol: str, content: bytes, quoted_bytes: int, kind: int, speaker: str
) -> None:
    client, d_sid, d_bid = _ENDS[version]
    header = 20 if version == 4 else 40

    def quoting(src: str, dst: str) -> bytes:
        packet = built(ip(version, src, dst) / transport(version, protocol) / Raw(content))
        return bytes(packet)[: header + quoted_bytes]

    if speaker == "client":  # about an answer, which it got from the D-SID
        came = error(version, kind, (client, d_sid), quoting(d_sid, client))
        wanted = error(version, kind, (client, d_bid), quoting(d_bid, client))
        data = rewriting.error_readdressed(frame(came), dst=ip_address(d_bid), quoted_src=ip_address(d_bid))
    else:  # about a packet of the client's, under way to the D-BID
        outer = {"router": _ROUTER[version], "instance": d_bid}[speaker]
        as_seen = {"router": _ROUTER[version], "instance": d_sid}[speaker]
        came = error(version, kind, (outer, client), quoting(client, d_bid))
        wanted = error(version, kind, (as_seen, client), quoting(client, d_sid))
        src = ip_address(d_sid) if speaker == "instance" else None
        data = rewriting.error_readdressed(frame(came), src=src, quoted_dst=ip_address(d_sid))
    assert data == frame(wanted)
    assert rewriting.source_of(data) == ip_address(wanted.src)


@given(_VERSIONS, st.integers(0, 2), st.data())
def test_an_error_that_is_cut_short_or_damaged_or_of_another_is_not_believed(
    version: int, kind: int, data: st.DataObject
) -> None:
    client, _, d_bid = _ENDS[version]
    quoted = bytes(built(ip(version, client, d_bid) / UDP(sport=40000, dport=80) / b"content"))
    whole = frame(error(version, kind, (_ROUTER[version], client), quoted))
    found = icmp_errors.quoted_flow(whole)
    assert found == FlowKey(ip_address(client), ip_address(d_bid), 17, 40000, 80)
    icmp_at = 14 + (20 if version == 4 else 40)
    assert icmp_errors.quoted_flow(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    at, bit = data.draw(st.integers(icmp_at, len(whole) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[at] ^= 1 << bit
    assert icmp_errors.quoted_flow(bytes(damaged)) is None
    to_another = frame(error(version, kind, (_ROUTER[version], d_bid), quoted))
    assert icmp_errors.quoted_flow(to_another) is None


@given(st.binary(max_size=200), st.sampled_from((b"", bytes(12) + b"\x08\x00\x45", bytes(12) + b"\x86\xdd\x60")))
def test_any_octets_are_a_fragment_or_an_error_or_dropped(data: bytes, begin: bytes) -> None:
    taken = Fragments(Counter()).take(PacketIn(1, begin + data, PacketKind.FRAGMENT), 0.0)
    assert all(key.src is not None for key, _ in taken)
    key = icmp_errors.quoted_flow(begin + data)
    assert key is None or key.src is not None
    for item in taken:
        assert len(rewriting.readdressed(item[1].data, dst=D_SID)) == len(begin + data)


def test_what_lacks_its_first_fragment_is_dropped_when_hosts_drop_it_and_counted() -> None:
    counters: Counter[str] = Counter()
    fragments = Fragments(counters)
    whole = built(ip(4, "10.1.0.10", "203.0.113.10") / UDP(sport=1, dport=2) / Raw(bytes(100)))
    _, *later = pieces(4, whole, [4, 4], 1)
    for part in later:
        assert fragments.take(PacketIn(3, frame(part)), 1.0) == []
    assert fragments.next_timer_s() == 1.0 + LIFETIME_S
    fragments.on_timer(1.0 + LIFETIME_S)
    assert counters == {"fragments_without_first": 2}


def test_beyond_the_rate_whole_datagrams_are_refused_and_none_in_part() -> None:
    counters: Counter[str] = Counter()
    fragments = Fragments(counters, Rate(per_s=1, burst=4))
    taken = []
    for number in range(1, 4):
        whole = built(ip(4, "10.1.0.10", "203.0.113.10") / UDP(sport=1, dport=2) / Raw(bytes(100)))
        taken.append([len(fragments.take(PacketIn(3, frame(part)), 1.0)) for part in pieces(4, whole, [4, 4], number)])
    assert taken == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert counters == {"fragments_over_rate": 3}


def test_a_sender_that_uses_an_identification_again_is_understood() -> None:
    fragments = Fragments(Counter())
    for port in (5000, 5001):
        whole = built(ip(4, "10.1.0.10", "203.0.113.10") / UDP(sport=port, dport=2) / Raw(bytes(100)))
        for part in pieces(4, whole, [4, 4], 1)[:2]:  # the last is lost
            ((key, _),) = fragments.take(PacketIn(3, frame(part)), 1.0)
            assert key.src_port == port


def test_what_scapy_makes_fragments_of_is_understood_and_so_are_extension_headers() -> None:
    fragments = Fragments(Counter())
    whole = IP(src="10.1.0.10", dst="203.0.113.10", id=3) / UDP(sport=1, dport=2) / Raw(bytes(4000))
    assert [key.dst_port for part in fragment(whole) for key, _ in fragments.take(PacketIn(1, frame(part)), 0.0)] == [
        2, 2, 2,
    ]  # fmt: skip
    inner = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / Raw(bytes(20))
    udp = bytes(inner)[40:]
    first = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(nh=17, m=1, id=5) / udp[:16]
    ((key, _),) = fragments.take(PacketIn(1, frame(first)), 0.0)
    assert (key.src_port, key.dst_port) == (1, 2)
