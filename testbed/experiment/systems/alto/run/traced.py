"""What the manifest of a run says of traces that it replayed: how much they had, and what of it could not be. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.experiment.fidelity.verdict import Fidelity
from traffic.traces.file import Drawn


def assess(fidelity: Fidelity, drawn: Sequence[Drawn]) -> None:
    """Note the figures of all traces together, if there are any; they decide nothing."""
    if not drawn:
        return
    fidelity.note("trace_invocations", sum(of.counted.invocations for of in drawn))
    fidelity.note("trace_begun_before", sum(of.counted.begun_before for of in drawn))
    fidelity.note("trace_without_duration", sum(of.counted.without_duration for of in drawn))
