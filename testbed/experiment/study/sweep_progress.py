"""How a sweep shows its progress to the person in front of it: a line as a case begins, a line as it ends.

Owns the terminal while a sweep goes on; decides nothing. What a run says of itself is shown only where it can be
taken back again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.text import Text

from testbed.experiment.progress import InstanceLoad, traffic_time
from testbed.experiment.study.study import Case
from testbed.experiment.study.study_folder import CaseRun
from testbed.terminal.console import one_line

_COLOURS = {"valid": "green", "suspect": "yellow", "invalid": "red"}


class SweepTerminal:
    """Lines for cases; on a terminal, the present phase of the run below them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    @contextmanager
    def showing(self) -> Iterator[SweepTerminal]:
        """Keep the terminal tidy however the block ends."""
        try:
            yield self
        finally:
            self._end_status()

    def begins(self, number: int, of: int, case: Case, left_s: float) -> None:
        """Print which case begins, and how long all take from here on."""
        self._end_status()
        self._console.print(Text.assemble(f"run {number} of {of}, {in_words(left_s)} left: ", (case.name, "bold")))

    def phase(self, text: str) -> None:
        """Show what the run is at."""
        if not self._console.is_interactive:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        shown = one_line(text)[: self._console.width - 4]  # a line that wraps cannot be taken back
        self._status.update(Text(shown, "dim"))

    def traffic(self, work: Path, start_s: float) -> None:
        """Need no files."""

    def load(self, elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> None:
        """Show how far the traffic is."""
        if elapsed_s >= 0:
            queued = sum(item.queue_length for item in loads)
            time = traffic_time(elapsed_s, duration_s)
            self.phase(f"traffic: {time}, {queued} queued at {len(loads)} instances")

    def ended(self, case: Case, run: CaseRun | None, error: str | None) -> None:  # noqa: ARG002
        """Print what became of a case."""
        self._end_status()
        if error is not None:
            self._console.print(Text.assemble("  ", ("failed", "red"), f": {one_line(error)}"))
        elif run is not None:
            verdict = run.verdict or "unchecked"
            colour = _COLOURS.get(verdict, "yellow")
            self._console.print(Text.assemble(f"  finished in {run.seconds or 0:.0f} s, ", (verdict, colour)))

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def in_words(seconds: float) -> str:
    """Return a stretch of time as people say it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
