"""Read what a run left behind: its manifest and its tables, checked and typed as `testbed.records.tables` says.

Owns the way from files to data frames, and the wording of what can be wrong with a run folder. Reads
files only; knows no live objects and draws no conclusions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from testbed.analysis.system import systems
from testbed.errors import InputError
from testbed.records import manifest, result_files
from testbed.records.columns import NUMBER, TEXT, WHOLE, WORD, Column, Table
from testbed.records.manifest import Manifest, ManifestError
from testbed.records.tables import catalogue

_RUN_AGAIN = "run the scenario again"


class RunDataError(InputError):
    """A run folder that cannot be read; one line naming the file and the way out."""


@dataclass(frozen=True, eq=False)
class RunData:
    """One run: its manifest and one data frame per table of `testbed.records`, rows as written. Equals only itself.

    `unknown`: tables and columns that came after the run, as `table` and `table.column`; they are empty here.
    """

    run_dir: Path
    manifest: Manifest
    tables: Mapping[str, pd.DataFrame]
    unknown: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return a table by its name, as `run.flows`."""
        tables = self.__dict__.get("tables", {})
        if name not in tables:
            raise AttributeError(f"a run has no {name!r}; its tables are {', '.join(tables)}")
        return tables[name]

    def knows(self, what: str) -> bool:
        """Say whether the run's files have a table (`direct`), or a column of one (`affinity.ended`)."""
        return not {what, what.partition(".")[0]} & self.unknown

    @property
    def run_id(self) -> str:
        """The name of the run's folder."""
        return self.run_dir.name

    @property
    def scenario(self) -> str:
        """The scenario's name; where the manifest does not say, the folder the run lies in."""
        return self.manifest.scenario or self.run_dir.parent.name

    @cached_property
    def policy(self) -> str:
        """The policy; where the manifest does not say, the one that some system's tables name."""
        known = (system.policy_of(self) for system in systems().values())
        return self.manifest.policy or next(filter(None, known), "unknown policy")

    @cached_property
    def start_s(self) -> float:
        """When the workloads began; where the manifest does not say, the first thing that was due."""
        if self.manifest.start_s is not None:
            return self.manifest.start_s
        first_s = min(self.flows["due_s"].min(), self.instances["time_s"].min(), key=_absent_last)
        return 0.0 if pd.isna(first_s) else float(first_s)

    @property
    def counts_from_s(self) -> float:
        """When the warm-up was over: what was due before is in no mean, share or quantile."""
        return self.start_s + self.manifest.warm_up_s

    def counting(self, rows: pd.DataFrame, time: str) -> pd.DataFrame:
        """Return those rows that count, by the column `time`."""
        return rows[rows[time] >= self.counts_from_s] if self.manifest.warm_up_s else rows

    @cached_property
    def end_s(self) -> float:
        """When the workloads ended; where the manifest does not say, the last thing that happened."""
        if self.manifest.duration_s is not None:
            return self.start_s + self.manifest.duration_s
        times_s = [self.flows["due_s"].max(), self.flows["finished_s"].max(), self.instances["time_s"].max()]
        known_s = [float(time_s) for time_s in times_s if not pd.isna(time_s)]
        return max([self.start_s, *known_s])

    @cached_property
    def mark(self) -> str | None:
        """What every table and picture of a run must say unless its fidelity is valid; None when it is."""
        verdict = self.manifest.verdict
        if verdict == "valid":
            return None
        if verdict is None:
            return "UNCHECKED: the manifest gives no fidelity verdict"
        return ": ".join([verdict.upper(), *(["; ".join(self.manifest.reasons)] if self.manifest.reasons else [])])


def load(run_dir: Path | str) -> RunData:
    """Read a finished run. Raises RunDataError for whatever is missing, half written or not what it should be."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        what = "is not a folder" if run_dir.exists() else "does not exist"
        raise RunDataError(f"{run_dir} {what}; name a run folder: results/<scenario>/<run-id>")
    says = read_manifest(run_dir / manifest.NAME)
    unknown: set[str] = set()
    tables = {name: _read_table(run_dir, name, table, says.rows, unknown) for name, table in catalogue().items()}
    run = RunData(run_dir, says, tables, frozenset(unknown))
    if not run.end_s - run.start_s <= manifest.LONGEST_S:
        path, times = run_dir / manifest.NAME, f"from {run.start_s:g} to {run.end_s:g} s"
        raise RunDataError(f"{path}: gives no duration, and the tables go {times}; {_RUN_AGAIN}")
    return run


def _absent_last(value: float) -> float:
    return float("inf") if pd.isna(value) else value


def read_manifest(path: Path) -> Manifest:
    """Read a run's manifest.json. Raises RunDataError where it is missing, corrupt or of another version."""
    try:
        return manifest.read(path)
    except ManifestError as error:
        raise RunDataError(str(error)) from None


