"""The page of one run: what it asked, whether its figures can be trusted, and what came out.

Owns which parts there are and their order; a part with nothing to show is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from testbed.analysis.flows.attribution import directory
from testbed.analysis.html_report import (
    decision_figures,
    flow_figures,
    load_figures,
    network_figure,
    rtp_figures,
    run_tables,
    signalling_figure,
)
from testbed.analysis.html_report.page import (
    Block,
    Checklist,
    Figures,
    Folded,
    Note,
    Page,
    Section,
    Tile,
    Verdict,
)
from testbed.analysis.html_report.sketches import Sketchbook
from testbed.analysis.html_report.tabulate import THREE_DIGITS, shares, table
from testbed.analysis.html_report.time_axis import TimeAxis
from testbed.analysis.measures import mos
from testbed.analysis.measures.summary import Summary, streams
from testbed.analysis.plots.placement_plot import flow_counts
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData

_SENTENCES = {
    "valid": "The emulation was true to the scenario.",
    "suspect": "Read these figures with care: the machine left its mark on them.",
    "invalid": "These figures are the machine's, not the network's.",
    "unchecked": "The manifest gives no fidelity verdict.",
}
_MOST_TEXT = 200_000  # characters of a file shown as it stands


def verdict(level: str | None, reasons: tuple[str, ...] = ()) -> Verdict:
    """Return a run's verdict in words."""
    known = level if level in _SENTENCES else "unchecked"
    return Verdict(known, _SENTENCES[known], reasons)


def run_page(summary: Summary) -> Page:
    """Put together the page of a run. Raises RunDataError where its topology.yaml is corrupt."""
    run = summary.run
    parts = _Parts(summary)
    titled = (
        ("network", "Network", parts.network()),
        ("requests", "Requests", parts.requests()),
        ("calls", "RTP streams", parts.rtp()),
        ("commands", "Commands at clients", parts.commands()),
        ("load", "Load of instances", parts.load()),
        ("placement", "Where flows went", parts.placement()),
        ("decisions", "Decisions", parts.decisions()),
        ("faults", "Faults", parts.faults()),
        ("signalling", "Signalling", parts.signalling()),
        ("trust", "Checks and fidelity", parts.checks()),
        ("manifest", "Scenario and manifest", parts.files()),
    )
    sections = [Section(anchor, title, blocks) for anchor, title, found in titled if (blocks := list(found))]
    return Page(
        title=f"{run.scenario}: {run.policy}",
        lead=run.manifest.description or "",
        facts=list(_facts(run)),
        verdict=verdict(run.manifest.verdict, run.manifest.reasons),
        tiles=list(_tiles(summary, parts.calls)),
        sections=sections,
    )


def _facts(run: RunData) -> Iterator[tuple[str, str]]:
    manifest = run.manifest
    policies = manifest.policies
    if len(set(policies.values())) > 1:
        yield "policies", ", ".join(f"{service} {policy}" for service, policy in sorted(policies.items()))
    else:
        yield "policy", run.policy
    yield "seed", "not stated" if manifest.seed is None else str(manifest.seed)
    yield "duration", f"{run.end_s - run.start_s:g} s"
    if manifest.warm_up_s:
        yield "warm-up", f"{manifest.warm_up_s:g} s, in no mean, share or quantile"
    for name, value in (
        ("topology", manifest.topology),
        ("begun", manifest.begun_at),
        ("run", run.run_id),
    ):
        if value:
            yield name, str(value)
    counts = ((len(manifest.sites), "site"), (len(manifest.instances), "instance"), (len(manifest.clients), "client"))
    built = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
    if built:
        yield "size", built
    for service, why in manifest.steered_out_of_band.items():
        yield f"{service} is steered", str(why)


