"""Update streams for tests: resources that change, a server of them, and a client joined to it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

from testbed.alto import errors
from testbed.alto.errors import AltoError, ErrorCode
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import Event
from testbed.alto.updates.following.client import ClientEvent, UpdateClient
from testbed.alto.updates.patches.cost_changes import CostChange, cost_patch
from testbed.alto.updates.patches.merge_patch import merge
from testbed.alto.updates.resources import Offer, Published
from testbed.alto.updates.service import UpdateStreams
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest

NET, COSTS, FILTERED = "net", "costs", "filtered"
OFFERS = (Offer(COSTS, (NET,)), Offer(NET), Offer(FILTERED, (NET,), takes_input=True))
URI = "https://alto.example.com/updates"
ALL = 1 << 30
CONTROL = "application/alto-updatestreamcontrol+json"
PATCH = "application/merge-patch+json"


class Held:
    """A resource that a test holds as a document."""

    def __init__(self, media_type: str, tag: str, document: dict[str, Any]) -> None:
        self.media_type, self.tag, self.document = media_type, tag, document
        self.bodies = 0

    def body(self) -> bytes:
        self.bodies += 1
        return json.dumps(self.document).encode()

    def size_octets(self) -> int:
        return len(json.dumps(self.document))


class Filtered:
    """The costs from some sources only, made of the whole when asked for."""

    media_type = "application/alto-costmap+json"

    def __init__(self, whole: Held, sources: list[str]) -> None:
        self._whole, self._sources = whole, sources

    @property
    def tag(self) -> str:
        return self._whole.tag

    @property
    def document(self) -> dict[str, Any]:
        costs = self._whole.document["cost-map"]
        return {**self._whole.document, "cost-map": {pid: costs[pid] for pid in self._sources if pid in costs}}

    def body(self) -> bytes:
        return json.dumps(self.document).encode()

    def size_octets(self) -> int:
        return len(self.body())


class Maps:
    """A network map and costs between its PIDs, whose changes are published; the catalogue of their server."""

    def __init__(self, pids: int = 4, bounds: Bounds | None = None, **options: Any) -> None:
        self.pids = [f"pid{number}" for number in range(pids)]
        self._numbers = count(1)
        self.resources = {
            NET: Held(
                "application/alto-networkmap+json", "", {"meta": {"vtag": {"resource-id": NET}}, "network-map": {}}
            ),
            COSTS: Held("application/alto-costmap+json", "", {"meta": {}, "cost-map": {}}),
        }
        rng = Random(1)
        self.server = UpdateStreams(
            OFFERS, self, lambda: f"{rng.getrandbits(128):032x}", options.get("control_uri", self._uri), bounds
        )
        self.now_s = 100.0
        self.set_network({pid: {"ipv4": [f"192.0.2.{number}/32"]} for number, pid in enumerate(self.pids)})
        self.set_costs({one: dict.fromkeys(self.pids, 1) for one in self.pids})

    @staticmethod
    def _uri(stream_id: str) -> str:
        return f"streams/{stream_id}"

    def resource(self, resource_id: str, input: dict[str, Any] | None) -> Held | Filtered:
        if resource_id != FILTERED:
            return self.resources[resource_id]
        if input is None:
            raise AltoError(ErrorCode.MISSING_FIELD)
        if not isinstance(input.get("sources"), list):
            raise errors.invalid_value("sources", input.get("sources"))
        return Filtered(self.resources[COSTS], input["sources"])

    def _publish(self, resource_id: str, patch: Any, whole: bool) -> list[Any]:
        held = self.resources[resource_id]
        previous, held.tag = held.tag, f"{resource_id}-{next(self._numbers)}"
        if resource_id == NET:
            patch = merge({"meta": {"vtag": {"tag": held.tag}}}, patch)
        held.document = merge(copy.deepcopy(held.document), copy.deepcopy(patch))
        actions = self.server.publish(Published(resource_id, previous, held.tag, None if whole else patch), self.now_s)
        return actions + self.server.publish(Published(FILTERED, previous, held.tag), self.now_s)

    def set_network(self, pids: dict[str, Any], whole: bool = False) -> list[Any]:
        """Change PIDs of the network map, None: gone; and say so in the costs."""
        actions = self._publish(NET, {"network-map": pids}, whole)
        vtag = {"resource-id": NET, "tag": self.resources[NET].tag}
        return actions + self._publish(COSTS, {"meta": {"dependent-vtags": [vtag]}}, whole)

    def set_costs(self, rows: dict[str, dict[str, Any]], whole: bool = False) -> list[Any]:
        """Change costs, None: gone."""
        changes = [CostChange(one, other, cost) for one, row in rows.items() for other, cost in row.items()]
        return self._publish(COSTS, cost_patch(changes), whole)


class Joined:
    """A client and its stream of a server."""

    def __init__(self, maps: Maps, *names: str, held: dict[str, Any] | None = None, **adds: AddSubstream) -> None:
        self.maps = maps
        wanted = {name: AddSubstream(name) for name in names} | adds
        self.client = UpdateClient(wanted, URI)
        for name, document in (held or {}).items():
            self.client.copies[name].hold(copy.deepcopy(document))
        self.sent = b""
        self.is_over = False
        self.open()

    def open(self) -> None:
        self.stream_id = self.maps.server.open(self.client.open_request(), self.maps.now_s)
        self.sent, self.is_over = b"", False

    def read(self, most_octets: int = ALL, pieces: Iterator[int] | None = None) -> list[ClientEvent]:
        """Let so many octets through, in pieces of so many."""
        taken = self.maps.server.take(self.stream_id, most_octets, self.maps.now_s)
        self.sent += taken.octets
        self.is_over |= taken.is_last
        events: list[ClientEvent] = []
        rest = taken.octets
        while rest:
            size = next(pieces) if pieces else len(rest)
            events += self.client.receive(rest[:size])
            rest = rest[size:]
        return events

    def drain(self, pieces: Iterator[int] | None = None) -> list[ClientEvent]:
        """Let everything through."""
        events = self.read(ALL, pieces)
        while more := self.read(ALL, pieces):
            events += more
        return events

    def control(self, request: StreamRequest | bytes) -> list[Any]:
        body = request if isinstance(request, bytes) else request.encoded()
        return self.maps.server.control(self.stream_id, body, self.maps.now_s)

    def document(self, name: str) -> Any:
        return self.client.copies[name].document


def events_of(octets: bytes) -> list[Event]:
    """Return the events of a stream's octets."""
    return SseDecoder().feed(octets)


def kinds_sent(joined: Joined) -> list[str]:
    """Read all that there is; return the types of its events."""
    before = len(joined.sent)
    joined.drain()
    return [event.kind for event in events_of(joined.sent[before:])]
