"""OpenFlow entries that let the switch bind flows itself: tables, registers and what stands in them.

Pure functions from weighted groups to OpenFlow 1.3 messages with Open vSwitch's extensions (conntrack, learn,
multipath). The select groups that go with them are in `select_groups`; `weighted_groups` decides when to send what.

    table              what happens to a packet
    0  CLASSIFY        to a D-SID: conntrack (undoes nothing yet), on to SERVICE; from a D-BID, or an ICMP error, to a
                       client of this site: conntrack (D-BID → D-SID), on to HOME or ERROR; all else as usual
    1  SERVICE         still to the D-SID, so of no known connection: choose; else to its D-BID: out of the uplink
    2  AFFINITY        learnt: which instance the flow identifier is bound to (not for the 5-tuple)
    3  CHOOSE          not bound: a slot by the hash of the client's address
    4  BIND            commit the connection to the instance chosen, D-SID → D-BID, out of the uplink
    5  HOME            an answer, rewritten: as usual
    6  ERROR           an ICMP error, rewritten if it speaks of a connection: as usual; of IPv6, to the D-Router
    7  SLOT            slot → instance, at the group's weights
    8  LEARN           put the flow identifier into AFFINITY, or refresh it; 9 LEARN_HOME, of a packet on its way home
    10 REFUSE          no instance takes new flows: out of the uplink as it is, to the router, which refuses it
    11 UNBOUND         of no flow: as usual in a direct conversation, else dropped (`direct_entries`)

The 5-tuple is conntrack's own identifier: a select group spreads new connections without an upcall to the daemon.
Other identifiers are learnt. Registers: xxreg0 the instance (an IPv4 address in its first word), reg4 the slot, reg5
the group, reg6 the time in seconds, which becomes the connection's mark: conntrack itself does not say how old it is.
Every entry carries the generation of the control process that wrote it, so that a later one knows which it has
written again and take away the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import pairwise
from typing import Any

from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.framework import ofproto_v1_3_parser as parser
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FIVE_TUPLE, TCP, UDP

CLASSIFY, SERVICE, AFFINITY, CHOOSE, BIND, HOME, ERROR, SLOT, LEARN, LEARN_HOME, REFUSE, UNBOUND = range(12)
SLOTS = 64

GROUP_COOKIE = 0xD3 << 48
ASSIGNED_COOKIE = 0xD4 << 48  # counts new connections, by instance
REFUSED_COOKIE = 0xD5 << 48  # counts packets of flows that no instance could take
LEARNT_COOKIE = 0xD6 << 48
ERROR_COOKIE = 0xD8 << 48  # brings up ICMPv6 errors about a connection
KIND_MASK = 0xFFFF << 48
GENERATION_MASK = 0xFF << 40
NUMBER_MASK = (1 << 32) - 1

_ETHER_TYPE = {4: 0x0800, 6: 0x86DD}
_NEW, _RELATED, _REPLY, _INVALID, _TRACKED = 0x01, 0x04, 0x08, 0x10, 0x20
_COMMIT = 1
_NAT_DESTINATION = 1 << 1
_IN_PORT = 0xFFF8
_NO_RECIRCULATION = 0xFF
_HASH_NW_SRC = 4
_MODULO_N = 0
_ICMP_ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
_PORTS = {TCP: ("tcp_src", "tcp_dst"), UDP: ("udp_src", "udp_dst")}

Datapath = Any
Message = Any


@dataclass(frozen=True)
class GroupSpec:
    """One D-SID in datapath mode: `number` is that of its select group and in reg5, `zone` its conntrack zone."""

    number: int
    service: Service
    d_sid: Address
    zone: int

    @property
    def learns(self) -> bool:
        """Return whether flow identifiers have to be learnt, for conntrack's own is another."""
        return set(self.service.flow_fields) != set(FIVE_TUPLE) or self.service.port_block > 1


