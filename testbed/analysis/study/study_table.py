"""A comparison as tables for a terminal, one per service: policies by measures, each with its interval.

Owns headings, rounding, and what is left to the CSV files. Works out nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.analysis.measures import run_measures
from testbed.analysis.study import factors
from testbed.analysis.study.study_figures import VERDICTS, StudyFigures, marks
from testbed.analysis.system import Measure

_ABSENT = "-"
_NOTHING = 1e-9  # of a value; what is less is the computer's rounding
_MOST_NAMED = 8  # factors or runs that are named one by one


def show(figures: StudyFigures, comparison: pd.DataFrame, console: Console) -> None:
    """Print a table per service, with differences below means; then what one has to know to believe them."""
    twins = factors.independent(figures.runs, figures.factors)
    for service, rows in comparison.groupby("service", sort=True):
        console.print(_table(str(service), list(twins), rows))
    runs = figures.runs.drop_duplicates("run_dir")
    counts = runs["verdict"].value_counts()
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
    console.print(Text(f"{len(runs)} runs: {verdicts}", "" if counts.get("valid", 0) == len(runs) else "bold red"))
    for line in marks(figures):
        console.print(Text(line, "red"))
    for line in _notes(twins, comparison):
        console.print(Text(line))


def _table(service: str, varied: list[str], rows: pd.DataFrame) -> Table:
    baseline = str(rows["baseline"].iloc[0])
    title = f"{service}: mean over seeds ± half of the 95 % confidence interval; below it, difference to {baseline}"
    measures = [measure for measure in run_measures.measures().values() if _is_shown(measure, rows)]
    table = Table(title=Text(title), title_justify="left")
    table.add_column("policy")
    for measure in measures:
        table.add_column(f"{measure.title}\n{measure.unit}", justify="right")
    for values, of_case in rows.groupby(varied, sort=True, dropna=False) if varied else [((), rows)]:
        if varied:
            table.add_section()
            table.add_row(Text(factors.case_name(varied, values, between="\n"), "bold"))
        for policy, of_policy in of_case.groupby("policy", sort=False):
            found = of_policy.set_index("measure")
            cells = [_cell(found.loc[item.key], item) if item.key in found.index else _ABSENT for item in measures]
            table.add_row(_name(str(policy), found.iloc[0]), *cells)
    return table


def _is_shown(measure: Measure, rows: pd.DataFrame) -> bool:
    """Leave out shares that are nought throughout, and what nobody reads first."""
    of_measure = rows.loc[rows["measure"] == measure.key, "mean"]
    return measure.is_printed and (of_measure.any() if measure.unit == "%" else len(of_measure) > 0)


def _name(policy: str, row: Mapping[str, int]) -> Text:
    doubtful = ", ".join(f"{row[verdict]} {verdict}" for verdict in VERDICTS[1:] if row[verdict])
    return Text.assemble(policy, (f"\n{doubtful}" if doubtful else "", "red"))


def _cell(row: pd.Series, measure: Measure) -> Text:
    cell = Text(_with_interval(row["mean"], row["ci95_high"] - row["mean"], sign=""))
    if row["pairs"]:
        half = row["difference_ci95_high"] - row["difference"]
        text = _with_interval(row["difference"], half, sign="+")
        if measure.unit != "%" and math.isfinite(row["change_percent"]):
            text += f", {row['change_percent']:+.0f} %"
        is_clear = abs(row["difference"]) > half
        cell.append(f"\n{text}", "bold" if is_clear else "dim")
    return cell


def _with_interval(value: float, half: float, *, sign: str) -> str:
    """Word a mean to the second digit of its uncertainty; where that is unknown, to three digits."""
    known = half if half > _NOTHING * abs(value) else abs(value) / 10
    decimals = min(3, max(0, 1 - math.floor(math.log10(known)))) if known else 0
    text = format(value, f"{sign},.{decimals}f")
    return f"{text} ± {half:,.{decimals}f}" if math.isfinite(half) else text


def _notes(twins: Mapping[str, Sequence[str]], comparison: pd.DataFrame) -> list[str]:
    notes = []
    if twins:
        named = [f"{factor} (with it {_listed(others)})" if others else factor for factor, others in twins.items()]
        notes.append(f"factors: {_listed(named)}")
    if (comparison["seeds"] == 1).any():
        which = "all" if (comparison["seeds"] == 1).all() else "some"
        notes.append(
            f"{which} cases have one seed: no interval, no way to distinguish differences from chance; run more seeds"
        )
    # A measure may be one that the baseline's runs have none of: that is no want of runs.
    least_unpaired = comparison.groupby([*twins, "service", "policy"], dropna=False)["unpaired_seeds"].transform("min")
    unpaired = comparison[least_unpaired != ""].drop_duplicates([*twins, "policy"])
    for row in unpaired.head(_MOST_NAMED).to_dict("records"):
        case = factors.case_name(list(twins), [row[factor] for factor in twins])
        where = f" at {case}" if case else ""
        notes.append(f"{row['policy']}{where}: seeds {row['unpaired_seeds']} have no pair under {row['baseline']}")
    if len(unpaired) > _MOST_NAMED:
        notes.append(f"{len(unpaired) - _MOST_NAMED} more cases have seeds without a pair: see unpaired_seeds")
    return notes


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
