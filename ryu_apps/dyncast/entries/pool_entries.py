"""OpenFlow entries that let the switch bind flows itself: tables, registers and what stands in them.

Pure functions from pools to OpenFlow 1.3 messages with Open vSwitch's extensions (conntrack, learn, multipath). The
select groups that go with them are in `select_groups`; when to send what is decided in `pools`.

    table              what happens to a packet
    0  CLASSIFY        to a D-SID: conntrack (undoes nothing yet), on to SERVICE; from a D-BID, or an ICMP error, to a
                       client of this site: conntrack (D-BID → D-SID), on to HOME or ERROR; all else as usual
    1  SERVICE         still to the D-SID, so of no known connection: choose; else to its D-BID: out of the uplink
    2  AFFINITY        learnt: which instance the flow identifier is bound to (not for the 5-tuple)
    3  CHOOSE          not bound: a slot by the hash of the client's address
    4  BIND            commit the connection to the instance chosen, D-SID → D-BID, out of the uplink
    5  HOME            an answer, rewritten: as usual
    6  ERROR           an ICMP error, rewritten if it speaks of a connection: as usual
    7  SLOT            slot → instance, at the pool's weights
    8  LEARN           put the flow identifier into AFFINITY, or refresh it; 9 LEARN_HOME, of a packet on its way home
    10 REFUSE          no instance takes new flows: out of the uplink as it is, to the router, which refuses it

The 5-tuple is conntrack's own identifier: a select group spreads new connections without an upcall to the daemon.
Other identifiers are learnt. Registers: xxreg0 the instance (an IPv4 address in its first word), reg4 the slot, reg5
the pool, reg6 the time in seconds, which becomes the connection's mark: conntrack itself does not say how old it is.
Every entry carries the generation of the control process that wrote it, so that a later one can tell which it has
written anew and take away the others.
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

CLASSIFY, SERVICE, AFFINITY, CHOOSE, BIND, HOME, ERROR, SLOT, LEARN, LEARN_HOME, REFUSE = range(11)
SLOTS = 64

POOL_COOKIE = 0xD3 << 48
ASSIGNED_COOKIE = 0xD4 << 48  # counts new connections, by instance
REFUSED_COOKIE = 0xD5 << 48  # counts packets of flows that no instance could take
LEARNT_COOKIE = 0xD6 << 48
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
class PoolSpec:
    """One D-SID in datapath mode: `number` names its pool (register, group), `zone` is the service's conntrack zone."""

    number: int
    service: Service
    d_sid: Address
    zone: int

    @property
    def learns(self) -> bool:
        """Tell whether flow identifiers have to be learnt, for conntrack's own is another."""
        return set(self.service.flow_fields) != set(FIVE_TUPLE) or self.service.port_block > 1


