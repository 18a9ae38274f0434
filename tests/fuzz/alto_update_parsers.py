"""Update streams of ALTO against octets that others wrote: streams at a client, patches, requests at a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from testbed.alto import json_octets
from testbed.alto.errors import AltoError
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import KEEP_ALIVE, encode
from testbed.alto.updates.following.client import UpdateClient
from testbed.alto.updates.patches.merge_patch import merge, patch_between, same
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.stream_requests import AddSubstream, parse_control_request, parse_update_request
from tests.update_streams import COSTS, FILTERED, NET, Joined, Maps

_NET = {"meta": {"vtag": {"resource-id": NET, "tag": "1"}}, "network-map": {"a": {"ipv4": ["192.0.2.0/24"]}}}
_COSTS = {"meta": {"dependent-vtags": [{"resource-id": NET, "tag": "1"}]}, "cost-map": {"a": {"a": 1, "b": 2.5}}}
_STREAM = b"".join(
    (
        ControlUpdate(names_control=True, control_uri="/streams/7").encoded(),
        encode(f"application/alto-networkmap+json,{NET}", json.dumps(_NET).encode()),
        encode(f"application/alto-costmap+json,{COSTS}", json.dumps(_COSTS, indent=1).encode()),
        KEEP_ALIVE,
        encode(f"application/merge-patch+json,{COSTS}", b'{"cost-map":{"a":{"b":null,"c":{"d":3}}}}'),
        ControlUpdate(started=("more",), stopped=(COSTS,), description="why").encoded(),
    )
)
_BOUND = 1 << 20


def stream(octets: bytes) -> None:
    """As a client takes a stream, whole and in pieces, which must come to the same."""
    outcomes: list[list[Any]] = []
    for size in (len(octets) or 1, 7):
        client = UpdateClient({NET: AddSubstream(NET), COSTS: AddSubstream(COSTS)}, "https://alto.example.com/", _BOUND)
        client.open_request()
        events = [event for at in range(0, len(octets), size) for event in client.receive(octets[at : at + size])]
        request = client.resync_request()
        assert request is None or parse_control_request(request).add
        parse_update_request(client.open_request())
        outcomes.append([events, client.unexpected])
    assert outcomes[0] == outcomes[1]


def decoder(octets: bytes) -> None:
    """As events alone, within bounds."""
    decoder = SseDecoder(most_line_octets=1000, most_event_octets=2000)
    for event in decoder.feed(octets):
        assert len(event.data.encode()) <= 3 * 2000  # what is no UTF-8 is three octets of a replacement


def patch(octets: bytes) -> None:
    """Between the documents before and after it, a patch is found again."""
    with suppress(ValueError):
        value = json_octets.parse(octets)
        before, after = json.loads(json.dumps(_COSTS)), merge(json.loads(json.dumps(_COSTS)), value)
        found = json_octets.encode(patch_between(before, after))
        assert same(merge(before, json_octets.parse(found)), json_octets.parse(json_octets.encode(after)))


def request(octets: bytes) -> None:
    """As the body of a request for a stream, and to one that there is."""
    maps = Maps()
    with suppress(AltoError, StreamUnavailable):
        maps.server.open(octets, maps.now_s)
    joined = Joined(maps, NET, COSTS)
    with suppress(AltoError, StreamUnavailable):
        joined.control(octets)
    for _ in range(3):
        joined.drain()
        maps.set_costs({"pid0": {"pid1": 2}})
    assert joined.client.broken is None


SEEDS: Mapping[str, list[bytes]] = {
    "stream": [_STREAM],
    "patch": [b'{"cost-map":{"a":{"b":null,"c":{"d":3}}}}', b'{"meta":null,"cost-map":[{"a":null}]}', b"null"],
    "request": [
        b'{"add":{"a":{"resource-id":"net","tag":"net-3","incremental-changes":false}},"remove":["net"]}',
        b'{"add":{"a":{"resource-id":"filtered","input":{"sources":["pid0"]}}},"remove":[]}',
        json.dumps(
            {"add": {str(n): {"resource-id": (NET, COSTS, FILTERED)[n % 3], "input": {}} for n in range(9)}}
        ).encode(),
    ],
}
