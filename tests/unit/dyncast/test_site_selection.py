"""The choice in two steps: the ingress picks a site, its egress the instance; both keep to what they picked."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from testbed.dyncast.actions import Action, DropPacket, ForwardPacket, InstallAffinity, RefusePacket
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.events import Decided
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.dyncast.selection.site_selection import summed
from testbed.net.addresses import Address
from tests.dyncast_samples import D_SID, flow, of_kind, only, report_bytes, told

HOME, BIG, SMALL = "home", "big", "small"
ADDRESSES = {site: ip_address(f"10.{number}.0.1") for number, site in enumerate((HOME, BIG, SMALL), 1)}
INSTANCES = {
    HOME: [ip_address("10.1.0.20")],
    BIG: [ip_address(f"10.2.0.{number}") for number in (20, 21, 22, 23)],
    SMALL: [ip_address("10.3.0.20")],
}


def router(site: str, **changes: object) -> DRouter:
    fields = {"policy": "least_loaded", "local_policy": "round_robin", "steering": "tunnel", "choice": "site"} | changes
    service = Service("render", (D_SID,), **fields)  # type: ignore[arg-type]
    peers = tuple(Peer(name, address, 10.0) for name, address in ADDRESSES.items() if name != site)
    return DRouter(DRouterConfig(site, (service,), peers, address=ADDRESSES[site]), Random(1))


def tell(routers: list[DRouter], now_s: float, sequence: int, sessions: dict[Address, int | None]) -> list[Action]:
    """Have all D-Routers hear of all instances; sessions None: it is down, left out: none."""
    actions: list[Action] = []
    for site, d_bids in INSTANCES.items():
        of_site = [told(d_bid, _raw(sessions.get(d_bid, 0)), d_sid=D_SID) for d_bid in d_bids]
        for item in routers:
            actions += item.on_message(report_bytes(site, sequence, now_s, *of_site), ADDRESSES[site], now_s)
    return actions


def _raw(sessions: int | None) -> RawMetrics | None:
    if sessions is None:
        return None
    return RawMetrics(2, queue_limit=50, sessions=sessions, utilisation=min(1, sessions / 2), service_time_s=0.1)


@pytest.fixture
def routers() -> dict[str, DRouter]:
    made = {site: router(site) for site in ADDRESSES}
    tell([*made.values()], 0.0, 1, {INSTANCES[HOME][0]: 2, INSTANCES[SMALL][0]: 2})
    return made


def test_the_ingress_picks_the_site_and_the_egress_the_instance(routers: dict[str, DRouter]) -> None:
    at_ingress = routers[HOME].on_packet(flow(), 1.0)
    decided = only(at_ingress, Decided)
    assert (decided.d_bid, decided.egress, decided.policy, decided.considered) == (None, BIG, "least_loaded", 3)
    entry = only(at_ingress, InstallAffinity).entry
    assert (entry.d_bid, entry.egress) == (ADDRESSES[BIG], BIG)
    assert routers[HOME].site_behind(entry.d_bid) == BIG

    at_egress = routers[BIG].on_packet(flow(), 1.01, tunnelled=True)
    decided = only(at_egress, Decided)
    assert (decided.egress, decided.policy, decided.considered) == (BIG, "round_robin", 4)
    assert decided.d_bid in INSTANCES[BIG]
    bound = only(at_egress, ForwardPacket).entry
    assert (bound.d_bid, routers[BIG].site_behind(bound.d_bid)) == (decided.d_bid, None)


def test_both_keep_to_what_they_picked(routers: dict[str, DRouter]) -> None:
    entry = only(routers[HOME].on_packet(flow(), 1.0), InstallAffinity).entry
    bound = only(routers[BIG].on_packet(flow(), 1.0, tunnelled=True), InstallAffinity).entry
    tell([*routers.values()], 1.1, 2, dict.fromkeys(INSTANCES[BIG], 40))  # the site is no longer the best
    assert routers[HOME].on_packet(flow(), 1.2) == [ForwardPacket(entry)]
    assert routers[BIG].on_packet(flow(), 1.2, tunnelled=True) == [ForwardPacket(bound)]
    assert of_kind(routers[HOME].on_packet(flow(40001), 1.2), Decided)[0].egress == HOME


def test_an_ingress_that_picks_its_own_site_takes_both_steps(routers: dict[str, DRouter]) -> None:
    actions = routers[BIG].on_packet(flow(), 1.0)
    site, instance = of_kind(actions, Decided)
    assert (site.d_bid, site.egress, instance.egress) == (None, BIG, BIG)
    assert only(actions, InstallAffinity).entry.d_bid == instance.d_bid in INSTANCES[BIG]
    assert routers[BIG].counters["decisions"] == 2


def test_instances_of_other_sites_are_nothing_to_an_egress(routers: dict[str, DRouter]) -> None:
    chosen = {
        only(routers[BIG].on_packet(flow(port), 1.0, tunnelled=True), Decided).d_bid for port in range(40000, 40040)
    }
    assert chosen == set(INSTANCES[BIG])


def test_a_site_is_worth_what_all_its_instances_can_do() -> None:
    """By capacity, a site of four gets four times as many flows as a site of one."""
    ingress = router(HOME, policy="weighted")
    tell([ingress], 0.0, 1, {})
    shares = {item.candidate.site: item.weight for item in ingress.weighed(D_SID, 1.0)}
    assert shares[BIG] == pytest.approx(4 * shares[SMALL], rel=0.1)


def test_sessions_given_to_a_site_are_expected_there_until_it_reports() -> None:
    ingress = router(HOME, policy="dyncast")
    tell([ingress], 0.0, 1, {})
    sites = [only(ingress.on_packet(flow(port), 0.01), InstallAffinity).entry.egress for port in range(1, 61)]
    assert sites.count(BIG) > sites.count(SMALL) > 0  # one report does not make a herd


def test_an_instance_that_dies_has_its_flows_bound_anew_at_the_egress_and_the_ingress_stays(
    routers: dict[str, DRouter],
) -> None:
    entry = only(routers[HOME].on_packet(flow(), 1.0), InstallAffinity).entry
    dead = only(routers[BIG].on_packet(flow(), 1.0, tunnelled=True), InstallAffinity).entry.d_bid
    for sequence in (2, 3):
        tell([*routers.values()], 1.0 + sequence, sequence, {dead: None})
    assert (routers[BIG].counters["flows_broken"], routers[HOME].counters["flows_broken"]) == (1, 0)
    again = only(routers[BIG].on_packet(flow(), 5.0, tunnelled=True), InstallAffinity).entry.d_bid
    assert again != dead
    assert only(routers[HOME].on_packet(flow(), 5.0), ForwardPacket).entry.egress == entry.egress


def test_a_site_without_a_living_instance_loses_its_flows_at_the_ingress_too(routers: dict[str, DRouter]) -> None:
    assert only(routers[HOME].on_packet(flow(), 1.0), InstallAffinity).entry.egress == BIG
    for sequence in (2, 3):
        tell([*routers.values()], 1.0 + sequence, sequence, dict.fromkeys(INSTANCES[BIG]))
    assert routers[HOME].counters["flows_broken"] == 1
    assert only(routers[HOME].on_packet(flow(), 5.0), InstallAffinity).entry.egress != BIG
    assert only(routers[BIG].on_packet(flow(40001), 5.0, tunnelled=True), RefusePacket).reason == "no_instance"


def test_what_came_through_a_tunnel_for_a_service_whose_instances_ingresses_pick_is_dropped() -> None:
    egress = router(BIG, choice="instance")
    tell([egress], 0.0, 1, {})
    assert egress.on_packet(flow(), 1.0, tunnelled=True) == [DropPacket("tunnelled_astray")]


def test_figures_of_a_site_are_sums_and_means_by_worker() -> None:
    one = RawMetrics(1, 1, 3, 10, sessions=4, sessions_started=9, utilisation=1.0, service_time_s=0.2)
    other = RawMetrics(3, 0, 0, 30, sessions=0, sessions_started=1, utilisation=0.2)
    both = summed([one, other])
    assert (both.workers, both.busy_workers, both.queue_length, both.queue_limit) == (4, 1, 3, 40)
    assert (both.sessions, both.sessions_started) == (4, 10)
    assert both.utilisation == pytest.approx(0.4)
    assert both.service_time_s == pytest.approx(0.2)  # of those that have served


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"choice": "site"}, "choice site needs steering tunnel"),
        ({"steering": "tunnel", "affinity_mode": "datapath"}, "steering tunnel needs affinity mode reactive"),
        ({"steering": "tunnel", "choice": "site", "flow_fields": ("dst", "proto")}, "needs src among the flow fields"),
        ({"steering": "teleport"}, "steering must be one of"),
    ],
)
def test_a_service_that_cannot_be_steered_so_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Service("render", (D_SID,), **fields)  # type: ignore[arg-type]