class PoolEntries:
    """The entries of one D-Router's pools. `prefixes` hold the clients of its site; `generation` is 0..255."""

    def __init__(
        self,
        datapath: Datapath,
        pools: Sequence[PoolSpec],
        prefixes: Sequence[Network],
        uplink_port: int,
        generation: int,
    ) -> None:
        self._datapath = datapath
        self._pools = pools
        self._prefixes = prefixes
        self._uplink = [parser.OFPActionOutput(uplink_port)]
        self._generation = generation << 40

    def service(self, pool: PoolSpec) -> Iterator[Message]:
        """Set up what does not depend on the pool's members; `new_flows` comes first."""
        to_d_sid = _ip(pool.d_sid.version, dst=pool.d_sid)
        mine = {"reg5": pool.number}
        invalid = {"ct_state": (_INVALID | _TRACKED, _INVALID | _TRACKED)}
        yield self._add(BIND, 0, {}, [])
        yield self._add(SERVICE, 0, {}, self._uplink)
        if pool.learns:
            yield from self._learning(pool)
        yield self._add(REFUSE, 100, mine, self._uplink, REFUSED_COOKIE | pool.number)
        yield self._add(SERVICE, 100, {**mine, **to_d_sid, **invalid}, [])
        yield from self._errors(pool.d_sid.version)
        # Last, for it brings the packets in.
        yield self._add(CLASSIFY, 100, to_d_sid, [*_set(mine), _conntrack(pool.zone, SERVICE)])

    def new_flows(self, pool: PoolSpec, *, takes_flows: bool, now_s: float, anew: bool = False) -> Message:
        """Have new flows bound, or refused. Needs the pool's group, unless it learns.

        `anew`: also those of an identifier that is bound, to whatever its slot now leads to.
        """
        match = {"reg5": pool.number, **_ip(pool.d_sid.version, dst=pool.d_sid)}
        match["ct_state"] = (_NEW | _TRACKED, _NEW | _TRACKED)
        if not takes_flows:
            return self._add(SERVICE, 100, match, [_resubmit(REFUSE)])
        bound = [] if anew else [_resubmit(AFFINITY)]
        choose = [*bound, _resubmit(CHOOSE)] if pool.learns else [parser.OFPActionGroup(pool.number)]
        return self._add(SERVICE, 100, match, [*_set({"reg6": int(now_s)}), *choose])

    def member(self, pool: PoolSpec, d_bid: Address, number: int) -> Iterator[Message]:
        """Let flows be bound to an instance, counted under `number`."""
        bind = [_resubmit(LEARN)] if pool.learns else []
        bind += [_commit(pool.zone, d_bid), *self._uplink]
        yield self._add(BIND, 100, _instance(pool, d_bid), bind, ASSIGNED_COOKIE | number)

    def without_member(self, pool: PoolSpec, d_bid: Address) -> Iterator[Message]:
        """Bind no more flows to an instance."""
        yield self._delete_strict(BIND, 100, _instance(pool, d_bid))

    def home(self, d_bid: Address, pools: Sequence[PoolSpec]) -> Iterator[Message]:
        """Have answers of an instance rewritten that belong to one of `pools`, tried in the order of their numbers.

        One order for all control processes, and each pool before what leads to it: what a former process wrote and what
        this one writes are ways to the same end, however many of these messages the switch has had.
        """
        pools = sorted(pools, key=lambda pool: pool.number)
        yield self._add(HOME, 0, {}, [parser.OFPActionOutput(ofp.OFPP_NORMAL)])
        stranger = {"ct_state": (0, _REPLY)}
        for pool, following in reversed(list(pairwise(pools))):
            yield self._add(HOME, 100, {**_instance(pool, d_bid), **stranger}, self._look_for_answer(following))
        for prefix in self._prefixes:
            if prefix.version == d_bid.version:
                match = _ip(d_bid.version, src=d_bid, dst=prefix)
                actions = [*_set(registers(d_bid)), *self._look_for_answer(pools[0])]
                yield self._add(CLASSIFY, 90, match, actions)
        for pool in self._pools:
            if pool.d_sid.version == d_bid.version and pool not in pools[:-1]:
                yield self._delete_strict(HOME, 100, {**_instance(pool, d_bid), **stranger})

    def slots(self, pool: PoolSpec, holders: dict[int, Address]) -> Iterator[Message]:
        """Give slots of a pool that learns to instances."""
        for slot, d_bid in holders.items():
            yield self._add(SLOT, 100, {"reg5": pool.number, "reg4": slot}, _set(registers(d_bid)))

    def remove_older_generations(self) -> Iterator[Message]:
        """Take away what an earlier control process left and this one has not written anew."""
        for kind in (POOL_COOKIE, ASSIGNED_COOKIE, REFUSED_COOKIE):
            for bit in range(40, 48):
                # A cookie is of another generation if it differs in at least one bit.
                other = ~self._generation & (1 << bit)
                yield _delete(self._datapath, kind | other, KIND_MASK | 1 << bit)

    def remove(self, pool: PoolSpec) -> Iterator[Message]:
        """Stop taking packets of a pool out of the ordinary way."""
        yield self._delete_strict(CLASSIFY, 100, _ip(pool.d_sid.version, dst=pool.d_sid))

    def forget_learnt(self, pool: PoolSpec) -> Message:
        """Take away all that was learnt for a pool."""
        return _delete(self._datapath, LEARNT_COOKIE | pool.number, KIND_MASK | NUMBER_MASK)

    def _learning(self, pool: PoolSpec) -> Iterator[Message]:
        version, mine = pool.d_sid.version, {"reg5": pool.number}
        unbound = dict.fromkeys(registers(pool.d_sid), 0)
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
        has_ports = pool.service.identifies_by_ports
        for proto in (TCP, UDP) if has_ports else ():
            match = {**of_family, "ip_proto": proto}
            yield self._add(LEARN, 100, match, [self._learn(pool, proto, reverse=False)])
            yield self._add(LEARN_HOME, 100, match, [self._learn(pool, proto, reverse=True)])
        yield self._add(LEARN, 50, of_family, [self._learn(pool, None, reverse=False)])
        yield self._add(LEARN_HOME, 50, of_family, [self._learn(pool, None, reverse=True)])

    def _learn(self, pool: PoolSpec, proto: int | None, *, reverse: bool) -> Any:
        """Return the action that binds a packet's flow identifier to the instance in xxreg0.

        It refreshes an entry that stands already; so the timeout, though a hard one, counts from the last packet of
        either direction.
        """
        version = pool.d_sid.version
        bits = 32 if version == 4 else 128
        here, there = ("dst", "src") if reverse else ("src", "dst")
        specs = [
            parser.NXFlowSpecMatch(src=pool.number, dst=("reg5", 0), n_bits=32),
            parser.NXFlowSpecMatch(src=_ETHER_TYPE[version], dst=("eth_type_nxm", 0), n_bits=16),
        ]
        fields = pool.service.flow_fields
        if "src" in fields:
            specs.append(_same(f"ipv{version}_{here}_nxm", f"ipv{version}_src_nxm", bits))
        if proto is None and "proto" in fields:
            specs.append(_same("ip_proto_nxm", "ip_proto_nxm", 8))
        if proto is not None:  # as a constant, which ports need before them
            specs.append(parser.NXFlowSpecMatch(src=proto, dst=("ip_proto_nxm", 0), n_bits=8))
            name = {TCP: "tcp", UDP: "udp"}[proto]
            first_bit = pool.service.port_block.bit_length() - 1
            for field, at in (("src_port", here), ("dst_port", there)):
                if field in fields:
                    specs.append(_same(f"{name}_{at}_nxm", f"{name}_{field[:3]}_nxm", 16 - first_bit, first_bit))
        register = "reg0" if version == 4 else "xxreg0"
        specs.append(parser.NXFlowSpecLoad(src=(register, 0), dst=(register, 0), n_bits=bits))
        cookie = LEARNT_COOKIE | pool.number
        return parser.NXActionLearn(
            AFFINITY, specs, hard_timeout=pool.service.affinity_timeout_s, priority=100, cookie=cookie
        )

    def _errors(self, version: int) -> Iterator[Message]:
        pools = [pool for pool in self._pools if pool.d_sid.version == version]
        names = {4: ("icmpv4_type", 1), 6: ("icmpv6_type", 58)}
        field, proto = names[version]
        for kind in _ICMP_ERRORS[version]:
            for prefix in self._prefixes:
                if prefix.version == version:
                    match = {**_ip(version, dst=prefix), "ip_proto": proto, field: kind}
                    yield self._add(CLASSIFY, 95, match, self._look_for_error(pools[0]))
        for pool, following in pairwise(pools):
            match = {"reg5": pool.number, "eth_type": _ETHER_TYPE[version], "ct_state": (0, _RELATED)}
            yield self._add(ERROR, 100, match, self._look_for_error(following))
        yield self._add(ERROR, 0, {}, [parser.OFPActionOutput(ofp.OFPP_NORMAL)])

    def _look_for_answer(self, pool: PoolSpec) -> list[Any]:
        return [*_set({"reg5": pool.number}), _conntrack(pool.zone, HOME)]

    def _look_for_error(self, pool: PoolSpec) -> list[Any]:
        return [*_set({"reg5": pool.number}), _conntrack(pool.zone, ERROR)]

    def _add(
        self, table: int, priority: int, match: dict[str, Any], actions: list[Any], cookie: int = POOL_COOKIE
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


def is_of_pools(cookie: int) -> bool:
    """Tell whether an entry's cookie is one of ours."""
    return cookie & KIND_MASK in (POOL_COOKIE, ASSIGNED_COOKIE, REFUSED_COOKIE, LEARNT_COOKIE)


def registers(d_bid: Address) -> dict[str, int]:
    """Return the registers that hold an instance, and their values."""
    if d_bid.version == 4:
        return {"reg0": int(d_bid)}
    return {f"reg{3 - word}": int(d_bid) >> 32 * word & 0xFFFF_FFFF for word in range(4)}


def _instance(pool: PoolSpec, d_bid: Address) -> dict[str, Any]:
    return {"reg5": pool.number, "eth_type": _ETHER_TYPE[d_bid.version], **registers(d_bid)}


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
    nat = parser.NXActionNAT(flags=0)
    return parser.NXActionCT(flags=0, zone_src="", zone_ofs_nbits=zone, recirc_table=table, alg=0, actions=[nat])


def _commit(zone: int, d_bid: Address) -> Any:
    """Make a connection of a packet, whose destination is the instance from now on."""
    # Both bounds: the library does not pad a single IPv4 address, and the switch would not find what comes next.
    bounds = {f"range_ipv{d_bid.version}_{end}": str(d_bid) for end in ("min", "max")}
    nat = parser.NXActionNAT(flags=_NAT_DESTINATION, **bounds)
    mark = parser.NXActionRegMove("reg6", "ct_mark", n_bits=32)
    return parser.NXActionCT(
        flags=_COMMIT, zone_src="", zone_ofs_nbits=zone, recirc_table=_NO_RECIRCULATION, alg=0, actions=[nat, mark]
    )


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