def _read_table(
    run_dir: Path, name: str, table: Table, rows: Mapping[str, int] | None, unknown: set[str]
) -> pd.DataFrame:
    """Read a table; `rows`: what the manifest says of the tables there are, if the run got so far.

    What came after the run is added to `unknown`.
    """
    path = run_dir / f"{name}.csv"
    if not path.is_file():
        parts = any((run_dir / "work").glob(f"{name}.*.part.csv"))
        came_later = name not in rows if rows is not None else bool(table.since)
        if came_later and not parts:  # it, or the system that has it
            unknown.add(name)
            return pd.DataFrame({column: pd.Series(dtype=item.dtype) for column, item in table.columns.items()})
        why = "its parts were never merged, so the run did not finish" if parts else "the run is not complete"
        raise RunDataError(f"{path} is missing: {why}; {_RUN_AGAIN}")
    later = _check_ends(path, table.columns)
    unknown |= {f"{name}.{column}" for column in later}
    try:
        with result_files.open_file(path) as stream:
            frame = pd.read_csv(
                stream,
                dtype={name: column.dtype for name, column in table.columns.items()},
                na_values={name: _absent(column) for name, column in table.columns.items()},
                keep_default_na=False,  # a site may be called NA
                encoding="utf-8",
                low_memory=False,
            )
    except (
        ValueError,
        TypeError,
        OverflowError,
        OSError,
    ) as error:  # ParserError and UnicodeDecodeError are ValueErrors
        why = _first_bad_value(path, table.columns) or _one_line(error)
        raise RunDataError(f"{path} is corrupt: {why}; {_RUN_AGAIN}") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes surplus leading fields for an index
        raise RunDataError(f"{path} is corrupt: its rows have more fields than its header; {_RUN_AGAIN}")
    for column in (name for name, column in table.columns.items() if column.required):
        absent = frame[column].isna()
        if absent.any():
            line = int(absent.to_numpy().argmax()) + 2
            raise RunDataError(f"{path} is corrupt: line {line} has no {column}; {_RUN_AGAIN}")
    for column in frame.columns[frame.dtypes == "category"]:  # an empty column would have categories of another type
        frame[column] = frame[column].cat.rename_categories(frame[column].cat.categories.astype(object))
    for column in later:
        frame[column] = pd.Series(dtype=table.columns[column].dtype, index=frame.index)
    return frame[list(table.names)]


def _check_ends(path: Path, columns: Mapping[str, Column]) -> list[str]:
    """Look at the header and at the last byte: pandas forgives a row that was cut off.

    Return the columns that came after the table was written.
    """
    try:
        with result_files.open_file(path) as stream:
            header = stream.readline().decode("utf-8", errors="replace").strip("\ufeff\r\n").split(",")
            if header == [""]:
                raise RunDataError(f"{path} is empty, without even a header; {_RUN_AGAIN}")
            stream.seek(-1, os.SEEK_END)
            whole = stream.read(1) == b"\n"
    except OSError as error:
        raise RunDataError(f"{path} cannot be read ({error.strerror}); check what it is, and its permissions") from None
    absent = [column for column in columns if column not in header]
    later = [column for column in absent if columns[column].since]
    missing = [column for column in absent if column not in later]
    unknown = [column for column in header if column not in columns]
    if missing or unknown or len(header) != len(columns) - len(later):
        faults = [
            *([f"lacks {', '.join(missing)}"] if missing else []),
            *([f"has unknown {', '.join(unknown)}"] if unknown else []),
        ] or ["names a column twice"]
        raise RunDataError(
            f"{path} is not a table of this version: its header {' and '.join(faults)}; "
            f"{_RUN_AGAIN}, or read it with the version that wrote it"
        )
    if not whole:
        raise RunDataError(f"{path} is half written: its last line does not end; {_RUN_AGAIN}")
    return later


def _absent(column: Column) -> list[str]:
    return [""] if column.dtype in (TEXT, WORD) else ["", "nan"]


def _first_bad_value(path: Path, columns: Mapping[str, Column]) -> str | None:
    """Find the first value that is no number where one belongs; only asked once reading has failed."""
    try:
        with result_files.open_file(path) as stream:
            frame = pd.read_csv(stream, dtype=str, na_filter=False, encoding="utf-8")
    except (ValueError, OSError):
        return None
    for name, column in columns.items():
        if name not in frame or column.dtype not in (NUMBER, WHOLE):
            continue
        stated = ~frame[name].isin(_absent(column))
        numbers = pd.to_numeric(frame[name], errors="coerce")
        bad = stated & numbers.isna()
        if column.dtype == WHOLE:
            bad |= stated & (numbers % 1 != 0)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            wanted = "a number" if column.dtype == NUMBER else "a whole number"
            return f"line {row + 2}, {name}: {frame[name].iloc[row]!r} is not {wanted}"
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
