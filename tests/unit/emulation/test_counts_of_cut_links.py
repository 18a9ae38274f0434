"""A link by the kernel's netem that is cut counts anew when it carries again; what it counted before is not lost."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from testbed.emulation.links import link_cut
from testbed.emulation.links.backend import LinkEnd, LinkRequest
from testbed.emulation.links.links import Links
from topologies.spec import LinkSpec

_ENDS = LinkEnd(None, "a"), LinkEnd(None, "b")


class Netem:
    """netem as far as it counts; while a link is cut it is not there."""

    name = "netem"

    def __init__(self) -> None:
        self.packets: int | None = 0

    def statistics(self) -> dict[str, Any]:
        way = {"packets": self.packets, "bytes": self.packets, "dropped": 0, "dropped_loss": None, "in_place": True}
        return {"backend": self.name, "links": {"link": {"a_to_b": way, "b_to_a": way}}}

    def close(self) -> None:
        pass


@pytest.fixture
def netem(monkeypatch: pytest.MonkeyPatch) -> Netem:
    netem: Any = Netem()

    def set_packets(count: int | None) -> None:
        netem.packets = count

    monkeypatch.setattr(link_cut, "cut", lambda _: set_packets(None))
    monkeypatch.setattr(link_cut, "restore", lambda _, netem: set_packets(0 if netem else None))
    return netem  # type: ignore[no-any-return]


def test_what_was_counted_before_each_cut_counts(netem: Netem) -> None:
    links = Links(netem, netem, ExitStack(), [LinkRequest(*_ENDS, LinkSpec(delay_ms=1), "link")])  # type: ignore[arg-type]

    def counted() -> dict[str, Any]:
        return links.statistics()["links"]["link"]["a_to_b"]  # type: ignore[no-any-return]

    for before, more in ((0, 5), (5, 7)):
        netem.packets = more
        links.cut("link")
        assert counted()["packets"] == before + more
        links.restore("link")
        assert counted()["packets"] == before + more
    netem.packets = 1
    for _ in range(2):
        links.close()
        assert counted() == {"packets": 13, "bytes": 13, "dropped": 0, "dropped_loss": None, "in_place": True}
