"""D-SIDs as members of ranges: who gets which, what is refused in a scenario, what an ingress does with the others."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.dyncast.actions import InterceptRange, InterceptService, RefusePacket
from testbed.emulation.wiring import refusal_commands
from testbed.experiment.scenario.file import ScenarioError, dump, parse
from tests.dyncast_samples import D_SID, d_router, flow, informed, of_kind, service
from tests.scenarios import small_document, small_plan

_RANGES = ("203.0.113.0/24", "fd00:5::/64")


def _d_sids(services: dict[str, Any], *ranges: str) -> dict[str, str]:
    scenario = parse(small_document(services=services, d_sid_ranges=list(ranges)), "small.yaml")
    return {name: str(of.d_sid) for name, of in scenario.services.items()}


def test_a_service_without_a_d_sid_gets_the_next_free_one() -> None:
    conference = {"kind": "rtp", "d_sid": "203.0.113.1"}
    assert _d_sids({"render": {}, "conference": conference}, *_RANGES)["render"] == "203.0.113.2"
    assert _d_sids({"render": None, "conference": {"kind": "rtp"}}, *reversed(_RANGES)) == {
        "render": "fd00:5::1",
        "conference": "fd00:5::2",
    }


def test_when_a_range_is_used_up_the_next_one_goes_on() -> None:
    services = {"render": {}, "conference": {"kind": "rtp"}}
    assert _d_sids(services, "198.51.100.0/32", "203.0.113.0/24") == {
        "render": "198.51.100.0",
        "conference": "203.0.113.1",
    }


def test_the_d_sids_are_written_out_and_stay_what_they_were() -> None:
    import yaml

    scenario = parse(small_document(services={"render": {}, "conference": {}}, d_sid_ranges=[_RANGES[0]]), "small.yaml")
    again = parse(yaml.safe_load(dump(scenario)), "again")
    assert again == scenario
    assert str(again.services["conference"].d_sid) == "203.0.113.2"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_sid_ranges": ["198.51.100.0/24"]}, ["services.render.d_sid", "203.0.113.10", "none of the d_sid_ranges"]),
        ({"d_sid_ranges": ["10.1.0.0/24", "203.0.113.0/24"]}, ["d_sid_ranges[0]", "overlaps 10.1.0.0/16", "east"]),
        ({"d_sid_ranges": ["fd00:d::/32", "203.0.113.0/24"]}, ["d_sid_ranges[0]", "overlaps"]),
        ({"d_sid_ranges": ["203.0.113.1/24"]}, ["d_sid_ranges", "network"]),
        ({"d_sid_ranges": ["203.0.113.7/32"], "services": {"render": {}, "conference": {}}}, ["conference", "no free"]),
        ({"services": {"render": {}, "conference": {"d_sid": "203.0.113.11"}}}, ["services.render.d_sid", "required"]),
    ],
)
def test_what_cannot_be_is_said_in_one_line(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        small_plan(**changes)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_an_ingress_refuses_and_counts_what_is_to_a_member_that_is_no_service() -> None:
    router = informed(d_router(d_sid_ranges=tuple(map(ip_network, _RANGES))))
    for stranger in ("203.0.113.99", "fd00:5::99"):
        assert router.on_packet(flow(dst=ip_address(stranger)), 1.0) == [RefusePacket("unknown_d_sid")]
    assert router.counters["unknown_d_sid"] == 2
    assert not of_kind(router.on_packet(flow(dst=D_SID), 1.0), RefusePacket)
    router.on_packet(flow(dst=ip_address("198.51.100.1")), 1.0)
    assert router.counters["dropped_unknown_d_sid"] == 1


def test_the_switch_is_told_of_ranges_and_of_the_services_in_them() -> None:
    router = d_router(service(), d_sid_ranges=(ip_network("203.0.113.0/24"),))
    actions = router.on_switch_connected(0.0)
    assert [action.d_sids for action in of_kind(actions, InterceptRange)] == [ip_network("203.0.113.0/24")]
    assert D_SID in {action.d_sid for action in of_kind(actions, InterceptService)}


def test_a_router_refuses_ranges_after_what_single_d_sids_want() -> None:
    commands = list(refusal_commands({D_SID: "reset"}, [ip_network("203.0.113.0/24")]))
    assert "rule add to 203.0.113.10 ipproto tcp lookup local pref 100" in commands
    assert "rule add to 203.0.113.0/24 ipproto tcp unreachable pref 105" in commands
    assert "route add local 203.0.113.0/24 dev lo table local" in commands