class GroupEntries:
    """The entries of one D-Router's groups. `prefixes` hold the clients of its site; `generation` is 0..255."""

    def __init__(
        self,
        datapath: Datapath,
        groups: Sequence[GroupSpec],
        prefixes: Sequence[Network],
        uplink_port: int,
        generation: int,
        direct_zone: int | None = None,
    ) -> None:
        self._datapath = datapath
        self._direct_zone = direct_zone
        self._groups = groups
        self._prefixes = prefixes
        self._uplink = [parser.OFPActionOutput(uplink_port)]
        self._generation = generation << 40

    def service(self, group: GroupSpec) -> Iterator[Message]:
        """Set up what does not depend on the group's members; `new_flows` comes first."""
        to_d_sid = _ip(group.d_sid.version, dst=group.d_sid)
        mine = {"reg5": group.number}
        invalid = {"ct_state": (_INVALID | _TRACKED, _INVALID | _TRACKED)}
        yield self._add(BIND, 0, {}, [])
        yield self._add(SERVICE, 0, {}, self._uplink)
        if group.learns:
            yield from self._learning(group)
        yield self._add(REFUSE, 100, mine, self._uplink, REFUSED_COOKIE | group.number)
        yield self._add(SERVICE, 100, {**mine, **to_d_sid, **invalid}, [])
        error = {"ct_state": (_RELATED | _TRACKED, _RELATED | _TRACKED)}
        yield self._add(SERVICE, 100, {**mine, **to_d_sid, **error}, [_rewrite_error(group.zone), *self._uplink])
        yield from self._errors(group.d_sid.version)
        # Last, for it brings the packets in.
        yield self._add(CLASSIFY, 100, to_d_sid, [*_set(mine), _conntrack(group.zone, SERVICE)])

    def new_flows(self, group: GroupSpec, *, takes_flows: bool, now_s: float, is_reset: bool = False) -> Message:
        """Have new flows bound, or refused. Needs the select group, unless the D-SID's flows are learnt.

        `is_reset`: also those of an identifier that is bound, to whatever its slot now leads to.
        """
        match = {"reg5": group.number, **_ip(group.d_sid.version, dst=group.d_sid)}
        match["ct_state"] = (_NEW | _TRACKED, _NEW | _TRACKED)
        if not takes_flows:
            return self._add(SERVICE, 100, match, [_resubmit(REFUSE)])
        bound = [] if is_reset else [_resubmit(AFFINITY)]
        choose = [*bound, _resubmit(CHOOSE)] if group.learns else [parser.OFPActionGroup(group.number)]
        return self._add(SERVICE, 100, match, [*_set({"reg6": int(now_s)}), *choose])

    def member(self, group: GroupSpec, d_bid: Address, number: int) -> Iterator[Message]:
        """Let flows be bound to an instance, counted under `number`."""
        bind = [_resubmit(LEARN)] if group.learns else []
        bind += [_commit(group.zone, d_bid), *self._uplink]
        yield self._add(BIND, 100, _instance(group, d_bid), bind, ASSIGNED_COOKIE | number)

    def without_member(self, group: GroupSpec, d_bid: Address) -> Iterator[Message]:
        """Bind no more flows to an instance."""
        yield self._delete_strict(BIND, 100, _instance(group, d_bid))
        yield self._delete_strict(BIND, 110, _own_call(group, d_bid))

    def own_calls(self, group: GroupSpec, d_bid: Address, other: Address | None) -> Iterator[Message]:
        """Have calls of an instance of this site to its own D-SID served by another one; None: refused."""
        if any(d_bid in prefix for prefix in self._prefixes):
            actions = [_resubmit(REFUSE)] if other is None else [*_set(registers(other)), _resubmit(BIND)]
            yield self._add(BIND, 110, _own_call(group, d_bid), actions)

    def home(self, d_bid: Address, groups: Sequence[GroupSpec]) -> Iterator[Message]:
        """Have answers of an instance rewritten that belong to one of `groups`, tried in the order of their numbers.

        One order for all control processes, and each group before what leads to it: what a former process wrote and
        what this one writes are ways to the same end, however many of these messages the switch has had.
        """
        groups = sorted(groups, key=lambda group: group.number)
        yield self._add(HOME, 0, {}, [parser.OFPActionOutput(ofp.OFPP_NORMAL)])
        stranger = {"ct_state": (0, _REPLY)}
        yield from self._unbound(d_bid.version)
        for group, following in reversed(list(pairwise(groups))):
            yield self._add(HOME, 100, {**_instance(group, d_bid), **stranger}, self._look_for_answer(following))
        for prefix in self._prefixes:
            if prefix.version == d_bid.version:
                match = _ip(d_bid.version, src=d_bid, dst=prefix)
                actions = [*_set(registers(d_bid)), *self._look_for_answer(groups[0])]
                yield self._add(CLASSIFY, 90, match, actions)
        for group in self._groups:
            if group.d_sid.version == d_bid.version and group not in groups[:-1]:
                yield self._delete_strict(HOME, 100, {**_instance(group, d_bid), **stranger})

    def _unbound(self, version: int) -> Iterator[Message]:
        """Look whether what is no answer is of a conversation without a D-SID."""
        if self._direct_zone is not None:
            for proto in _PORTS:
                match = {"eth_type": _ETHER_TYPE[version], "ip_proto": proto, "ct_state": (0, _REPLY)}
                yield self._add(HOME, 30, match, [_track(self._direct_zone, [], UNBOUND)])

    def slots(self, group: GroupSpec, holders: dict[int, Address]) -> Iterator[Message]:
        """Assign slots of a group that learns to instances."""
        for slot, d_bid in holders.items():
            yield self._add(SLOT, 100, {"reg5": group.number, "reg4": slot}, _set(registers(d_bid)))

    def remove_older_generations(self) -> Iterator[Message]:
        """Take away what an earlier control process left and this one has not written again."""
        for kind in (GROUP_COOKIE, ASSIGNED_COOKIE, REFUSED_COOKIE, ERROR_COOKIE):
            for bit in range(40, 48):
                # A cookie is of another generation if it differs in at least one bit.
                other = ~self._generation & (1 << bit)
                yield _delete(self._datapath, kind | other, KIND_MASK | 1 << bit)

    def remove(self, group: GroupSpec) -> Iterator[Message]:
        """Stop taking packets of a group out of the ordinary way."""
        yield self._delete_strict(CLASSIFY, 100, _ip(group.d_sid.version, dst=group.d_sid))

    def forget_learnt(self, group: GroupSpec) -> Message:
        """Take away all that was learnt for a group."""
        return _delete(self._datapath, LEARNT_COOKIE | group.number, KIND_MASK | NUMBER_MASK)

    def _learning(self, group: GroupSpec) -> Iterator[Message]:
        version, mine = group.d_sid.version, {"reg5": group.number}
        unbound = dict.fromkeys(registers(group.d_sid), 0)
        choose = [_multipath(), _resubmit(SLOT), _resubmit(BIND)]
        yield self._add(CHOOSE, 100, {**mine, **unbound}, choose)
        yield self._add(CHOOSE, 50, mine, [_resubmit(BIND)])
        # Bound to an instance that is no member any more.
        yield self._add(BIND, 50, mine, choose)
        from_d_bid = parser.NXActionRegMove(
            f"ipv{version}_dst", "reg0" if version == 4 else "xxreg0", n_bits=32 if version == 4 else 128
        )
        of_family = {**mine, "eth_type": _ETHER_TYPE[version]}
        yield self._add(SERVICE, 50, of_family, [from_d_bid, _resubmit(LEARN), *self._uplink])
        answer = {"ct_state": (_REPLY | _TRACKED, _REPLY | _TRACKED)}
        yield self._add(HOME, 50, {**mine, **answer}, [_resubmit(LEARN_HOME), parser.OFPActionOutput(ofp.OFPP_NORMAL)])
        has_ports = group.service.identifies_by_ports
        for proto in (TCP, UDP) if has_ports else ():
            match = {**of_family, "ip_proto": proto}
            yield self._add(LEARN, 100, match, [self._learn(group, proto, reverse=False)])
            yield self._add(LEARN_HOME, 100, match, [self._learn(group, proto, reverse=True)])
        yield self._add(LEARN, 50, of_family, [self._learn(group, None, reverse=False)])
        yield self._add(LEARN_HOME, 50, of_family, [self._learn(group, None, reverse=True)])

    def _learn(self, group: GroupSpec, proto: int | None, *, reverse: bool) -> Any:
        """Return the action that binds a packet's flow identifier to the instance in xxreg0.

        It refreshes an entry that stands already; so the timeout, though a hard one, counts from the last packet of
        either direction.
        """
        version = group.d_sid.version
        bits = 32 if version == 4 else 128
        here, there = ("dst", "src") if reverse else ("src", "dst")
        specs = [
            parser.NXFlowSpecMatch(src=group.number, dst=("reg5", 0), n_bits=32),
            parser.NXFlowSpecMatch(src=_ETHER_TYPE[version], dst=("eth_type_nxm", 0), n_bits=16),
        ]
        fields = group.service.flow_fields
        if "src" in fields:
            specs.append(_same(f"ipv{version}_{here}_nxm", f"ipv{version}_src_nxm", bits))
        if proto is None and "proto" in fields:
            specs.append(_same("ip_proto_nxm", "ip_proto_nxm", 8))
        if proto is not None:  # as a constant, which ports need before them
            specs.append(parser.NXFlowSpecMatch(src=proto, dst=("ip_proto_nxm", 0), n_bits=8))
            name = {TCP: "tcp", UDP: "udp"}[proto]
            first_bit = group.service.port_block.bit_length() - 1
            for field, at in (("src_port", here), ("dst_port", there)):
                if field in fields:
                    specs.append(_same(f"{name}_{at}_nxm", f"{name}_{field[:3]}_nxm", 16 - first_bit, first_bit))
        register = "reg0" if version == 4 else "xxreg0"
        specs.append(parser.NXFlowSpecLoad(src=(register, 0), dst=(register, 0), n_bits=bits))
        cookie = LEARNT_COOKIE | group.number
        return parser.NXActionLearn(
            AFFINITY, specs, hard_timeout=group.service.affinity_timeout_s, priority=100, cookie=cookie
        )

    def _errors(self, version: int) -> Iterator[Message]:
        groups = [group for group in self._groups if group.d_sid.version == version]
        names = {4: ("icmpv4_type", 1), 6: ("icmpv6_type", 58)}
        field, proto = names[version]
        for kind in _ICMP_ERRORS[version]:
            for prefix in self._prefixes:
                if prefix.version == version:
                    match = {**_ip(version, dst=prefix), "ip_proto": proto, field: kind}
                    yield self._add(CLASSIFY, 95, match, self._look_for_error(groups[0]))
        for group, following in pairwise(groups):
            match = {"reg5": group.number, "eth_type": _ETHER_TYPE[version], "ct_state": (0, _RELATED)}
            yield self._add(ERROR, 100, match, self._look_for_error(following))
        if version == 6:
            brought_up = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
            for group in groups:
                match = {"reg5": group.number, "eth_type": _ETHER_TYPE[version], "ct_state": (_RELATED, _RELATED)}
                yield self._add(ERROR, 50, match, brought_up, ERROR_COOKIE | group.number)
        yield self._add(ERROR, 0, {}, [parser.OFPActionOutput(ofp.OFPP_NORMAL)])

    def _look_for_answer(self, group: GroupSpec) -> list[Any]:
        return [*_set({"reg5": group.number}), _conntrack(group.zone, HOME)]

    def _look_for_error(self, group: GroupSpec) -> list[Any]:
        """Rewrite an error as its connection says; of IPv6, only look whose it is.

        The userspace datapath damages what an ICMPv6 error quotes of TCP when it rewrites it (Open vSwitch 3.1).
        """
        rewritten = [parser.NXActionNAT(flags=0)] if group.d_sid.version == 4 else []
        return [*_set({"reg5": group.number}), _track(group.zone, rewritten, ERROR)]

    def _add(
        self, table: int, priority: int, match: dict[str, Any], actions: list[Any], cookie: int = GROUP_COOKIE
    ) -> Message:
        return parser.OFPFlowMod(
            datapath=self._datapath,
            cookie=cookie | self._generation,
            table_id=table,
            command=ofp.OFPFC_ADD,
            priority=priority,
            match=parser.OFPMatch(**match),
            instructions=[parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)],
        )

    def _delete_strict(self, table: int, priority: int, match: dict[str, Any]) -> Message:
        return parser.OFPFlowMod(
            datapath=self._datapath,
            table_id=table,
            command=ofp.OFPFC_DELETE_STRICT,
            priority=priority,
            out_port=ofp.OFPP_ANY,
            out_group=ofp.OFPG_ANY,
            match=parser.OFPMatch(**match),
        )


