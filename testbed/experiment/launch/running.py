"""What a system does on a testbed that stands, from its first process to its last: the one class to write for that.

A system makes one for each testbed (`System.running`). What it leaves out adds nothing to a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

if TYPE_CHECKING:
    from testbed.experiment.faults.steps import Happening, Step
    from testbed.experiment.fidelity.process_gaps import Windows
    from testbed.experiment.fidelity.verdict import Fidelity
    from testbed.experiment.launch.testbed import Testbed
    from testbed.experiment.progress import InstanceLoad


class Running:
    """A system on a testbed, in the order of a run."""

    modules: ClassVar[tuple[str, ...]] = ()  # of processes that nearly every run needs: imported once for all

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed

    @classmethod
    def of(cls, testbed: Testbed) -> Self:
        """Return it, typed."""
        return next(running for running in testbed.running.values() if isinstance(running, cls))

    # -- processes ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start its processes, and return when they serve; what comes before is start-up, not a result.

        Raises RunError for one that does not get so far.
        """

    def ends_first(self) -> Iterable[Collection[str]]:
        """Return groups of its processes in the order in which they end: those that speak before those that listen."""
        return ()

    # -- the load: prepared before the network is built, begun together at `start_s` (CLOCK_MONOTONIC) ------------

    def prepare_load(self, base: Path) -> int:
        """Write what the load needs; return how many processes will offer it. `base`: what paths are relative to."""
        return 0

    def settle(self) -> None:
        """Do what takes the network itself before the load, once its links were measured at rest. Raises RunError."""

    def converge(self) -> None:
        """Wait until its nodes know what all systems have put into the network by now, in `settle`. Raises RunError."""

    def start_load(self, start_s: float) -> Sequence[str]:
        """Start the processes that offer its load from `start_s` on, and end by themselves; return their names."""
        return ()

    @property
    def longest_work_s(self) -> float:
        """How long what begins last may take."""
        return 0.0

    def measure_at_rest(self, until_s: float) -> None:
        """Measure what must be measured before the load; takes no longer than `until_s`."""

    def loads(self) -> list[InstanceLoad]:
        """Return how busy its instances are now."""
        return []

    # -- faults of its kinds ---------------------------------------------------------------------------------------

    def perform(self, step: Step) -> str:
        """Perform the begin or the end of a fault; return what there is to remark."""
        raise NotImplementedError(f"{type(self).__name__} performs no {step.fault.kind}")

    def on_links_changed(self) -> None:
        """Take note that a fault cut, degraded or restored links; `testbed.network.present` says how each is now."""

    def step(self, now_s: float) -> Iterable[Happening]:
        """Go on with faults that take several steps; called again and again."""
        return ()

    def end_faults(self) -> Iterable[Happening]:
        """Let nothing of a fault keep a process from its end; say what is unfinished."""
        return ()

    def planned_windows(self, start_s: float) -> Windows:
        """Return when planned faults end or halt which of its processes; the load starts at `start_s`."""
        return {}

    def stop(self) -> None:
        """Let go of what it holds in the network, which is removed next; also where it did not start."""

    # -- after the load --------------------------------------------------------------------------------------------

    def sending(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how its generators kept to their schedules, as `generators.sending` yields it."""
        return {}

    def assess(self, fidelity: Fidelity, start_s: float) -> None:
        """Add its figures and doubts to the verdict on the run, from what its processes wrote since `start_s`."""
