"""What faults do to a testbed that is up, whatever system runs on it: processes ended and halted, links cut.

When what is done is `injector`'s business; what only a system can do to its processes, that system adds.
"""

from __future__ import annotations

import signal
from typing import Protocol

from testbed.experiment.launch.testbed import Testbed
from topologies.spec import LinkSpec


class Operations(Protocol):
    """What faults do. Each deed returns a remark if there was nothing to do."""

    def kill(self, process: str) -> str:
        """Kill a process."""

    def stop(self, process: str) -> str:
        """Have a process end in good order."""

    def signal(self, process: str, number: signal.Signals) -> str:
        """Send a signal."""

    def cut(self, a: str, b: str) -> str:
        """Have a link lose everything."""

    def restore(self, a: str, b: str) -> str:
        """Undo a cut."""

    def degrade(self, a: str, b: str, spec: LinkSpec) -> str:
        """Have a link impair packets so."""

    def repair(self, a: str, b: str, spec: LinkSpec) -> str:
        """Undo a `degrade`."""

    def is_running(self, process: str) -> bool:
        """Return whether a process runs and was not asked to end."""


class TestbedOperations:
    """The operations of a run."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._processes = testbed.processes
        self._halted: set[str] = set()

    def kill(self, process: str) -> str:
        """Kill a process."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.kill(process)
        return ""

    def stop(self, process: str) -> str:
        """Have a process end in good order."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.stop(process)
        return ""

    def signal(self, process: str, number: signal.Signals) -> str:
        """Send a signal."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.signal(process, number)
        (self._halted.add if number is signal.SIGSTOP else self._halted.discard)(process)
        return ""

    def release(self) -> None:
        """Have processes that are halted go on, for a halted one cannot end."""
        for process in self._halted:
            self._processes.signal(process, signal.SIGCONT)
        self._halted.clear()

    def cut(self, a: str, b: str) -> str:
        """Have a link lose everything."""
        self._testbed.network.cut(a, b)
        return ""

    def restore(self, a: str, b: str) -> str:
        """Undo a cut."""
        self._testbed.network.restore(a, b)
        return ""

    def degrade(self, a: str, b: str, spec: LinkSpec) -> str:
        """Have a link impair packets so."""
        self._testbed.network.change(a, b, spec)
        return ""

    def repair(self, a: str, b: str, spec: LinkSpec) -> str:
        """Undo a `degrade`."""
        self._testbed.network.change_back(a, b, spec)
        return ""

    def is_running(self, process: str) -> bool:
        """Return whether a process runs and was not asked to end."""
        return self._processes.is_running(process)