def _tiles(summary: Summary, calls: pd.DataFrame) -> Iterator[Tile]:
    services = summary.services
    yield Tile(f"{services['offered'].sum():,}", "flows offered")
    requests = services[is_request(services)]
    offered = requests["offered"].sum()
    if offered:
        answered = summary.flows.loc[is_request(summary.flows) & (summary.flows["outcome_class"] == "ok")]
        completion_ms = answered["completion_ms"].dropna()
        if len(completion_ms):
            yield Tile(f"{completion_ms.mean():,.1f} ms", "completion, mean")
            yield Tile(f"{completion_ms.quantile(0.95):,.1f} ms", "completion, p95")
        unserved = offered - requests["ok"].sum() - requests["interrupted"].sum()
        yield Tile(f"{unserved / offered:.2%}", "requests refused, timed out or failed")
    echo = summary.rtp[summary.rtp["direction"] == "echo"]
    packets = echo["packets"].sum()
    if packets:
        yield Tile(f"{(echo['loss_percent'] * echo['packets']).sum() / packets:.2f} %", "RTP packets lost")
    heard = calls[calls["direction"] == "echo"]
    if len(heard):
        yield Tile(f"{heard['mos'].mean():.2f}", "mean opinion score of calls, 1 to 4.5")
    regret = summary.judgement.regret
    if regret["decisions"].sum():
        regret_ms = np.average(regret["regret_mean_ms"], weights=regret["decisions"])
        yield Tile(f"{regret_ms:,.1f} ms", "regret of a decision, mean")
    if not summary.signalling.empty:
        yield Tile(f"{summary.signalling['bytes_per_s'].sum():,.0f} B/s", "signalling, payload")


