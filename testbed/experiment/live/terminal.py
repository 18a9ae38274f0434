"""A run in the terminal while it goes on (`--live`): instances, flows from ingress to site, times, faults.

Owns the look, from 80 columns on; elsewhere than on a terminal, a line now and then. Decides and reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.experiment.live.state import LiveFault, LiveState
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import InstanceLoad, traffic_time
from testbed.experiment.system import systems
from testbed.terminal.console import step

_PLAIN_EVERY_S = 10.0
_BAR = 16
_SHARE_BAR = 20
_INGRESS, _RATE = 14, 7  # columns
_SPARKS = "▁▂▃▄▅▆▇█"
_SITE_STYLES = ("blue", "yellow", "green", "magenta", "cyan", "red", "bright_blue", "bright_yellow", "bright_green")
_FIXED_LINES = 10  # what is neither instance, ingress nor fault


class LiveTerminal:
    """A view: lines for phases, and beneath them what goes on."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._names = [item.name for system in systems() for item in system.instances(plan)]
        self._console = console
        self._styles = {site: _SITE_STYLES[number % len(_SITE_STYLES)] for number, site in enumerate(plan.sites)}
        self._display: Live | None = None
        self._next_plain_s = 0.0
        self._is_over = False

    @contextmanager
    def showing(self) -> Iterator[LiveTerminal]:
        """Leave the last state on the terminal, and the terminal tidy, however the block ends."""
        try:
            yield self
        finally:
            self._end_display()

    def phase(self, text: str) -> None:
        """Print a line above what goes on; beneath it, when no more flows arrive."""
        if self._is_over:
            self._end_display()
        self._console.print(step(text))

    def show(self, state: LiveState) -> None:
        """Redraw, or print a line every ten seconds."""
        self._is_over = state.elapsed_s >= state.duration_s
        if not self._console.is_interactive:
            if state.elapsed_s >= self._next_plain_s:
                self._next_plain_s = state.elapsed_s + _PLAIN_EVERY_S
                self._console.print(Text(_line(state)))
            return
        if self._display is None:
            self._display = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._display.start()
        self._display.update(self._drawn(state), refresh=True)

    def end(self, end: dict[str, Any]) -> None:  # noqa: ARG002
        """Leave the last state where it is; what follows is printed beneath."""
        self._end_display()

    def _end_display(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _drawn(self, state: LiveState) -> RenderableType:
        ingresses = list(dict.fromkeys(client.site for client in self._plan.clients))
        faults = _worth_showing(state.faults)
        room = self._console.height - _FIXED_LINES - len(faults)
        shown_ingresses = max(2, min(len(ingresses), room // 3))
        return Group(
            _progress_line(state),
            Text(_fares(state), style="bold"),
            _sparkline(state, self._console.width),
            Text("; ".join(state.doubts), style="red") if state.doubts else Text(_machine(state), style="dim"),
            self._instances(state, max(2, room - shown_ingresses)),
            self._ingresses(state, ingresses, shown_ingresses),
            *(_fault_line(fault, state.elapsed_s) for fault in faults),
        )

    def _instances(self, state: LiveState, most: int) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("instance", no_wrap=True, max_width=24)
        table.add_column("busy workers, queue", no_wrap=True)
        for heading in ("util.", "open", "done", "refused"):
            table.add_column(heading, justify="right", no_wrap=True)
        names = self._names
        if len(names) > most:  # the busiest, in the order of the scenario
            busiest = sorted(names, key=lambda name: _pressure(state.loads.get(name)), reverse=True)[: most - 1]
            names = [name for name in names if name in busiest]
        for name in names:
            load = state.loads.get(name)
            if load is None or name in state.silent:
                table.add_row(Text(name, style="dim"), Text("does not run", style="red"))
                continue
            refused = Text(str(load.refused), style="red" if load.refused else "dim")
            table.add_row(
                Text(name), _load_bar(load), f"{load.utilisation:.0%}", str(load.sessions), str(load.completed), refused
            )
        left_out = len(self._names) - len(names)
        return Group(table, Text(f"and {left_out} less busy", style="dim")) if left_out else table

    def _ingresses(self, state: LiveState, ingresses: Sequence[str], most: int) -> RenderableType:
        rates = {ingress: _rates_from(state, ingress) for ingress in ingresses}
        chosen = sorted(ingresses, key=lambda ingress: sum(rates[ingress].values()), reverse=True)[:most]
        table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("from", no_wrap=True, width=_INGRESS)
        table.add_column("flows/s", justify="right", no_wrap=True, width=_RATE)
        table.add_column("to", no_wrap=True, width=_SHARE_BAR)
        table.add_column("", no_wrap=True)
        room = self._console.width - (_INGRESS + _RATE + _SHARE_BAR + 4)
        for ingress in (name for name in ingresses if name in chosen):
            total = sum(rates[ingress].values())
            shares = {site: rate / total for site, rate in rates[ingress].items()} if total else {}
            words = Text("  ").join(
                Text(f"{site} {share:.0%}", style=self._styles.get(site, "")) for site, share in shares.items()
            )
            words.truncate(room, overflow="ellipsis")
            table.add_row(Text(ingress), f"{total:.1f}", self._share_bar(shares), words)
        left_out = len(ingresses) - len(chosen)
        return Group(table, Text(f"and {left_out} that send fewer", style="dim")) if left_out else table

    def _share_bar(self, shares: dict[str, float]) -> Text:
        bar, filled, summed = Text(), 0, 0.0
        for site, share in shares.items():
            summed += share
            cells = round(summed * _SHARE_BAR) - filled
            bar.append("█" * cells, style=self._styles.get(site, ""))
            filled += cells
        return bar


def _rates_from(state: LiveState, ingress: str) -> dict[str, float]:
    """Return flows/s from an ingress by site, the most first."""
    of_ingress = [(rate, site) for (source, site), rate in state.window.flows_per_s.items() if source == ingress]
    return {site: rate for rate, site in sorted(of_ingress, reverse=True)}


def _pressure(load: InstanceLoad | None) -> float:
    """Return how much an instance is worth looking at: one that does not run, most."""
    return float("inf") if load is None else (load.busy_workers + load.queue_length) / load.workers + load.utilisation


def _progress_line(state: LiveState) -> Text:
    elapsed_s = max(0.0, state.elapsed_s)
    done = min(1.0, elapsed_s / state.duration_s)
    line = Text("━" * round(done * 40), style="cyan")
    line.append("━" * (40 - round(done * 40)), style="bright_black")
    if state.elapsed_s < 0:
        line.append(f"  begins in {-state.elapsed_s:.0f} s", style="default")
    elif state.left_s:
        line.append(f"  {elapsed_s:.0f} of {state.duration_s:.0f} s, {state.left_s:.0f} s left", style="default")
    else:
        line.append(f"  {elapsed_s:.0f} s; the last flows end", style="default")
    return line


def _fares(state: LiveState) -> str:
    window = state.window
    p50_ms, p95_ms = window.completion.quantile_ms(0.5), window.completion.quantile_ms(0.95)
    times = "" if p50_ms is None else f": half in {p50_ms:.0f} ms, 95 % in {p95_ms:.0f} ms"
    failed = f", {window.failed_per_s / window.ended_per_s:.1%} failed" if window.failed_per_s else ""
    return f"{sum(window.flows_per_s.values()):.1f} flows/s, {window.ended_per_s:.1f}/s ended{times}{failed}"


def _machine(state: LiveState) -> str:
    late_ms = state.window.lateness.quantile_ms(0.99)
    late = "" if late_ms is None else f"; 99 % of flows begin within {late_ms:.1f} ms of their time"
    busy = "" if state.cpu_share is None else f"processors {state.cpu_share:.0%} busy"
    return f"{busy}{late}".removeprefix("; ")


def _sparkline(state: LiveState, width: int) -> Text:
    """Draw the mean completion time by second, or where nothing completes, how many flows end."""
    seconds = list(state.history.items())[-(width - 34) :]
    means = [second.mean_ms for _, second in seconds]
    values = [float(second.ended) for _, second in seconds] if not any(means) else [mean or 0.0 for mean in means]
    most = max(values, default=0.0)
    what = f"flows ended, up to {most:.0f}/s" if not any(means) else f"mean time, up to {most:.0f} ms"
    line = Text(f"{what:<30} ", style="dim")
    for value, (_, second) in zip(values, seconds, strict=True):
        spark = _SPARKS[min(len(_SPARKS) - 1, int(value / most * len(_SPARKS)))] if value else " "
        line.append(spark, style="red" if second.failed else "cyan")
    return line


def _load_bar(load: InstanceLoad) -> Text:
    """Draw workers and queue, scaled down where there are many."""
    scale = min(1.0, _BAR / max(1, load.workers + load.queue_length))
    cells = [round(count * scale) for count in (load.busy_workers, load.workers, load.workers + load.queue_length)]
    bar = Text("█" * cells[0] + "░" * (cells[1] - cells[0]), style="cyan")
    bar.append("▒" * (cells[2] - cells[1]), style="red")
    bar.append(f" {load.busy_workers}/{load.workers}+{load.queue_length}", style="dim")
    return bar


def _worth_showing(faults: Sequence[LiveFault]) -> list[LiveFault]:
    """Return the faults that are on, the last that is over and the next."""
    over = [fault for fault in faults if fault.ended_s is not None]
    to_come = [fault for fault in faults if fault.began_s is None]
    return over[-1:] + [fault for fault in faults if fault.is_on][-4:] + to_come[:1]


def _fault_line(fault: LiveFault, elapsed_s: float) -> Text:
    planned = fault.planned
    what = f"{planned.kind} {planned.target}"
    if fault.began_s is None:
        return Text(f"○ in {max(0.0, planned.at_s - elapsed_s):.0f} s: {what}", style="dim")
    if fault.ended_s is not None:
        return Text(f"● {fault.began_s:.1f} to {fault.ended_s:.1f} s: {what}", style="dim")
    until = f", until {planned.until_s:g} s" if planned.until_s is not None else ""
    remark = f" ({fault.remark})" if fault.remark else ""
    return Text(f"● since {fault.began_s:.1f} s{until}: {what}{remark}", style="bold red")


def _line(state: LiveState) -> str:
    loads = "  ".join(
        f"{item.name} {item.busy_workers}/{item.workers}+{item.queue_length}"
        for item in state.loads.values()
        if item.name not in state.silent
    )
    on = "".join(f"; {fault.planned.kind} {fault.planned.target}" for fault in state.faults if fault.is_on)
    return f"  {traffic_time(state.elapsed_s, state.duration_s)}  {_fares(state)}{on}\n           {loads}"
