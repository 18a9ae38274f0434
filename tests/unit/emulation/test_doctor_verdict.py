"""What the doctor makes of its measurements."""

from __future__ import annotations

import pytest

from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.machine.self_test import assess, link_problems
from topologies.spec import LinkSpec

_SPEC = LinkSpec(delay_ms=10, loss_percent=3, rate_mbps=5)


@pytest.mark.parametrize(("least_ms", "median_ms"), [(20.0, 20.0), (20.1, 20.4), (21.9, 21.9), (20.3, 29.0)])
def test_true_delays_and_a_working_tcp_are_healthy(least_ms: float, median_ms: float) -> None:
    assert list(assess(least_ms, median_ms, 50, 50, 400.0)) == []


def test_a_machine_that_has_no_time_is_not_ready_though_its_fastest_round_trip_is_true() -> None:
    (problem,) = assess(20.1, 35.0, 50, 50, 400.0)
    assert problem.startswith("half of the round trips take more than 35.00 ms")


@pytest.mark.parametrize(
    ("rtt_ms", "received", "tcp_mbps", "words"),
    [
        (20.1, 50, 0.0, ["TCP carries nothing though UDP passes: checksum or segmentation offload"]),
        (None, 0, 0.0, ["no UDP packet came back", "TCP carries nothing; see"]),
        (0.3, 50, 400.0, ["round trips take 0.30 ms at best where 20 ms were configured"]),
        (35.0, 50, 400.0, ["round trips take 35.00 ms"]),
        (20.1, 49, 400.0, ["1 of 50 UDP probes were lost"]),
    ],
)
def test_each_ailment_is_named(rtt_ms: float | None, received: int, tcp_mbps: float, words: list[str]) -> None:
    problems = list(assess(rtt_ms, rtt_ms, 50, received, tcp_mbps))
    assert len(problems) == len(words)
    for problem, expected in zip(problems, words, strict=True):
        assert expected in problem


def _link(least_ms: float | None = 10.15, received: int = 390, rate_mbps: float | None = 5.0) -> MeasuredDirection:
    return MeasuredDirection("the link of a client", "b_to_a", _SPEC, 400, received, least_ms, rate_mbps)


def test_links_that_are_as_configured_are_healthy() -> None:
    assert list(link_problems([_link(), _link(11.9, 380, 5.3)])) == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (_link(least_ms=0.02), ["the link of a client (b_to_a) took 0.02 ms where 10.10 ms were configured"]),
        (_link(least_ms=13.0), ["took 13.00 ms"]),
        (_link(received=400), ["lost 0 of 400 frames where 3 % were configured"]),
        (_link(rate_mbps=900.0), ["carried 900 Mbit/s where 5 were configured"]),
        (_link(0.02, 400, 900.0), ["took", "lost", "carried"]),  # what Open vSwitch makes of a link without protection
        (_link(None, 0, None), ["lost 400 of 400"]),
    ],
)
def test_each_link_that_is_not_as_configured_is_named(link: MeasuredDirection, words: list[str]) -> None:
    problems = list(link_problems([_link(), link]))
    assert len(problems) == len(words)
    for problem, expected in zip(problems, words, strict=True):
        assert expected in problem
