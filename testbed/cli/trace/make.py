"""`dyncast trace make`: a synthetic trace, by the statistics that were published of Azure Functions."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from testbed.terminal import console as terminal

_MOST_PER_DAY_2021 = 100_000.0


class DataSet(str, Enum):
    """The data sets whose formats there are."""

    COUNTS = "2019"
    INVOCATIONS = "2021"


def make(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where its files go.")],
    data_set: Annotated[
        DataSet, typer.Option("--format", help="2019: counts per minute; 2021: a row per invocation.")
    ] = DataSet.COUNTS,
    apps: Annotated[int, typer.Option(min=1, max=100_000, help="How many apps; each has a few functions.")] = 200,
    days: Annotated[int, typer.Option(min=1, max=14, help="How many days.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 1,
    most_per_day: Annotated[
        float | None,
        typer.Option(min=1, help="Apps with more invocations than these are left out; default: 1e8, 2021: 1e5."),
    ] = None,
) -> None:
    """Make a synthetic trace, by the statistics that were published of Azure Functions.

    Popularity, triggers, functions per app, durations and memory are drawn from the distributions in "Serverless in the
    Wild" (Shahrad et al., USENIX ATC 2020). Two of the same seed are the same.

    \b
    Examples:
      dyncast trace make traces
      dyncast trace make traces --format 2021 --apps 50 --seed 7
      dyncast trace show traces/invocations_per_function_md.anon.d01.csv
    More: docs/alto/traces.md.
    """
    from random import Random

    from traffic.traces import synthetic, writing

    rng = Random(seed)
    is_2021 = data_set is DataSet.INVOCATIONS
    most = most_per_day or (_MOST_PER_DAY_2021 if is_2021 else synthetic.MOST_PER_DAY)
    population = synthetic.population(apps, rng, most)
    write = writing.write_2021 if is_2021 else writing.write_2019
    paths = write(folder, population, days, rng)
    shown = terminal.output()
    shown.print(f"{apps:,} apps with {len(population.functions):,} functions", highlight=False)
    for path in paths:
        shown.print(str(path), highlight=False, soft_wrap=True)
