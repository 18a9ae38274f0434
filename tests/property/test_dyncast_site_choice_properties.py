"""Two steps, one instance: whatever is reported meanwhile, a flow leaves its instance only if that has died."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.actions import ForwardPacket
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address
from tests.dyncast_samples import D_SID, flow, of_kind, report_bytes, told

SITES = {name: ip_address(f"10.{number}.0.1") for number, name in enumerate(("home", "east", "west"), 1)}
INSTANCES = {site: [address + 20, address + 21] for site, address in SITES.items()}
_REPORT = st.tuples(
    st.sampled_from(sorted(SITES)), st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=2, max_size=2)
)
_EVENTS = st.lists(st.one_of(st.integers(40000, 40009), _REPORT), max_size=60)


def routers(policy: str, local_policy: str, seed: int) -> dict[str, DRouter]:
    service = Service("render", (D_SID,), policy, steering="tunnel", choice="site", local_policy=local_policy)
    return {
        site: DRouter(
            DRouterConfig(
                site,
                (service,),
                tuple(Peer(name, peer, 10.0) for name, peer in SITES.items() if name != site),
                address=address,
            ),
            Random(seed),
        )
        for site, address in SITES.items()
    }


def steered(made: dict[str, DRouter], port: int, now_s: float) -> tuple[str, Address] | None:
    """Send a packet from home through both steps; return the egress and the instance that got it."""
    (first, *_) = of_kind(made["home"].on_packet(flow(port), now_s), ForwardPacket) or [None]
    if first is None:
        return None
    egress = made["home"].site_behind(first.entry.d_bid)
    if egress is None:
        return "home", first.entry.d_bid
    (second, *_) = of_kind(made[egress].on_packet(flow(port), now_s, tunnelled=True), ForwardPacket) or [None]
    return None if second is None else (egress, second.entry.d_bid)


@given(
    _EVENTS,
    st.sampled_from(("dyncast", "least_loaded", "random", "round_robin", "power_of_two", "weighted", "closest")),
    st.sampled_from(("least_loaded", "random", "round_robin", "dyncast")),
    st.integers(0, 2**32),
)
def test_a_flow_stays_at_its_instance_until_that_dies(
    events: list[int | tuple[str, list[int | None]]], policy: str, local_policy: str, seed: int
) -> None:
    made = routers(policy, local_policy, seed)
    served: dict[int, tuple[str, Address]] = {}
    has_died: set[Address] = set()
    for sequence, event in enumerate([*((site, [0, 0]) for site in SITES), *events], 1):
        now_s = sequence * 0.05
        if isinstance(event, int):
            got = steered(made, event, now_s)
            if got is None:
                continue
            before = served.setdefault(event, got)
            assert got[1] in INSTANCES[got[0]]
            if got != before:
                assert before[1] in has_died
                served[event] = got
        else:
            site, sessions = event
            raws = [
                None if n is None else RawMetrics(2, queue_limit=50, sessions=n, service_time_s=0.1) for n in sessions
            ]
            has_died |= {d_bid for d_bid, n in zip(INSTANCES[site], sessions, strict=True) if n is None}
            bindings = [told(d_bid, raw, d_sid=D_SID) for d_bid, raw in zip(INSTANCES[site], raws, strict=True)]
            for router in made.values():
                router.on_message(report_bytes(site, sequence, now_s, *bindings), SITES[site], now_s)