@dataclass
class _Parts:
    """The blocks of each part; pictures are drawn as they are asked for."""

    summary: Summary
    book: Sketchbook = field(default_factory=Sketchbook)

    def __post_init__(self) -> None:
        self.run = self.summary.run
        self.time = TimeAxis.of(self.run, self.summary.faults)
        self.calls = mos.call_quality(self.run)

    def network(self) -> Iterator[Block]:
        topology = network_figure.read_topology(self.run)
        links = network_figure.link_loads(self.run, topology)
        if topology is not None:
            yield Figures([network_figure.network(self.book, topology, links, self.summary.sites)])
        if not self.summary.sites.empty:
            yield table("Sites", self.summary.sites, run_tables.SITES)
        if not links.empty:
            note = "Both directions of each link. Late: after the moment a packet was due at the far end."
            busiest_first = links.sort_values("mbps", ascending=False, kind="stable")
            yield Folded(
                "Links: what they carried and lost",
                [table("Links, the busiest first", busiest_first, run_tables.LINKS, note=note, file="manifest.json")],
            )

    def requests(self) -> Iterator[Block]:
        services = self.summary.services
        requests = services[is_request(services)]
        if requests.empty:
            return
        figures = flow_figures.completion(self.book, self.summary.flows)
        if figures:
            yield Figures(figures)
            yield from self._say_what_is_left_out()
        yield table("Requests by service", requests, run_tables.SERVICES)

    def rtp(self) -> Iterator[Block]:
        services = self.summary.services
        if services[~is_request(services)].empty and self.summary.rtp.empty:
            return
        table_of_streams = streams(self.run)
        if not table_of_streams.empty:
            yield Figures(rtp_figures.stream_quality(self.book, table_of_streams, self.calls))
        if not self.summary.rtp.empty:
            yield table("RTP by service", _with_ways(self.summary.rtp), run_tables.RTP)
        if not self.calls.empty:
            note = (
                "R = 93.2 less impairment by delay and loss, losses concealed; from mouth to ear: a packet of 20 ms, "
                "the delay, and a playout buffer of four jitters. Below R 70 many users are dissatisfied."
            )
            yield table("Calls by the E-model", _with_ways(mos.by_service(self.calls)), run_tables.OPINION, note=note)
        if not self.summary.calls.empty:
            yield table("Calls of several streams", self.summary.calls, run_tables.CALLS)

    def commands(self) -> Iterator[Block]:
        if not self.run.commands.empty:
            yield table("Commands", self.run.commands, run_tables.COMMANDS, file="commands.csv")

    def load(self) -> Iterator[Block]:
        figures = load_figures.load_over_time(self.book, self.run, self.time)
        if figures:
            yield Figures(figures)
            yield from self._say_what_is_left_out()
        if not self.summary.instances.empty:
            yield table("Instances", self.summary.instances, run_tables.INSTANCES, file="instances.csv")

    def placement(self) -> Iterator[Block]:
        flows = self.summary.flows
        figures = flow_figures.new_flows(self.book, flows, self.time)
        if figures:
            yield Figures(figures)
        known = directory(self.run)
        for service in sorted(flows["service"].dropna().unique())[: flow_figures.MOST_PICTURES]:
            counts = flow_counts(service, flows, known)
            yield shares(f"{service}: flows from each ingress, and their share", counts, "ingress")
        yield from self._say_what_is_left_out()

    def _say_what_is_left_out(self) -> Iterator[Block]:
        services = self.summary.services["service"].nunique()
        if services > flow_figures.MOST_PICTURES:
            yield Note(f"Shown for the first {flow_figures.MOST_PICTURES} of {services} services, by name.")

    def decisions(self) -> Iterator[Block]:
        figures = decision_figures.judged(self.book, self.summary.judgement, self.time)
        if figures:
            yield Figures(figures)
        for caption, frame, columns in (
            ("Regret", self.summary.judgement.regret, run_tables.REGRET),
            ("Steadiness", self.summary.judgement.steadiness, run_tables.STEADINESS),
            ("Decisions by D-Router", self.summary.decisions, run_tables.DECISIONS),
        ):
            if not frame.empty:
                yield table(caption, frame, columns)

    def faults(self) -> Iterator[Block]:
        faults = self.summary.faults
        if not faults.empty:
            yield table("Faults", faults.assign(number=np.arange(1, len(faults) + 1)), run_tables.FAULTS)

    def signalling(self) -> Iterator[Block]:
        figures = signalling_figure.signalling(self.book, self.run, self.time)
        if figures:
            yield Figures(figures)
        if not self.summary.signalling.empty:
            yield table("Sent while workloads ran", self.summary.signalling, run_tables.SIGNALLING)
        costs = self.summary.judgement.costs.dropna(subset="value")
        if not costs.empty:
            yield table("What steering cost", costs, run_tables.COSTS)

    def checks(self) -> Iterator[Block]:
        yield Checklist([(check.name, check.ok, check.detail) for check in self.summary.checks])
        if not self.summary.affinity_violations.empty:
            violations = self.summary.affinity_violations
            yield table("Flows that moved without need", violations, run_tables.VIOLATIONS, file="affinity.csv")
        fidelity = self.run.manifest.fidelity
        measured = fidelity.measured if fidelity else {}
        figures = pd.DataFrame(
            [(name.replace("_", " "), value) for name, value in measured.items() if isinstance(value, int | float)],
            columns=["what", "value"],
        )
        if not figures.empty:
            columns = {"what": ("figure", ""), "value": ("value", THREE_DIGITS)}
            yield table("What the verdict rests on", figures, columns)

    def files(self) -> Iterator[Block]:
        scenario = self.run.run_dir / "scenario.yaml"
        if scenario.is_file():
            yield Folded("scenario.yaml", text=_shown(scenario))
        manifest = replace(self.run.manifest, links=None).as_document()  # there is a table of the links
        yield Folded("manifest.json, without the links' statistics", text=_cut(json.dumps(manifest, indent=1)))
        yield Note("The tables beside this file hold one row per flow, stream, decision, report and sample.")


def _with_ways(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(way=frame["direction"].map(lambda direction: rtp_figures.WAYS.get(direction, direction)))


def _shown(path: Path) -> str:
    try:
        return _cut(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\n… ({len(text) - _MOST_TEXT:,} more characters)"
