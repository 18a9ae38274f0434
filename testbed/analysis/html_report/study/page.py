"""The page of a study: what was varied, what that did, how sure that is, and the way to each run's own page.

Owns which parts there are and their order. Every figure is of `study_figures`; nothing is worked out here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from testbed import yaml_documents
from testbed.analysis.html_report.blocks.page import (
    Block,
    Cell,
    Figures,
    Folded,
    Note,
    Page,
    Section,
    Table,
    Tile,
    Verdict,
)
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.tabulate import cell, table
from testbed.analysis.html_report.study import pictures as study_pictures
from testbed.analysis.measures.columns import ABSENT
from testbed.analysis.measures.run_measures import measures
from testbed.analysis.study import study_figures
from testbed.analysis.study.study_figures import VERDICTS, StudyFigures
from testbed.yaml_documents import YamlError

RUN_REPORT = "report.html"
_MOST_REASONS = 8
_MOST_RUNS = 1000
_MOST_ROWS, _LEAST_ROWS = 1500, 20  # of all comparisons together, and of one
_TRUE = "The emulation was true to the scenario in all runs."
_DOUBT = "Not every run was true to its scenario; what rests on such runs is marked."
_HOW = (
    "Means are over seeds, with 95 % confidence intervals by Student's t; differences are taken seed by seed, under "
    "the same arrivals, at equal values of all other factors. One seed gives no interval."
)
_NO_REPORT = "Runs without a link have no report yet: dyncast report --runs makes them."
_FIGURE = re.compile(r"\d+(\.\d+)?")


def study_page(folder: Path, figures: StudyFigures, baseline: str | None = None) -> Page:
    """Put together the page of a study that lies in `folder`. Raises RunDataError for a baseline that no run has."""
    against = figures.baseline_among(baseline).name
    comparison = study_figures.compare(figures, against)
    runs = figures.runs.drop_duplicates("run_dir")
    document = _study_file(folder)
    book = Sketchbook()
    services = enumerate(comparison.groupby("service", sort=True), start=1)
    most_rows = max(_LEAST_ROWS, _MOST_ROWS // max(1, comparison.groupby(["service", "measure"]).ngroups))
    return Page(
        title=str(document.get("name") or folder.resolve().name),
        lead=str(document.get("description") or ""),
        facts=[
            ("runs", str(len(runs))),
            ("policies", ", ".join(sorted(runs["policy"].unique()))),
            ("compared with", against),
            ("seeds", str(runs["seed"].nunique())),
            ("factors", ", ".join(figures.factors) or "none but the policy"),
        ],
        verdict=_verdict(runs),
        tiles=list(_tiles(runs)),
        sections=[
            Section("setup", "What was varied", list(_setup(figures, runs))),
            *(
                Section(f"service-{number}", str(service), list(_service(book, figures, part, most_rows)))
                for number, (service, part) in services
            ),
            Section("runs", "Runs", list(_runs(folder, figures, runs))),
        ],
    )


def _study_file(folder: Path) -> Mapping[str, Any]:
    """Return what the study file says; that it cannot be read is among what `study_figures.read` skipped."""
    try:
        document = yaml_documents.read(folder / "study.yaml")
    except (OSError, YamlError):
        return {}
    return document if isinstance(document, dict) else {}


def _verdict(runs: pd.DataFrame) -> Verdict:
    counts = runs["verdict"].value_counts()
    worst = next((name for name in ("invalid", "suspect", "unchecked") if counts.get(name, 0)), "valid")
    if worst == "valid":
        return Verdict("valid", _TRUE)
    # The same reason with other figures is one reason.
    kinds = Counter(kind for text in runs["reasons"] for kind in {_FIGURE.sub("…", part) for part in text.split("; ")})
    reasons = [f"{_counted(count)}: {kind}" for kind, count in kinds.most_common(_MOST_REASONS) if kind]
    said = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts.get(name, 0))
    return Verdict(worst, f"{_DOUBT} Of {_counted(len(runs))}: {said}.", reasons)


def _counted(runs: int) -> str:
    return f"{runs} run" if runs == 1 else f"{runs} runs"


def _tiles(runs: pd.DataFrame) -> Iterator[Tile]:
    counts = runs["verdict"].value_counts()
    for name in VERDICTS:
        if counts.get(name, 0):
            yield Tile(str(counts[name]), f"{name} {'run' if counts[name] == 1 else 'runs'}")


def _setup(figures: StudyFigures, runs: pd.DataFrame) -> Iterator[Block]:
    values = {name: runs[name].drop_duplicates().sort_values() for name in (*figures.factors, "policy", "seed")}
    frame = pd.DataFrame(
        {
            "factor": list(values),
            "count": [len(found) for found in values.values()],
            "values": [", ".join(map(str, found)) for found in values.values()],
        }
    )
    yield table("Factors", frame, {"factor": ("factor", ""), "count": ("how many", ",d"), "values": ("values", "")})
    yield Note(_HOW)


def _service(book: Sketchbook, figures: StudyFigures, part: pd.DataFrame, most_rows: int) -> Iterator[Block]:
    first = _headlines()
    drawn = study_pictures.by_factor(book, figures, part, first)
    if drawn:
        yield Figures(drawn)
    tables = {key: _comparison(figures, rows, str(key), most_rows) for key, rows in part.groupby("measure", sort=False)}
    yield from (tables[key] for key in first if key in tables)
    yield from (Folded(shown.caption, [shown]) for key, shown in tables.items() if key not in first)


def _headlines() -> list[str]:
    return [key for key, measure in measures().items() if measure.is_headline]


def _comparison(figures: StudyFigures, part: pd.DataFrame, key: str, most_rows: int) -> Table:
    measure = measures()[key]
    against = f"against {part['baseline'].iloc[0]} ({measure.unit})"
    numbers = ("seeds", f"mean ({measure.unit})", "95 % interval", against, "95 % interval", "change")
    headings = [*map(Cell, (*figures.factors, "policy")), *(Cell(name, True) for name in (*numbers, "runs in doubt"))]
    rows = [
        [
            *(cell(row[factor], "") for factor in (*figures.factors, "policy")),
            cell(row["seeds"], ",d"),
            cell(row["mean"], ",.4g"),
            _interval(row["ci95_low"], row["ci95_high"]),
            cell(row["difference"], "+,.4g"),
            _interval(row["difference_ci95_low"], row["difference_ci95_high"]),
            cell(row["change_percent"] / 100, "+,.1%"),
            _doubtful(int(row["runs"] - row["valid"]), int(row["runs"])),
        ]
        for row in part.head(most_rows).to_dict("records")
    ]
    notes = []
    unpaired = sorted({str(seeds) for seeds in part["unpaired_seeds"] if seeds})
    if unpaired:
        notes.append(f"Seeds that only one side has, left out of differences: {'; '.join(unpaired)}.")
    if len(part) > most_rows:
        notes.append(f"{len(part) - most_rows:,} more rows: dyncast compare writes them all.")
    return Table(measure.title, headings, rows, " ".join(notes))


def _interval(low: float, high: float) -> Cell:
    return Cell(ABSENT if pd.isna(low) or pd.isna(high) else f"{low:,.4g} to {high:,.4g}", True)


def _doubtful(runs: int, of: int) -> Cell:
    return Cell(f"{runs} of {of}" if runs else "none", True)


def _runs(folder: Path, figures: StudyFigures, runs: pd.DataFrame) -> Iterator[Block]:
    first = _headlines()
    key = next((key for key in first if figures.runs[key].notna().any()), first[0])
    measure = measures()[key]
    values = figures.runs.pivot(index="run_dir", columns="service", values=key)
    named = (*figures.factors, "policy", "verdict", "seed")
    headings = [Cell("run"), *map(Cell, named[:-1]), Cell("seed", True)]
    headings += [Cell(f"{service}: {measure.title} ({measure.unit})", True) for service in values.columns]
    rows = []
    for row in runs.head(_MOST_RUNS).to_dict("records"):
        of_services = (cell(value, ",.4g") for value in values.loc[row["run_dir"]])
        words = (cell(row[name], "d" if name == "seed" else "") for name in named)
        rows.append([_link(folder, Path(row["run_dir"])), *words, *of_services])
    note = "" if all(row[0].href for row in rows) else _NO_REPORT
    yield Table("Runs", headings, rows, note)
    if figures.skipped:
        yield Folded(f"Left out: {len(figures.skipped)}, and why", text="\n".join(figures.skipped))


def _link(folder: Path, run_dir: Path) -> Cell:
    """Name a run by its folder; its report is linked to by the way from this page."""
    inside = run_dir.resolve().relative_to(folder.resolve()).as_posix()
    return Cell(inside, href=quote(f"{inside}/{RUN_REPORT}") if (run_dir / RUN_REPORT).is_file() else None)
