"""What filters leave: PIDs, pairs, constraints, ranks, several costs (RFC 7285, 11.3 to 11.5; RFC 8189)."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.service.exchange import Request
from testbed.alto.service.service import Service
from tests.alto_samples import COSTS, HOPS, MAP, NAMES, PIDS, document, knowledge, post, service

NUMERICAL = {"cost-mode": "numerical", "cost-metric": "routingcost"}
ORDINAL = {"cost-mode": "ordinal", "cost-metric": "routingcost"}
HOP = {"cost-mode": "numerical", "cost-metric": "hopcount"}
HOP_COSTS = {"PID1": {"PID1": 0, "PID2": 3}, "PID2": {"PID1": 4, "PID3": 2}}
MULTI = {"cost-type-names": NAMES, "cost-constraints": True, "max-cost-types": 2}
A, B, C = "ipv4:192.0.2.7", "ipv4:198.51.100.200", "ipv6:2001:db8::1"  # in PID1, PID2 and PID3


def network_map(**body: object) -> Any:
    return document(post(service(), "/networkmap/filtered", body))["network-map"]


def costs(server: Service | None = None, **body: object) -> Any:
    named = {name.replace("_", "-"): value for name, value in body.items()}
    return document(post(server or service(), "/costmap/filtered", named))["cost-map"]


def multi_server() -> Service:
    return service(knowledge().with_cost_map(MAP, HOPS, HOP_COSTS), MULTI)


# -- network maps ------------------------------------------------------------------------------------


def test_no_pids_and_no_address_types_are_all() -> None:
    assert network_map(pids=[]) == network_map(pids=[], **{"address-types": []}) == PIDS


def test_pids_and_types_that_stand_twice_or_are_unknown_do_no_harm() -> None:
    asked = {"address-types": ["ipv6", "ipv6", "mac48"]}
    assert network_map(pids=["PID3", "PID3", "nowhere"], **asked) == {"PID3": {"ipv6": ["::/0"]}}
    assert network_map(pids=["nowhere"]) == {}


def test_a_filtered_map_has_the_tag_of_the_whole_one() -> None:
    server = service()
    filtered = document(post(server, "/networkmap/filtered", {"pids": ["PID1"]}))
    assert filtered["meta"]["vtag"] == server.knowledge.network_maps[MAP].vtag.document()


# -- cost maps ---------------------------------------------------------------------------------------


def test_no_pids_are_all_pairs() -> None:
    both_empty = {"srcs": [], "dsts": []}
    assert costs(cost_type=NUMERICAL) == costs(cost_type=NUMERICAL, pids=both_empty) == COSTS


def test_only_pairs_that_are_asked_for_come_and_unknown_pids_are_passed_over() -> None:
    pids = {"srcs": ["PID3", "PID3", "nowhere"], "dsts": ["PID2", "PID3", "nowhere", "PID2"]}
    assert costs(cost_type=NUMERICAL, pids=pids) == {"PID3": {"PID2": 15}}


@pytest.mark.parametrize(
    ("constraints", "left"),
    [
        (["gt 10"], {"PID2": {"PID3": 15}, "PID3": {"PID1": 20, "PID2": 15}}),
        (["ge 10", "lt 15"], {"PID1": {"PID3": 10}}),
        (["eq 5"], {"PID1": {"PID2": 5}, "PID2": {"PID1": 5}}),
        (["gt 10", "lt 5"], {}),  # they contradict each other, which is no error: nothing is left
        ([], COSTS),
    ],
)
def test_pairs_that_do_not_meet_all_constraints_are_left_out(constraints: list[str], left: object) -> None:
    assert costs(cost_type=NUMERICAL, constraints=constraints) == left


def test_ranks_are_among_the_pairs_that_were_asked_for() -> None:
    pids = {"srcs": ["PID3", "PID2"], "dsts": ["PID1"]}
    assert costs(cost_type=ORDINAL, pids=pids) == {"PID3": {"PID1": 2}, "PID2": {"PID1": 1}}
    assert costs(cost_type=ORDINAL, pids=pids, constraints=["le 1"]) == {"PID2": {"PID1": 1}}


def test_ranks_that_the_operator_gave_are_served_as_they_are() -> None:
    known = knowledge().with_cost_map(MAP, CostType("routingcost", CostMode.ORDINAL), {"PID1": {"PID1": 7, "PID2": 3}})
    assert costs(service(known), cost_type=ORDINAL) == {"PID1": {"PID1": 7, "PID2": 3}}


def test_a_cost_that_nobody_measured_yet_is_not_there() -> None:
    assert costs(cost_type=HOP) == {}


# -- several costs (RFC 8189) ------------------------------------------------------------------------


def test_several_costs_come_as_arrays_with_null_for_what_is_not_defined() -> None:
    answer = document(post(multi_server(), "/costmap/filtered", {"multi-cost-types": [NUMERICAL, HOP]}))
    assert answer["meta"]["multi-cost-types"] == [NUMERICAL, HOP] and "cost-type" not in answer["meta"]
    assert answer["cost-map"] == {
        "PID1": {"PID1": [1, 0], "PID2": [5, 3], "PID3": [10, None]},
        "PID2": {"PID1": [5, 4], "PID2": [1, None], "PID3": [15, 2]},
        "PID3": {"PID1": [20, None], "PID2": [15, None]},
    }


def test_one_cost_in_the_list_of_several_is_an_array_of_one() -> None:
    pids = {"srcs": ["PID1"], "dsts": ["PID2"]}
    assert costs(multi_server(), multi_cost_types=[HOP], pids=pids) == {"PID1": {"PID2": [3]}}
    assert costs(multi_server(), cost_type=HOP, pids=pids) == {"PID1": {"PID2": 3}}


def test_a_constraint_says_by_index_which_cost_it_tests() -> None:
    both = [NUMERICAL, HOP]
    assert costs(multi_server(), multi_cost_types=both, constraints=["[1] le 2"]) == {
        "PID1": {"PID1": [1, 0]},
        "PID2": {"PID3": [15, 2]},
    }
    assert costs(multi_server(), multi_cost_types=both, constraints=["ge 15", "[1] le 2"]) == {
        "PID2": {"PID3": [15, 2]}
    }


def test_one_of_the_alternatives_is_enough() -> None:
    alternatives = [["[1] eq 0"], ["[0] ge 15", "[1] lt 3"]]
    assert costs(multi_server(), multi_cost_types=[NUMERICAL, HOP], or_constraints=alternatives) == {
        "PID1": {"PID1": [1, 0]},
        "PID2": {"PID3": [15, 2]},
    }


def test_costs_that_are_not_returned_can_be_tested() -> None:
    left = costs(multi_server(), cost_type=NUMERICAL, testable_cost_types=[HOP], constraints=["[0] ge 3"])
    assert left == {"PID1": {"PID2": 5}, "PID2": {"PID1": 5}}


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"multi-cost-types": [NUMERICAL], "cost-type": HOP}, "cost-type", None),
        ({"multi-cost-types": [NUMERICAL, HOP, ORDINAL]}, "multi-cost-types", None),
        ({"multi-cost-types": []}, "multi-cost-types", "[]"),
        ({"multi-cost-types": [NUMERICAL, 5]}, "multi-cost-types", "5"),
        ({"multi-cost-types": [{**HOP, "cost-metric": "tput"}]}, "multi-cost-types/cost-metric", "tput"),
        (
            {"cost-type": HOP, "testable-cost-types": [{**HOP, "cost-metric": "tput"}]},
            "testable-cost-types/cost-metric",
            "tput",
        ),
        ({"cost-type": HOP, "constraints": ["[1] gt 5"]}, "constraints", "[1] gt 5"),
        ({"cost-type": HOP, "or-constraints": [["gt 5", "bad"]]}, "or-constraints", "bad"),
        ({"cost-type": HOP, "or-constraints": [[]]}, "or-constraints", "[]"),
        ({"cost-type": HOP, "or-constraints": ["gt 5"]}, "or-constraints", "gt 5"),
        ({"cost-type": HOP, "constraints": ["gt 5"], "or-constraints": [["gt 5"]]}, "or-constraints", None),
    ],
)
def test_a_wrong_request_for_several_costs_is_refused(body: object, field: str, value: str | None) -> None:
    answer = post(multi_server(), "/costmap/filtered", body)
    meta = document(answer)["meta"]
    assert (answer.status, meta["code"], meta["field"]) == (400, "E_INVALID_FIELD_VALUE", field)
    assert value is None or meta["value"] == value


def test_neither_one_cost_type_nor_several_is_a_missing_field() -> None:
    answer = post(multi_server(), "/costmap/filtered", {})
    assert document(answer)["meta"] == {"code": "E_MISSING_FIELD", "field": "cost-type"}


def test_only_cost_types_that_are_testable_are_tested() -> None:
    server = service(capabilities={**MULTI, "testable-cost-type-names": ["num-hop"]})
    answer = post(server, "/costmap/filtered", {"cost-type": HOP, "testable-cost-types": [NUMERICAL]})
    assert document(answer)["meta"]["field"] == "testable-cost-types/cost-metric"


# -- endpoints ---------------------------------------------------------------------------------------


def endpoint_costs(server: Service, client_address: str | None = None, **body: object) -> Any:
    named = {name.replace("_", "-"): value for name, value in body.items()}
    return document(post(server, "/endpointcost/lookup", named, client_address))["endpoint-cost-map"]


def test_constraints_on_a_returned_cost_that_is_not_testable_are_refused() -> None:
    server = service(capabilities={**MULTI, "testable-cost-type-names": ["num-hop"]})
    both = {"multi-cost-types": [NUMERICAL, HOP]}
    assert post(server, "/costmap/filtered", {**both, "constraints": ["[1] ge 0"]}).status == 200
    answer = post(server, "/costmap/filtered", {**both, "constraints": ["[1] ge 0", "[0] ge 0"]})
    assert document(answer)["meta"]["value"] == "[0] ge 0"


def test_a_filter_that_leaves_all_is_answered_with_the_octets_of_the_map() -> None:
    server = service()
    whole = server.answer(Request("GET", "/costmap/num/routingcost"))
    assert post(server, "/costmap/filtered", {"cost-type": NUMERICAL}).body is whole.body


def test_costs_between_endpoints_are_those_between_their_pids() -> None:
    asked = {"srcs": [A, A], "dsts": [A, B, C, B]}
    assert endpoint_costs(service(), cost_type=NUMERICAL, endpoints=asked) == {A: {A: 1, B: 5, C: 10}}


def test_a_pair_without_a_cost_is_left_out() -> None:
    assert endpoint_costs(service(), cost_type=NUMERICAL, endpoints={"srcs": [C], "dsts": [C]}) == {}


def test_ranks_of_endpoints_are_among_those_asked_for() -> None:
    known = knowledge().with_cost_map(MAP, HOPS, {"PID1": {"PID1": 5, "PID2": 9, "PID3": 7}})
    ordinal = {"cost-mode": "ordinal", "cost-metric": "hopcount"}
    asked = {"srcs": [A], "dsts": [B, C]}
    assert endpoint_costs(service(known), cost_type=ordinal, endpoints=asked) == {A: {B: 2, C: 1}}


@pytest.mark.parametrize(
    ("client", "address"),
    [("192.0.2.9", "ipv4:192.0.2.9"), ("::ffff:192.0.2.9", "ipv4:192.0.2.9"), ("2001:db8::9%eth0", "ipv6:2001:db8::9")],
)
def test_an_empty_or_missing_side_is_the_client_itself(client: str, address: str) -> None:
    for asked in ({"srcs": [], "dsts": [B]}, {"dsts": [B]}):
        left = endpoint_costs(service(), client, cost_type=NUMERICAL, endpoints=asked)
        assert left == {address: {B: 5 if address == "ipv4:192.0.2.9" else 15}}
    assert list(endpoint_costs(service(), "192.0.2.9", cost_type=NUMERICAL, endpoints={"srcs": [B]})) == [B]


@pytest.mark.parametrize("client", [None, "", "/run/alto.sock"])
def test_a_client_without_an_address_must_say_where_it_is(client: str | None) -> None:
    body = {"cost-type": NUMERICAL, "endpoints": {"dsts": [B]}}
    answer = post(service(), "/endpointcost/lookup", body, client)
    assert document(answer)["meta"] == {"code": "E_MISSING_FIELD", "field": "endpoints/srcs"}


def test_more_pairs_than_a_server_computes_for_one_request_are_refused() -> None:
    many = [f"ipv4:10.0.{number >> 8}.{number & 255}" for number in range(513)]
    body = {"cost-type": NUMERICAL, "endpoints": {"srcs": many, "dsts": many[:512]}}
    answer = post(service(), "/endpointcost/lookup", body)
    assert (answer.status, answer.body) == (413, b"513 sources and 512 destinations: at most 262144 pairs\n")


def test_several_costs_between_endpoints_and_constraints_on_them() -> None:
    asked = {"srcs": [A], "dsts": [A, B, C]}
    left = endpoint_costs(multi_server(), multi_cost_types=[NUMERICAL, HOP], endpoints=asked, constraints=["[1] ge 0"])
    assert left == {A: {A: [1, 0], B: [5, 3]}}


def test_a_property_that_an_endpoint_does_not_have_is_left_out_of_it_alone() -> None:
    body = {"properties": ["priv:ietf-example-prop"] * 2, "endpoints": ["ipv4:192.0.2.34", B, B]}
    answer = document(post(service(), "/endpointprop/lookup", body))
    assert answer == {
        "meta": {},
        "endpoint-properties": {"ipv4:192.0.2.34": {"priv:ietf-example-prop": "1"}, B: {}},
    }
