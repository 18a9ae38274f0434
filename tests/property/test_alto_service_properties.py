"""The ALTO server by Hypothesis: filters leave parts of the whole, every request has an answer, clients read it all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from testbed.alto.client import answers
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.costs import constraints
from testbed.alto.service.exchange import Request
from tests.alto_samples import COSTS, MAP, NAMES, PARAMETERS, PIDS, ROUTING, document, get, post, service

SERVER = service()
MULTI = service(capabilities={"cost-type-names": NAMES, "cost-constraints": True, "max-cost-types": 3})
TYPE = {"cost-mode": "numerical", "cost-metric": "routingcost"}
names = st.lists(st.sampled_from([*PIDS, "nowhere"]))
tests = st.lists(
    st.builds("{} {}".format, st.sampled_from(["gt", "lt", "ge", "le", "eq"]), st.integers(0, 21)), max_size=3
)
addresses = st.lists(
    st.one_of(st.ip_addresses(v=4).map(lambda ip: f"ipv4:{ip}"), st.ip_addresses(v=6).map(lambda ip: f"ipv6:{ip}")),
    min_size=1,
    max_size=5,
)
fields = st.sampled_from(
    ["pids", "srcs", "dsts", "cost-type", "cost-metric", "cost-mode", "constraints", "or-constraints", "endpoints",
     "properties", "multi-cost-types", "testable-cost-types", "address-types", "entities"]
)  # fmt: skip
values: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(fields, inner, max_size=5)),
    max_leaves=12,
)


@given(names, st.lists(st.sampled_from(["ipv4", "ipv6", "mac48"])))
def test_a_filtered_network_map_is_a_part_of_the_whole(pids: list[str], kinds: list[str]) -> None:
    left = document(post(SERVER, "/networkmap/filtered", {"pids": pids, "address-types": kinds}))["network-map"]
    assert left.keys() == ({*pids} & PIDS.keys() if pids else PIDS.keys())
    for pid, group in left.items():
        assert group == {kind: PIDS[pid][kind] for kind in PIDS[pid] if not kinds or kind in kinds}


@given(names, names, tests)
def test_a_filtered_cost_map_has_exactly_the_pairs_that_are_asked_for_and_meet_the_constraints(
    sources: list[str], destinations: list[str], texts: list[str]
) -> None:
    body = {"cost-type": TYPE, "pids": {"srcs": sources, "dsts": destinations}, "constraints": texts}
    left = document(post(SERVER, "/costmap/filtered", body))["cost-map"]
    parsed = [constraints.parse(text) for text in texts]
    wanted = {
        (source, pid): cost
        for source, row in COSTS.items()
        for pid, cost in row.items()
        if source in (sources or PIDS) and pid in (destinations or PIDS)
        if all(constraint is not None and constraint.holds([cost]) for constraint in parsed)
    }
    assert {(source, pid): cost for source, row in left.items() for pid, cost in row.items()} == wanted


@given(tests, tests)
def test_alternatives_leave_what_one_of_them_leaves(first: list[str], second: list[str]) -> None:
    def pairs(**more: Any) -> set[tuple[str, str]]:
        left = document(post(MULTI, "/costmap/filtered", {"cost-type": TYPE, **more}))["cost-map"]
        return {(source, pid) for source, row in left.items() for pid in row}

    alternatives = [together for together in (first, second) if together]
    if alternatives:
        either = set().union(*(pairs(constraints=together) for together in alternatives))
        assert pairs(**{"or-constraints": alternatives}) == either


@given(addresses, addresses)
def test_costs_between_endpoints_are_those_between_their_pids(sources: list[str], destinations: list[str]) -> None:
    network_map = SERVER.knowledge.network_maps[MAP]
    cost_map = SERVER.knowledge.cost_map(network_map, ROUTING)
    body = {"cost-type": TYPE, "endpoints": {"srcs": sources, "dsts": destinations}}
    left = document(post(SERVER, "/endpointcost/lookup", body))["endpoint-cost-map"]
    for source in sources:
        for destination in destinations:
            cost = cost_map.cost(network_map.pid_of(source) or "", network_map.pid_of(destination) or "")
            assert left.get(source, {}).get(destination) == cost


@given(st.sampled_from(sorted(PARAMETERS)), values)
def test_whatever_is_sent_has_an_answer_that_a_client_reads(path: str, body: object) -> None:
    answer = post(MULTI, path, body)
    assert answer.status in (200, 400)
    if answer.status == 400:
        meta = json.loads(answer.body)["meta"]
        assert meta["code"].startswith("E_") and ("value" not in meta or "field" in meta)
    readers = {
        "/networkmap/filtered": answers.network_map, "/costmap/filtered": answers.cost_map,
        "/endpointprop/lookup": answers.endpoint_properties, "/endpointcost/lookup": answers.endpoint_costs,
    }  # fmt: skip
    try:
        readers[path](path, answer)
    except AltoAnswerError:
        assert answer.status == 400


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", ""]),
    st.text(max_size=20),
    st.text(),
    st.text(),
    st.binary(max_size=40),
)
def test_every_request_has_an_answer(method: str, path: str, accept: str, content_type: str, body: bytes) -> None:
    headers = {"accept": accept, "CONTENT-TYPE": content_type, "If-None-Match": accept}
    for target in (path, "/networkmap", "/costmap/filtered"):
        answer = SERVER.answer(Request(method, target, headers, body))
        assert answer.status in (200, 204, 304, 400, 404, 405, 406, 415)
        assert (answer.body == b"") == (answer.status in (204, 304) or method == "HEAD")


def test_all_that_a_server_has_is_read_by_the_client() -> None:
    assert answers.network_map("u", get(SERVER, "/networkmap")).pids.keys() == PIDS.keys()
    assert answers.cost_map("u", get(SERVER, "/costmap/num/routingcost")).rows == COSTS
