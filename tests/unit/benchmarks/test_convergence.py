"""What the benchmark of convergence makes of the decisions it reads."""

from __future__ import annotations

import pytest

from testbed.benchmarks.ingress.convergence import Change, Decision, convergence_s

A, B = "10.4.0.10", "10.5.0.10"
CHANGES = [Change("down", 10.0, takes_flows=False), Change("up", 20.0, takes_flows=True)]


def decisions(*pairs: tuple[float, str]) -> list[Decision]:
    return [Decision(*pair) for pair in pairs]


def test_a_change_takes_until_the_last_decision_that_does_not_obey() -> None:
    made = decisions((9.9, A), (10.1, A), (10.2, B), (10.3, A), (10.4, B), (10.5, B), (20.1, B), (20.2, A))
    found = dict(convergence_s(CHANGES, made, A, 30.0))
    assert found == {"down": pytest.approx(0.3), "up": pytest.approx(0.1)}


def test_who_never_decided_otherwise_obeyed_at_once() -> None:
    made = decisions((10.1, B), (10.2, B), (20.1, A))
    assert dict(convergence_s(CHANGES, made, A, 30.0))["down"] == 0.0


@pytest.mark.parametrize("made", [[], [(10.1, B), (10.2, A), (20.1, A)]])
def test_a_change_that_is_not_obeyed_is_an_error(made: list[tuple[float, str]]) -> None:
    with pytest.raises(RuntimeError, match=r"down: no decision obeyed within 10\.00 s"):
        list(convergence_s(CHANGES, decisions(*made), A, 30.0))
