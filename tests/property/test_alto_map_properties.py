"""Maps of ALTO by Hypothesis: the longest prefix, changed maps and maps made whole, tags, ranks, filters."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from testbed.alto.costs.cost_type import CostType
from testbed.alto.maps.addresses import prefix
from testbed.alto.maps.cost_map import CostMap
from testbed.alto.maps.network_map import NetworkMap

ROUTING = CostType("routingcost")
pids = st.sampled_from("ABCDE")
costs = st.one_of(st.integers(0, 5), st.floats(-1e6, 1e6))
changes = st.dictionaries(st.tuples(pids, pids), st.one_of(st.none(), costs), max_size=12)
tables = st.dictionaries(pids, st.dictionaries(pids, costs))
# Few distinct prefixes, nested deep, so that most addresses are in several.
prefixes = st.builds(
    lambda number, length: str(IPv4Network((number & ~((1 << 32 - length) - 1), length))),
    st.integers(0, 15).map(lambda number: number << 28),
    st.integers(0, 6),
)
owned = st.dictionaries(prefixes, pids, min_size=1)


def network_map(owners: dict[str, str]) -> NetworkMap:
    return NetworkMap(
        "m", {pid: {"ipv4": [text for text in owners if owners[text] == pid]} for pid in set(owners.values())}
    )


@given(owned, st.integers(0, 2**32 - 1))
def test_the_longest_prefix_is_the_one_that_trying_all_finds(owners: dict[str, str], number: int) -> None:
    address = ip_address(number)
    within = [ip_network(text) for text in owners if address in ip_network(text)]
    longest = max(within, key=lambda network: network.prefixlen, default=None)
    assert network_map(owners).pid_of(f"ipv4:{IPv4Address(number)}") == (longest and owners[str(longest)])


@given(owned, prefixes)
def test_prefixes_inside_another_one_are_those_that_trying_all_finds(owners: dict[str, str], text: str) -> None:
    outer = prefix("ipv4", text)
    assert outer is not None
    inside = [inner.text() for inner in network_map(owners).prefixes.inside(outer)]
    wanted = [inner for inner in owners if inner != text and IPv4Network(inner).subnet_of(IPv4Network(text))]
    assert sorted(inside) == sorted(wanted)
    covering = network_map(owners).prefixes.covering(outer)
    around = [inner for inner in owners if IPv4Network(text).subnet_of(IPv4Network(inner))]
    assert covering == (owners[max(around, key=lambda inner: IPv4Network(inner).prefixlen)] if around else None)


@given(owned, owned)
def test_tags_of_network_maps_are_equal_if_and_only_if_the_maps_are(
    left: dict[str, str], right: dict[str, str]
) -> None:
    assert (network_map(left).tag == network_map(right).tag) == (left == right)


@given(tables, st.lists(changes, max_size=5))
def test_a_map_that_was_changed_is_the_map_made_whole(
    table: dict[str, dict[str, float]], steps: list[dict[tuple[str, str], float | None]]
) -> None:
    changed = CostMap(ROUTING, table)
    content = {(source, pid): cost for source, row in table.items() for pid, cost in row.items()}
    for step in steps:
        before, changed = changed, changed.with_costs(step)
        content |= {pair: cost for pair, cost in step.items() if cost is not None}
        content = {pair: cost for pair, cost in content.items() if pair not in step or step[pair] is not None}
        assert before.with_costs(changed.changes_since(before)).octets == changed.octets
    rows: dict[str, dict[str, float]] = {}
    for (source, pid), cost in content.items():
        rows.setdefault(source, {})[pid] = cost
    whole = CostMap(ROUTING, rows)
    assert changed.tag == whole.tag and changed.octets == whole.octets
    assert json.loads(changed.octets)["cost-map"] == rows


@given(tables, tables)
def test_tags_of_cost_maps_are_equal_if_and_only_if_the_costs_are(
    left: dict[str, dict[str, float]], right: dict[str, dict[str, float]]
) -> None:
    is_equal = {pid: row for pid, row in left.items() if row} == {pid: row for pid, row in right.items() if row}
    assert (CostMap(ROUTING, left).tag == CostMap(ROUTING, right).tag) == is_equal


@given(tables)
def test_ranks_keep_the_order_of_all_costs(table: dict[str, dict[str, float]]) -> None:
    numerical = CostMap(ROUTING, table)
    pairs = [
        (cost, numerical.as_ordinal.cost(source, pid)) for source, row in table.items() for pid, cost in row.items()
    ]
    for cost, rank in pairs:
        for other, other_rank in pairs:
            assert rank is not None and other_rank is not None
            assert (cost < other) == (rank < other_rank)


@given(tables, st.lists(pids), st.lists(pids))
def test_a_filter_leaves_a_part_of_the_map(
    table: dict[str, dict[str, float]], sources: list[str], destinations: list[str]
) -> None:
    costs = CostMap(ROUTING, table)
    for source, row in costs.select(sources, destinations).items():
        assert source in (sources or table)
        for pid, cost in row.items():
            assert pid in (destinations or "ABCDE") and cost == costs.cost(source, pid)
