"""Costs that changed become a patch, without a look at the map; its size and time are those of the change."""

from __future__ import annotations

import json

import pytest

from testbed.alto.updates.patches.cost_changes import ENDPOINT_COST_MAP, CostChange, cost_patch
from testbed.alto.updates.patches.merge_patch import NotExpressible, merge
from testbed.alto.updates.resources import Published
from tests.update_streams import COSTS, Joined, Maps


def test_changes_become_the_patch_that_the_rfc_shows() -> None:
    changes = [CostChange("PID1", "PID2", 9), CostChange("PID3", "PID3", None), CostChange("PID3", "PID1", 1.5)]
    assert cost_patch(changes) == {"cost-map": {"PID1": {"PID2": 9}, "PID3": {"PID3": None, "PID1": 1.5}}}


def test_of_several_changes_of_one_cost_the_last_holds() -> None:
    assert cost_patch([CostChange("a", "b", 1), CostChange("a", "b", None)]) == {"cost-map": {"a": {"b": None}}}


def test_a_source_without_costs_goes_as_a_whole() -> None:
    assert cost_patch([CostChange("a", "b", None)], emptied=["a"]) == {"cost-map": {"a": None}}


def test_tags_several_costs_and_endpoints_are_patched_alike() -> None:
    vtags = [{"resource-id": "net", "tag": "2"}]
    change = CostChange("ipv4:192.0.2.1", "ipv4:192.0.2.2", [1, None])
    assert cost_patch([change], ENDPOINT_COST_MAP, meta={"dependent-vtags": vtags}) == {
        "meta": {"dependent-vtags": vtags},
        "endpoint-cost-map": {"ipv4:192.0.2.1": {"ipv4:192.0.2.2": [1, None]}},
    }
    assert cost_patch([]) == {}


def test_a_cost_that_is_an_object_cannot_be_patched() -> None:
    with pytest.raises(NotExpressible, match="from a to b is an object"):
        cost_patch([CostChange("a", "b", {"a": 1})])  # type: ignore[arg-type]


def test_one_cost_of_a_large_map_is_a_patch_of_its_own_size_on_every_stream() -> None:
    maps = Maps(100)
    joined = [Joined(maps, COSTS) for _ in range(20)]
    for stream in joined:
        stream.drain()
    held = maps.resources[COSTS]
    whole, bodies, sent = held.size_octets(), held.bodies, len(joined[0].sent)
    patch = cost_patch([CostChange("pid7", "pid8", 2.5)])
    held.document, previous, held.tag = merge(held.document, json.loads(json.dumps(patch))), held.tag, "next"
    held.size_octets = lambda: whole  # type: ignore[method-assign]
    maps.server.publish(Published(COSTS, previous, "next", patch), maps.now_s)
    for stream in joined:
        stream.drain()
        assert stream.document(COSTS)["cost-map"]["pid7"]["pid8"] == 2.5
    assert len(joined[0].sent) - sent < 100 < whole / 100
    assert held.bodies == bodies
