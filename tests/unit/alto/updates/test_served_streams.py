"""Update streams of an ALTO server: RFC 7285's data, as its clients are sent it, and kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.alto import media_types
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.directory.directory import Directory
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.exchange import Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.directory_entry import stream_entry
from testbed.alto.updates.following.client import UpdateClient, Updated
from testbed.alto.updates.served_streams import Reply, ServedStreams
from testbed.alto.updates.service import Send
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from tests.alto_samples import COSTS, MAP, PIDS, ROUTING, directories, knowledge

ROUTING_MAP, ORDINAL_MAP, FILTERED, PROPERTIES = (
    "numerical-routing-cost-map", "ordinal-routing-cost-map", "filtered-cost-map", "endpoint-property",
)  # fmt: skip
URI = "http://alto.example.com/updates"
FILTER = {
    "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
    "pids": {"srcs": ["PID1"], "dsts": ["PID2", "PID3"]},
}
LOOKUP = {"properties": [f"{MAP}.pid"], "endpoints": ["ipv4:192.0.2.34"]}
HEADERS = {"Content-Type": media_types.UPDATE_STREAM_PARAMS, "Accept": "text/event-stream,application/alto-error+json"}


class Server:
    """The RFC's server with an update stream in its root directory."""

    def __init__(self, known: Knowledge | None = None, bounds: Bounds | None = None) -> None:
        of = directories()
        entry = stream_entry("update-all", URI, [MAP, ROUTING_MAP, ORDINAL_MAP, FILTERED, PROPERTIES])
        root = of["/directory"]
        of["/directory"] = Directory((*root.entries, entry), root.cost_types, root.default_network_map)
        self.known = known or knowledge()
        self.service = Service(self.known, of)
        ids = iter(range(1000))
        self.served = ServedStreams(entry, of, self.known, lambda: f"id{next(ids)}", bounds)

    def ask(self, body: bytes, path: str = "/updates", method: str = "POST", **headers: str) -> Reply:
        reply = self.served.answer(Request(method, path, headers or HEADERS, body), 1.0)
        assert reply is not None
        return reply

    def learn(self, known: Knowledge) -> list[Any]:
        self.known = known
        self.service.update(known)
        return self.served.update(known, 1.0)

    def document(self, name: str, body: Any = None) -> Any:
        """The resource as it is for who fetches it."""
        paths = {MAP: "/networkmap", ROUTING_MAP: "/costmap/num/routingcost", ORDINAL_MAP: "/ord/routingcost",
                 FILTERED: "/costmap/filtered", PROPERTIES: "/endpointprop/lookup"}  # fmt: skip
        sent = {FILTERED: media_types.COST_MAP_FILTER, PROPERTIES: media_types.ENDPOINT_PROPERTY_PARAMS}
        headers = {"Content-Type": sent.get(name, "")}
        octets = b"" if body is None else json.dumps(body).encode()
        return json.loads(
            self.service.answer(Request("GET" if body is None else "POST", paths[name], headers, octets)).body
        )


class Client(UpdateClient):
    """A client with a stream of the server."""

    def __init__(self, server: Server, **wanted: AddSubstream) -> None:
        super().__init__(wanted, URI)
        self.server = server
        reply = server.ask(self.open_request())
        assert reply.answer.status == 200 and reply.stream_id is not None
        assert reply.answer.header("Content-Type") == "text/event-stream"
        self.stream_id = reply.stream_id

    def drain(self) -> list[Any]:
        self.sent = self.server.served.streams.take(self.stream_id, 1 << 30, 1.0).octets
        return self.receive(self.sent)


def test_what_a_client_keeps_is_what_it_would_fetch() -> None:
    server = Server()
    client = Client(
        server,
        net=AddSubstream(MAP), costs=AddSubstream(ROUTING_MAP), ranks=AddSubstream(ORDINAL_MAP),
        some=AddSubstream(FILTERED, input=FILTER), pid=AddSubstream(PROPERTIES, input=LOOKUP),
    )  # fmt: skip
    bodies: dict[str, tuple[str, Any]] = {
        "net": (MAP, None), "costs": (ROUTING_MAP, None), "ranks": (ORDINAL_MAP, None), "some": (FILTERED, FILTER),
        "pid": (PROPERTIES, LOOKUP),
    }  # fmt: skip
    moved = {**PIDS, "PID2": {"ipv4": ["192.0.2.0/25"]}}
    for change in (
        lambda known: known,
        lambda known: known.with_cost(MAP, ROUTING, "PID1", "PID2", 7),
        lambda known: known.with_cost(MAP, ROUTING, "PID3", "PID2", None),
        lambda known: known.with_network_map(NetworkMap(MAP, moved)),
        lambda known: known.with_cost_map(MAP, ROUTING, {"PID1": {"PID3": 3}}),
        lambda known: known.with_network_map(NetworkMap(MAP, {"PID3": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}})),
    ):
        server.learn(change(server.known))
        client.drain()
        for name, (resource_id, body) in bodies.items():
            assert client.copies[name].document == server.document(resource_id, body), name
            assert client.is_current(name)
    assert client.broken is None and client.resync_request() is None and client.unexpected == 0


def test_one_measured_cost_is_pushed_as_a_patch_of_it() -> None:
    server = Server()
    client = Client(server, net=AddSubstream(MAP), costs=AddSubstream(ROUTING_MAP))
    client.drain()
    assert server.learn(server.known.with_cost(MAP, ROUTING, "PID2", "PID3", 4)) == [Send(client.stream_id)]
    assert client.drain() == [Updated("costs")]
    assert client.sent == (b'event: application/merge-patch+json,costs\ndata: {"cost-map":{"PID2":{"PID3":4}}}\n\n')
    assert server.learn(server.known.with_cost(MAP, ROUTING, "PID2", "PID3", 4)) == []