def is_of_groups(cookie: int) -> bool:
    """Return whether an entry's cookie is one of ours."""
    return cookie & KIND_MASK in (GROUP_COOKIE, ASSIGNED_COOKIE, REFUSED_COOKIE, LEARNT_COOKIE, ERROR_COOKIE)


def brings_error(cookie: int) -> bool:
    """Return whether an entry's cookie says that it brings up ICMP errors."""
    return cookie & KIND_MASK == ERROR_COOKIE


def registers(d_bid: Address) -> dict[str, int]:
    """Return the registers that hold an instance, and their values."""
    if d_bid.version == 4:
        return {"reg0": int(d_bid)}
    return {f"reg{3 - word}": int(d_bid) >> 32 * word & 0xFFFF_FFFF for word in range(4)}


def _instance(group: GroupSpec, d_bid: Address) -> dict[str, Any]:
    return {"reg5": group.number, "eth_type": _ETHER_TYPE[d_bid.version], **registers(d_bid)}


def _own_call(group: GroupSpec, d_bid: Address) -> dict[str, Any]:
    return {**_instance(group, d_bid), **_ip(d_bid.version, src=d_bid)}


def _ip(version: int, src: Address | None = None, dst: Address | Network | None = None) -> dict[str, Any]:
    fields: dict[str, Any] = {"eth_type": _ETHER_TYPE[version]}
    if src is not None:
        fields[f"ipv{version}_src"] = str(src)
    if dst is not None:
        if isinstance(dst, (IPv4Network, IPv6Network)):
            fields[f"ipv{version}_dst"] = (str(dst.network_address), str(dst.netmask))
        else:
            fields[f"ipv{version}_dst"] = str(dst)
    return fields


