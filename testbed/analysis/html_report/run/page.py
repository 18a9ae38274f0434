"""The page of one run: what it asked, whether its figures can be trusted, and what came out.

Owns what stands above the sections, and how those of every run and of systems come together.
"""

from __future__ import annotations

from collections.abc import Iterator

from testbed.analysis.html_report.blocks.page import Page, Section, Tile, Verdict
from testbed.analysis.html_report.run.report import RunReport
from testbed.analysis.html_report.run.sections import SECTIONS as STAGE
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import systems

_SENTENCES = {
    "valid": "The emulation was true to the scenario.",
    "suspect": "Read these figures with care: the machine left its mark on them.",
    "invalid": "These figures are the machine's, not the network's.",
    "unchecked": "The manifest gives no fidelity verdict.",
}


def verdict(level: str | None, reasons: tuple[str, ...] = ()) -> Verdict:
    """Return a run's verdict in words."""
    known = level if level in _SENTENCES else "unchecked"
    return Verdict(known, _SENTENCES[known], reasons)


def run_page(summary: Summary) -> Page:
    """Put together the page of a run. Raises RunDataError where its topology.yaml is corrupt."""
    run = summary.run
    report = RunReport(summary)
    return Page(
        title=f"{run.scenario}: {run.policy}",
        lead=run.manifest.description or "",
        facts=list(_facts(run)),
        verdict=verdict(run.manifest.verdict, run.manifest.reasons),
        tiles=list(_tiles(report)),
        sections=_sections(report),
    )


def _sections(report: RunReport) -> list[Section]:
    """Return those that have anything to show, by their order."""
    of_systems = (section for system in systems().values() for section in system.sections)
    found: dict[str, Section] = {}
    for section in sorted((*STAGE, *of_systems), key=lambda section: section.order):
        before = found.get(section.anchor)
        blocks = [*(before.blocks if before else ()), *section.blocks(report)]
        if blocks:
            found[section.anchor] = Section(section.anchor, section.title, blocks)
    return list(found.values())


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


def _tiles(report: RunReport) -> Iterator[Tile]:
    summary, calls = report.summary, report.calls
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
    received = calls[calls["direction"] == "echo"]
    if len(received):
        yield Tile(f"{received['mos'].mean():.2f}", "mean opinion score of calls, 1 to 4.5")
    for system in systems().values():
        yield from system.tiles(summary)
    if not summary.signalling.empty:
        yield Tile(f"{summary.signalling['bytes_per_s'].sum():,.0f} B/s", "signalling, payload")