def test_a_network_map_that_changed_goes_before_its_costs_with_their_new_tag() -> None:
    server = Server()
    client = Client(server, costs=AddSubstream(ROUTING_MAP), net=AddSubstream(MAP))
    client.drain()
    server.learn(server.known.with_network_map(NetworkMap(MAP, {**PIDS, "PID2": {"ipv4": ["192.0.2.0/25"]}})))
    assert client.drain() == [Updated("net"), Updated("costs")]
    assert client.sent.index(b",net\n") < client.sent.index(b",costs\n")
    assert b'"PID1":{"PID2"' not in client.sent, "the costs themselves stayed"
    assert client.is_current("costs")


def test_a_client_that_fetched_the_network_map_goes_on_from_its_tag() -> None:
    server = Server()
    client = UpdateClient({"net": AddSubstream(MAP)}, URI)
    client.copies["net"].hold(server.document(MAP))
    reply = server.ask(client.open_request())
    assert client.receive(server.served.streams.take(str(reply.stream_id), 1 << 20, 1.0).octets) == []
    assert client.is_current("net")


def test_a_stream_is_controlled_at_the_uri_that_it_names() -> None:
    server = Server()
    client = Client(server, net=AddSubstream(MAP))
    client.drain()
    assert client.control_uri == f"{URI}/{client.stream_id}"
    path = str(client.control_uri)
    reply = server.ask(StreamRequest({"costs": AddSubstream(ROUTING_MAP)}).encoded(), path)
    assert (reply.answer.status, reply.answer.body, reply.actions) == (204, b"", (Send(client.stream_id),))
    reply = server.ask(b'{"remove": ["other"]}', path)
    assert (reply.answer.status, reply.actions) == (400, ())
    assert json.loads(reply.answer.body) == {
        "meta": {"code": "E_INVALID_FIELD_VALUE", "field": "remove", "value": "other"}
    }
    assert server.ask(b'{"remove": []}', "/updates/guessed").answer.status == 404


@pytest.mark.parametrize(("add", "meta"), [
    ({"resource-id": FILTERED}, {"code": "E_MISSING_FIELD", "field": "add/a/input"}),
    ({"resource-id": FILTERED, "input": {"pids": {"srcs": [], "dsts": []}}},
     {"code": "E_MISSING_FIELD", "field": "add/a/input/cost-type"}),
    ({"resource-id": FILTERED, "input": {**FILTER, "pids": 7}},
     {"code": "E_INVALID_FIELD_TYPE", "field": "add/a/input/pids"}),
    ({"resource-id": "endpoint-cost", "input": {}},
     {"code": "E_INVALID_FIELD_VALUE", "field": "add/a/resource-id", "value": "endpoint-cost"}),
])  # fmt: skip
def test_wrong_input_is_the_error_of_its_resource_below_the_path_in_the_request(add: Any, meta: Any) -> None:
    reply = Server().ask(json.dumps({"add": {"a": add}}).encode())
    assert (reply.answer.status, reply.stream_id) == (400, None)
    assert reply.answer.header("Content-Type") == "application/alto-error+json"
    assert json.loads(reply.answer.body) == {"meta": meta}


def test_http_is_answered_as_for_other_resources() -> None:
    server = Server(bounds=Bounds(streams=0))
    params = media_types.UPDATE_STREAM_PARAMS
    good = StreamRequest({"net": AddSubstream(MAP)}).encoded()
    for status, reply in (
        (405, server.ask(b"", method="GET")),
        (204, server.ask(b"", method="OPTIONS")),
        (415, server.ask(good, **{"Content-Type": "application/json"})),
        (406, server.ask(good, **{"Content-Type": params, "Accept": "text/html"})),
        (413, server.ask(b" " * (1 << 20) + good)),
        (503, server.ask(good)),
    ):
        assert (reply.answer.status, reply.stream_id) == (status, None)
    assert server.ask(good).answer.header("Retry-After") == "10"
    for other in ("/networkmap", "/updates-of-others", "//[", ""):
        assert server.served.answer(Request("GET", other), 1.0) is None


def test_what_is_not_known_yet_is_refused_as_such() -> None:
    server = Server(Knowledge())
    assert server.ask(StreamRequest({"net": AddSubstream(MAP)}).encoded()).answer.status == 503
    server.learn(knowledge())
    client = Client(server, net=AddSubstream(MAP))
    assert client.drain() == [Updated("net")]


def test_a_stream_of_resources_that_there_are_not_is_a_fault_of_the_directory() -> None:
    with pytest.raises(AltoDataError, match="update-all uses nothing"):
        ServedStreams(stream_entry("update-all", URI, ["nothing"]), directories(), knowledge(), lambda: "id")


def test_costs_with_ranks_are_followed_by_their_ranks() -> None:
    server = Server()
    client = Client(server, ranks=AddSubstream(ORDINAL_MAP))
    client.drain()
    server.learn(server.known.with_cost(MAP, CostType("routingcost"), "PID3", "PID1", 21))
    assert client.drain() == [], "20 became 21, and is the largest as before"
    server.learn(server.known.with_cost(MAP, CostType("routingcost"), "PID3", "PID1", 2))
    assert client.drain() == [Updated("ranks")]
    ordinal = server.known.cost_map(server.known.network_maps[MAP], CostType("routingcost", CostMode.ORDINAL))
    assert client.copies["ranks"].document == ordinal.document()
    assert COSTS["PID3"]["PID1"] == 20