def _set(fields: dict[str, int]) -> list[Any]:
    return [parser.OFPActionSetField(**{name: value}) for name, value in fields.items()]


def _resubmit(table: int) -> Any:
    return parser.NXActionResubmitTable(in_port=_IN_PORT, table_id=table)


def _conntrack(zone: int, table: int) -> Any:
    """Look a packet up and rewrite it as its connection says, then go on in `table`."""
    return _track(zone, [parser.NXActionNAT(flags=0)], table)


def _commit(zone: int, d_bid: Address) -> Any:
    """Make a connection of a packet, whose destination is the instance from now on."""
    # Both bounds: the library does not pad a single IPv4 address, and the switch would not find what comes next.
    bounds = {f"range_ipv{d_bid.version}_{end}": str(d_bid) for end in ("min", "max")}
    nat = parser.NXActionNAT(flags=_NAT_DESTINATION, **bounds)
    return _track(zone, [nat, parser.NXActionRegMove("reg6", "ct_mark", n_bits=32)], flags=_COMMIT)


def _rewrite_error(zone: int) -> Any:
    """Rewrite an ICMP error from the client about a connection; the kernel does that only where one is committed."""
    return _track(zone, [parser.NXActionNAT(flags=0)], flags=_COMMIT)


def _track(zone: int, actions: list[Any], table: int = _NO_RECIRCULATION, flags: int = 0) -> Any:
    return parser.NXActionCT(flags=flags, zone_src="", zone_ofs_nbits=zone, recirc_table=table, alg=0, actions=actions)


def _multipath() -> Any:
    return parser.NXActionMultipath(
        fields=_HASH_NW_SRC, basis=0, algorithm=_MODULO_N, max_link=SLOTS - 1, arg=0, ofs_nbits=31, dst="reg4"
    )


def _same(source: str, destination: str, bits: int, first_bit: int = 0) -> Any:
    return parser.NXFlowSpecMatch(src=(source, first_bit), dst=(destination, first_bit), n_bits=bits)


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
