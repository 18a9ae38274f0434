"""The sections that every run's page has, whichever systems ran: each says its blocks, or none.

Owns which there are and their order. Systems add theirs in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from testbed.analysis.flows.attribution import directory
from testbed.analysis.html_report.blocks.page import Block, Checklist, Figures, Folded, Note
from testbed.analysis.html_report.blocks.tabulate import shares, table
from testbed.analysis.html_report.run import flow_figures, load_figures, network_figure, rtp_figures, signalling_figure
from testbed.analysis.html_report.run.report import RunReport
from testbed.analysis.measures import columns, mos
from testbed.analysis.measures.columns import THREE_DIGITS
from testbed.analysis.measures.summary import numbered, streams, with_ways
from testbed.analysis.plots.placement_plot import flow_counts
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.system import ReportSection
from testbed.records import result_files

_MOST_GAPS = 10  # processes in a table
_MOST_TEXT = 200_000  # characters of a file shown as it stands


def _network(report: RunReport) -> Iterator[Block]:
    topology = network_figure.read_topology(report.run)
    links = network_figure.link_loads(report.run, topology)
    if topology is not None:
        yield Figures([network_figure.network(report.book, topology, links, report.summary.sites)])
    if not report.summary.sites.empty:
        yield table("Sites", report.summary.sites, columns.SITES)
    if not links.empty:
        note = "Both directions of each link. Late: after the moment a packet was due at the far end."
        busiest_first = links.sort_values("mbps", ascending=False, kind="stable")
        yield Folded(
            "Links: what they carried and lost",
            [table("Links, the busiest first", busiest_first, columns.LINKS, note=note, file="manifest.json")],
        )


def _requests(report: RunReport) -> Iterator[Block]:
    services = report.summary.services
    requests = services[is_request(services)]
    if requests.empty:
        return
    figures = flow_figures.completion(report.book, report.summary.flows)
    if figures:
        yield Figures(figures)
        yield from _say_what_is_left_out(report)
    yield table("Requests by service", requests, columns.SERVICES)


def _rtp(report: RunReport) -> Iterator[Block]:
    services = report.summary.services
    if services[~is_request(services)].empty and report.summary.rtp.empty:
        return
    table_of_streams = streams(report.run)
    if not table_of_streams.empty:
        yield Figures(rtp_figures.stream_quality(report.book, table_of_streams, report.calls))
    if not report.summary.rtp.empty:
        yield table("RTP by service", with_ways(report.summary.rtp), columns.RTP)
    if not report.calls.empty:
        note = (
            "R = 93.2 less impairment by delay and loss, losses concealed; from mouth to ear: a packet of 20 ms, "
            "the delay, and a playout buffer of four jitters. Below R 70 many users are dissatisfied."
        )
        yield table("Calls by the E-model", with_ways(mos.by_service(report.calls)), columns.OPINION, note=note)
    if not report.summary.calls.empty:
        yield table("Calls of several streams", report.summary.calls, columns.CALLS)


def _commands(report: RunReport) -> Iterator[Block]:
    if not report.run.commands.empty:
        yield table("Commands", report.run.commands, columns.COMMANDS, file="commands.csv")


def _load(report: RunReport) -> Iterator[Block]:
    figures = load_figures.load_over_time(report.book, report.run, report.time)
    if figures:
        yield Figures(figures)
        yield from _say_what_is_left_out(report)
    if not report.summary.instances.empty:
        yield table("Instances", report.summary.instances, columns.INSTANCES, file="instances.csv")


def _placement(report: RunReport) -> Iterator[Block]:
    flows = report.summary.flows
    figures = flow_figures.new_flows(report.book, flows, report.time)
    if figures:
        yield Figures(figures)
    known = directory(report.run)
    for service in sorted(flows["service"].dropna().unique())[: flow_figures.MOST_PICTURES]:
        counts = flow_counts(service, flows, known)
        yield shares(f"{service}: flows from each ingress, and their share", counts, "ingress")
    yield from _say_what_is_left_out(report)


def _say_what_is_left_out(report: RunReport) -> Iterator[Block]:
    services = report.summary.services["service"].nunique()
    if services > flow_figures.MOST_PICTURES:
        yield Note(f"Shown for the first {flow_figures.MOST_PICTURES} of {services} services, by name.")


def _faults(report: RunReport) -> Iterator[Block]:
    faults = report.summary.faults
    if not faults.empty:
        yield table("Faults", numbered(faults), columns.FAULTS)


def _signalling(report: RunReport) -> Iterator[Block]:
    figures = signalling_figure.signalling(report.book, report.run, report.time)
    if figures:
        yield Figures(figures)
    if not report.summary.signalling.empty:
        yield table("Sent while workloads ran", report.summary.signalling, columns.SIGNALLING)


def _checks(report: RunReport) -> Iterator[Block]:
    yield Checklist([(check.name, check.ok, check.detail) for check in report.summary.checks])
    if not report.summary.affinity_violations.empty:
        violations = report.summary.affinity_violations
        yield table("Flows that moved without need", violations, columns.VIOLATIONS, file="affinity.csv")
    fidelity = report.run.manifest.fidelity
    measured = fidelity.measured if fidelity else {}
    figures = pd.DataFrame(
        [(name.replace("_", " "), value) for name, value in measured.items() if isinstance(value, int | float)],
        columns=["what", "value"],
    )
    if not figures.empty:
        shown = {"what": ("figure", ""), "value": ("value", THREE_DIGITS)}
        yield table("What the verdict rests on", figures, shown)
    gaps_ms = report.run.manifest.process_gaps_ms or {}
    if gaps_ms:
        longest = pd.DataFrame(list(gaps_ms.items())[:_MOST_GAPS], columns=["process", "gap_ms"])
        yield table("Processes that stood still longest", longest, columns.PROCESS_GAPS, file="manifest.json")


def _files(report: RunReport) -> Iterator[Block]:
    scenario = report.run.run_dir / "scenario.yaml"
    if scenario.is_file():
        yield Folded("scenario.yaml", text=_shown(scenario))
    manifest = replace(report.run.manifest, links=None).as_document()  # there is a table of the links
    yield Folded("manifest.json, without the links' statistics", text=_cut(json.dumps(manifest, indent=1)))
    yield Note("The tables beside this file hold one row per flow, stream, decision, report and sample.")


def _shown(path: Path) -> str:
    try:
        return _cut(result_files.read_text(path, errors="replace"))
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\n… ({len(text) - _MOST_TEXT:,} more characters)"


SECTIONS = (
    ReportSection(10, "network", "Network", _network),
    ReportSection(20, "requests", "Requests", _requests),
    ReportSection(30, "calls", "RTP streams", _rtp),
    ReportSection(40, "commands", "Commands at clients", _commands),
    ReportSection(50, "load", "Load of instances", _load),
    ReportSection(60, "placement", "Where flows went", _placement),
    ReportSection(70, "faults", "Faults", _faults),
    ReportSection(80, "signalling", "Signalling", _signalling),
    ReportSection(90, "trust", "Checks and fidelity", _checks),
    ReportSection(100, "manifest", "Scenario and manifest", _files),
)
