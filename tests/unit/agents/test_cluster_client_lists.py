"""The list of clusters as a cluster client reads it: names, figures, ages, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.agents.cluster_client.alto_lists import ListError, views
from testbed.faas.placement.views import ClusterView, PathView

NAMES = {"sha256:1": "detect"}
ENTRY = {
    "cluster": "east", "addresses": ["10.1.0.12"], "pid": "EAST", "age_s": 0.5, "cpus": 4.0, "cpus_free": 1.0,
    "memory_mb": 2048, "memory_free_mb": 1024, "slots": 8, "slots_free": 6, "queue": 100, "waiting": 3,
    "runtimes": {"python:3": 2}, "functions": {"sha256:1": {"warm": 1, "run_ms": 250.0}, "sha256:2": {"warm": 9}},
    "blobs": ["sha256:b"], "from_user": {"delay_rt_ms": 6.0, "bandwidth_mbps": 8.0, "hops": 2.0},
    "from_repository": {"delay_ow_ms": 1.0, "loss_percent": 0.5, "distance": 3.5},
}  # fmt: skip


def read(*entries: Any) -> tuple[ClusterView, ...]:
    return views(json.dumps({"clusters": list(entries)}).encode(), ("east", "west"), NAMES, 100.0)


def test_a_list_becomes_views_with_functions_by_their_names() -> None:
    assert read(ENTRY) == (
        ClusterView(
            "east", "EAST", frozenset({"python:3"}), 2048, 1024, 8, 100, 2, 3, 4.0, 0.75, frozenset({"detect"}),
            frozenset({"sha256:b"}), {"detect": 1}, {"python:3": 2}, {"detect": 250.0},
            PathView(delay_rt_ms=6.0, bandwidth_mbps=8.0, hops=2),
            PathView(delay_ow_ms=1.0, loss_percent=0.5, distance=3.5), known_s=99.5,
        ),
    )  # fmt: skip


def test_what_is_not_said_is_not_known() -> None:
    assert read({"cluster": "west"}) == (ClusterView("west"),)


def test_a_cluster_that_is_unknown_here_is_left_out() -> None:
    assert read({"cluster": "north"}, {"cluster": 7}, "east", None) == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"clusters": {}}', b"[" * 200])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ListError, match=r"^the list (is no JSON|has no array)"):
        views(body, ("east",), NAMES, 0.0)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.just("east"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ENTRY, "warm"]), inner, max_size=6),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*ENTRY]), _JSON))
def test_whatever_an_entry_says_a_view_comes_of_it(entry: dict[str, Any]) -> None:
    (view,) = views(json.dumps({"clusters": [{**entry, "cluster": "east"}]}).encode(), ("east",), NAMES, 100.0)
    for figure in (view.slots, view.waiting, view.free_memory_mb, view.running, view.from_user.delay_rt_ms):
        assert figure is None or 0 <= figure < float("inf")
    assert view.cpu_used is None or 0 <= view.cpu_used <= 1
