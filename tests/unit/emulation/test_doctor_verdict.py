"""What the doctor makes of its measurements."""

from __future__ import annotations

import pytest

from testbed.emulation.machine.self_test import judge


@pytest.mark.parametrize("rtt_ms", [20.0, 20.4, 21.9])
def test_true_delays_and_a_working_tcp_are_healthy(rtt_ms: float) -> None:
    assert list(judge(rtt_ms, 50, 50, 400.0)) == []


@pytest.mark.parametrize(
    ("rtt_ms", "received", "tcp_mbps", "words"),
    [
        (20.1, 50, 0.0, ["TCP carries nothing though UDP passes: checksum or segmentation offload"]),
        (None, 0, 0.0, ["no UDP packet came back", "TCP carries nothing; see"]),
        (0.3, 50, 400.0, ["round trips take 0.30 ms where 20 ms were configured"]),
        (35.0, 50, 400.0, ["round trips take 35.00 ms"]),
        (20.1, 49, 400.0, ["1 of 50 UDP probes were lost"]),
    ],
)
def test_each_ailment_is_named(rtt_ms: float | None, received: int, tcp_mbps: float, words: list[str]) -> None:
    problems = list(judge(rtt_ms, 50, received, tcp_mbps))
    assert len(problems) == len(words)
    for problem, expected in zip(problems, words, strict=True):
        assert expected in problem
