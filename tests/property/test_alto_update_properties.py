"""Whatever changes, however slowly it is read: a client's copy is the server's resource once the stream is drained."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import Event, data_of_json, encode
from testbed.alto.updates.following.client import Broken, Lost
from testbed.alto.updates.patches.merge_patch import NotExpressible, merge, patch_between, same
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.stream_requests import AddSubstream
from tests.update_streams import COSTS, FILTERED, NET, Joined, Maps

_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=3)
_JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


def _without_null(value: Any) -> Any:
    """A document that a merge patch can lead to: its objects have no nulls; what is in its arrays may."""
    if not isinstance(value, dict):
        return value
    return {name: _without_null(item) for name, item in value.items() if item is not None}


def _by_the_rfc(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _by_the_rfc(target.get(name), value)
    return target


@given(_JSON, _JSON)
def test_a_patch_is_applied_as_the_rfc_says(target: Any, patch: Any) -> None:
    assert same(merge(copy.deepcopy(target), copy.deepcopy(patch)), _by_the_rfc(target, patch))


@given(_JSON, _JSON)
def test_a_patch_between_two_documents_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    new = _without_null(new)
    patch = copy.deepcopy(patch_between(old, new))
    assert same(merge(copy.deepcopy(old), patch), new)
    assert same(merge(new, patch), new), "twice is as once"
    assert not isinstance(old, dict) or not same(old, new) or patch == {}


@given(_JSON, _JSON)
def test_a_patch_leads_to_the_document_or_there_is_none(old: Any, new: Any) -> None:
    try:
        patch = copy.deepcopy(patch_between(old, new))
    except NotExpressible:
        assert not same(_without_null(new), new)
    else:
        assert same(merge(copy.deepcopy(old), patch), new)


@given(st.lists(st.tuples(st.text(max_size=5).filter(lambda kind: not {"\r", "\n"} & {*kind}), _JSON)), st.data())
def test_events_are_read_as_they_were_written_in_pieces_of_any_size(events: list[Any], data: st.DataObject) -> None:
    octets = b"".join(encode(kind, json.dumps(value).encode()) for kind, value in events)
    decoder, found, rest = SseDecoder(), list[Event](), octets
    while rest:
        size = data.draw(st.integers(0, min(len(rest), 40)) | st.just(len(rest)))
        found += decoder.feed(rest[:size])
        rest = rest[size:]
    assert [event.kind for event in found] == [kind.removeprefix(" ") or "message" for kind, _ in events]
    assert all(same(json.loads(event.data), value) for event, (_, value) in zip(found, events, strict=True))


@given(_JSON, st.integers(20, 60), st.none() | st.integers(0, 2), st.booleans())
def test_json_is_broken_into_lines_only_where_it_stays_the_same(
    value: Any, line_octets: int, indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    (event,) = SseDecoder().feed(data_of_json(text.encode(), line_octets))
    assert same(json.loads(event.data), value)


@given(st.binary(max_size=200), st.integers(1, 20))
def test_octets_mean_the_same_however_they_are_cut(octets: bytes, size: int) -> None:
    whole, cut = SseDecoder(20, 50), SseDecoder(20, 50)
    events = whole.feed(octets)
    assert events == [event for at in range(0, len(octets), size) for event in cut.feed(octets[at : at + size])]
    assert (whole.broken, whole.comments) == (cut.broken, cut.comments)


# -- streams

_PIDS = st.sampled_from([f"pid{number}" for number in range(5)])
_COSTS = st.none() | st.integers(0, 9) | st.floats(0, 1) | st.lists(st.none() | st.integers(0, 9), max_size=2)
_ROWS = st.dictionaries(_PIDS, st.dictionaries(_PIDS, _COSTS, max_size=5), max_size=5)
_NETWORKS = st.dictionaries(
    _PIDS, st.none() | st.just({"ipv4": ["198.51.100.0/24"]}) | st.just({"ipv4": []}), max_size=3
)
_READERS = st.integers(0, 3)
_CHANGES = st.one_of(
    st.tuples(st.just("costs"), _ROWS, st.sampled_from([False, False, False, True])),
    st.tuples(st.just("network"), _NETWORKS, st.sampled_from([False, False, True])),
)
_STEPS = st.lists(
    st.one_of(
        _CHANGES,
        _CHANGES,
        st.tuples(st.just("read"), _READERS, st.sampled_from([1, 10, 100, 1000, 100_000])),
        st.tuples(st.just("drain"), _READERS, st.none()),
        st.tuples(st.just("ask again"), _READERS, st.none()),
        st.tuples(st.just("connect again"), _READERS, st.none()),
        st.tuples(st.just("pass"), st.sampled_from([0.5, 14.0, 16.0, 31.0]), st.none()),
    ),
    max_size=30,
)
_BOUNDS = st.builds(
    Bounds, patch_share=st.sampled_from([0.0, 0.3, 0.5, 2.0]), rounds_behind=st.sampled_from([0, 2, 1000])
)


class _Story:
    """Maps that change, and clients that read them in their ways."""

    def __init__(self, bounds: Bounds, sizes: list[int]) -> None:
        self.maps = Maps(5, bounds)
        self.pieces: Iterator[int] = cycle(sizes)
        some = AddSubstream(FILTERED, input={"sources": ["pid0", "pid2"]})
        self.readers = [
            Joined(self.maps, NET, COSTS),
            Joined(self.maps, **{COSTS: AddSubstream(COSTS, incremental_changes=False), NET: AddSubstream(NET)}),
            Joined(self.maps, NET, some=some),
            Joined(self.maps, COSTS),
        ]

    def step(self, what: str, first: Any, second: Any) -> None:
        if what == "costs":
            self.maps.set_costs(copy.deepcopy(first), second)
        elif what == "network":
            self.maps.set_network(copy.deepcopy(first), second)
        elif what == "pass":
            self.maps.now_s += first
            self.maps.server.on_timer(self.maps.now_s)
        else:
            self.reader(self.readers[first], what, second)

    def reader(self, joined: Joined, what: str, size: Any) -> None:
        if what == "connect again":
            self.maps.server.closed(joined.stream_id)
            joined.open()
        elif what == "ask again" and not joined.is_over and joined.client.control_uri:
            self.ask_again(joined)
        else:
            self.check(joined.read(size, self.pieces) if what == "read" else joined.drain(self.pieces))
        if joined.is_over:
            joined.open()

    def ask_again(self, joined: Joined) -> None:
        """Lose a copy, and ask for it again while its old substream may have updates under way."""
        name = next(iter(joined.client.copies))
        substream = next(key for key, named in joined.client._names.items() if named == name)
        joined.client.copies[name].lose()
        joined.client._lost[name] = substream
        request = joined.client.resync_request()
        if request is not None:
            try:
                joined.control(request)
            except StreamUnavailable:  # its stream is ending, or was cut
                joined.is_over = True

    @staticmethod
    def check(events: list[Any]) -> None:
        assert not [event for event in events if isinstance(event, Lost | Broken)]

    def document(self, name: str) -> Any:
        if name == "some":
            return self.maps.resource(FILTERED, {"sources": ["pid0", "pid2"]}).document
        return self.maps.resources[name].document


@given(_STEPS, _BOUNDS, st.lists(st.integers(1, 500), min_size=1, max_size=5))
def test_a_drained_stream_leaves_the_client_with_what_the_server_has(
    steps: list[Any], bounds: Bounds, sizes: list[int]
) -> None:
    story = _Story(bounds, sizes)
    for step in steps:
        story.step(*step)
    for joined in story.readers:
        story.check(joined.drain(story.pieces))
        if joined.is_over:  # it was too slow, or silent: it reads why, and comes again
            joined.open()
            story.check(joined.drain(story.pieces))
        for name in joined.client.copies:
            assert same(joined.document(name), story.document(name))
            assert joined.client.is_current(name)
        assert joined.client.unexpected == 0


@given(_STEPS, _BOUNDS)
def test_no_update_of_what_depends_on_another_comes_before_it(steps: list[Any], bounds: Bounds) -> None:
    """Of a server that publishes a network map and its costs together, no client ever has costs that are ahead."""
    story = _Story(bounds, [1000])
    for step in steps:
        story.step(*step)
        client = story.readers[0].client
        tags = client.copies[COSTS].dependent_tags
        network = client.copies[NET]
        assert network.document is None or not tags or network.had(tags[NET])
