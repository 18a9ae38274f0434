"""What all systems of a run have in common is judged once, over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.experiment.execution.assessment import sending
from testbed.experiment.fidelity.fidelity import assess_generators
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch.running import Running


class _System(Running):
    def __init__(self, name: str, p99_ms: float) -> None:
        self._summaries = {name: {"requested": 100, "achieved": 100, "lateness_ms": {"p99": p99_ms}}}

    def sending(self) -> Mapping[str, Mapping[str, Any]]:
        return self._summaries


def test_a_late_generator_is_judged_whichever_system_has_it_and_whoever_else_has_one() -> None:
    late, punctual = _System("late/users", 50.0), _System("punctual/jobs", 0.1)
    for systems in ([late, punctual], [punctual, late]):
        fidelity = Fidelity()
        assess_generators(fidelity, sending(systems))
        assert fidelity.measured["generator_lateness_p99_ms"] == (50.0 + 0.1) / 2
        assert fidelity.verdict == "invalid"
