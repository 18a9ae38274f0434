"""How a run shows its progress to the person in front of it. Owns the terminal; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.terminal.console import step

_PLAIN_EVERY_S = 10.0


@dataclass(frozen=True)
class InstanceLoad:
    """Load of one instance at its latest sample, at `time_s`; `utilisation` of its workers from 0 to 1."""

    name: str
    busy_workers: int
    workers: int
    queue_length: int
    completed: int
    refused: int
    sessions: int
    utilisation: float
    time_s: float


def traffic_time(elapsed_s: float, duration_s: float) -> str:
    """Say how far the traffic is; after its end the last flows are still waited for."""
    if elapsed_s <= duration_s:
        return f"{max(0.0, elapsed_s):.0f} of {duration_s:g} s"
    return f"{duration_s:g} s; the last flows end"


class Progress(Protocol):
    """What a run reports while it goes on."""

    def phase(self, text: str) -> None:
        """Say what is being done now."""

    def traffic(self, work: Path, start_s: float) -> None:
        """Take note that flows arrive from `start_s` on, and that `work` has what the processes write meanwhile."""

    def load(self, elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> None:
        """Show the load per instance."""


class Silent:
    """For tests and programs."""

    def phase(self, text: str) -> None:
        """Say nothing."""

    def traffic(self, work: Path, start_s: float) -> None:
        """Need no files."""

    def load(self, elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> None:
        """Show nothing."""


class Terminal:
    """Lines for phases; a live table of loads on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._next_plain_s = 0.0

    @contextmanager
    def showing(self) -> Iterator[Terminal]:
        """Keep the terminal tidy however the block ends."""
        try:
            yield self
        finally:
            self._end_live()

    def phase(self, text: str) -> None:
        """Print a line."""
        self._end_live()
        self._console.print(step(text))

    def traffic(self, work: Path, start_s: float) -> None:
        """Need no files: the loads say enough for a table."""

    def load(self, elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> None:
        """Redraw the table, or print a line every ten seconds."""
        if not self._console.is_interactive:
            if elapsed_s >= self._next_plain_s:
                self._next_plain_s = elapsed_s + _PLAIN_EVERY_S
                self._console.print(Text(f"  {traffic_time(elapsed_s, duration_s)}  {_line(loads)}"))
            return
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(_table(elapsed_s, duration_s, loads))

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _line(loads: Sequence[InstanceLoad]) -> str:
    return "  ".join(f"{item.name} {item.busy_workers}/{item.workers}+{item.queue_length}" for item in loads)


def _table(elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> Table:
    table = Table(title=traffic_time(elapsed_s, duration_s), title_justify="left", box=None)
    table.add_column("instance")
    table.add_column("busy workers and queue")
    for heading in ("completed", "refused"):
        table.add_column(heading, justify="right")
    for item in loads:
        bar = Text("█" * item.busy_workers + "░" * (item.workers - item.busy_workers), style="cyan")
        bar.append("▒" * min(item.queue_length, 40), style="red")
        bar.append(f" {item.busy_workers}/{item.workers}+{item.queue_length}", style="dim")
        refused = Text(str(item.refused), style="red" if item.refused else "dim")
        table.add_row(Text(item.name), bar, str(item.completed), refused)
    return table
