"""What holds for every network: paths are shortest, symmetric and followed hop by hop; YAML keeps everything."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.roles import D_ROUTER
from topologies import routing, yaml_form
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT, ROUTER
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError

# Few delays, many ties.
_DELAYS_MS = st.sampled_from([0.0, 0.001, 1.0, 1.001, 2.0])


@st.composite
def _networks(draw: st.DrawFn) -> Topology:
    """Draw a connected network of routers and D-Routers, some with hosts."""
    size = draw(st.integers(2, 9))
    nodes = [Node(f"n{n}", draw(st.sampled_from([ROUTER, D_ROUTER]))) for n in range(size)]
    pairs = {(draw(st.integers(0, n - 1)), n) for n in range(1, size)}
    pairs |= set(
        draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda p: p[0] < p[1])))
    )
    links = [Link(f"n{a}", f"n{b}", LinkSpec(delay_ms=draw(_DELAYS_MS))) for a, b in sorted(pairs)]
    for node in [node for node in nodes if node.role is D_ROUTER]:
        if draw(st.booleans()):
            nodes.append(Node(f"host-{node.name}", CLIENT))
            links.append(Link(node.name, f"host-{node.name}"))
    return Topology("drawn", tuple(nodes), tuple(links))


def _inner(topology: Topology) -> list[str]:
    return [node.name for node in topology.nodes if not node.role.is_host]


@given(_networks())
def test_paths_are_shortest_then_fewest_hops_and_symmetric(topology: Topology) -> None:
    graph = topology.graph().subgraph(_inner(topology))
    for a in graph:
        # Delays are whole microseconds; hops count far below one.
        weights = nx.single_source_dijkstra_path_length(
            graph, a, weight=lambda _a, _b, edge: round(edge["delay_ms"] * 1000) * 1000 + 1
        )
        for b in graph:
            found = routing.path(topology, a, b)
            delay_us = round(routing.path_delay_ms(topology, a, b) * 1000)
            assert delay_us * 1000 + len(found) - 1 == weights[b]
            assert found == routing.path(topology, b, a)[::-1]


@given(_networks())
def test_routes_hop_by_hop_follow_the_path(topology: Topology) -> None:
    plan = AddressPlan(topology)
    tables = {node: {route.prefix: route for route in found} for node, found in routing.routes(topology, plan).items()}
    for a in tables:
        for b in tables:
            for prefix in (item.network for item in plan.router_id(b)):
                walked = [a]
                while walked[-1] != b:
                    route = tables[walked[-1]][prefix]
                    assert route.next_hop in {item.ip for item in plan.link(walked[-1], route.peer)[route.peer]}
                    walked.append(route.peer)
                assert walked == routing.path(topology, a, b)


_PRINTABLE = st.characters(codec="utf-8").filter(str.isprintable)
_NAMES = st.text(_PRINTABLE, min_size=1, max_size=12).filter(lambda name: not name.isspace())
_SPECS = st.builds(
    LinkSpec,
    delay_ms=st.floats(0, 1e4),
    jitter_ms=st.floats(0, 1e4),
    loss_percent=st.floats(0, 100),
    rate_mbps=st.none() | st.floats(1e-3, 1e6),
    queue_packets=st.integers(1, 10**6),
)


@given(
    st.lists(_NAMES, min_size=2, max_size=6, unique=True),
    st.lists(_SPECS, min_size=6, max_size=6),
    st.lists(st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=6, max_size=6),
    st.floats(0, 1e9),
)
def test_yaml_keeps_everything(
    names: list[str], specs: list[LinkSpec], places: list[tuple[float, float] | None], demand: float
) -> None:
    nodes = tuple(Node(name, ROUTER, *(place or (None, None))) for name, place in zip(names, places, strict=False))
    links = tuple(Link(a, b, spec) for a, b, spec in zip(names, names[1:], specs, strict=False))
    topology = Topology(names[0], nodes, links, {(names[0], names[1]): demand})
    assert yaml_form.parse(yaml_form.dump(topology), "dumped") == topology


@given(st.text(max_size=60) | st.from_regex(r"(name|nodes|links): [\[\]{}a-z0-9,: .~&*!-]{0,30}\n", fullmatch=True))
def test_any_text_is_a_network_or_a_one_line_error(text: str) -> None:
    try:
        yaml_form.parse(text, "any.yaml")
    except TopologyError as error:
        assert str(error).startswith("any.yaml")
        assert "\n" not in str(error)
