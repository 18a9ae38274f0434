"""What `dyncast inspect` prints: which nodes and sections were asked for, and their rows as tables or JSON.

Owns the choice and the look of the tables. What there is to see, each system says (`testbed.experiment.inspection`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from testbed.emulation.inspection.client import InspectionError
from testbed.experiment.inspection import Node, Row, SystemInspection, systems
from testbed.terminal import console as terminal

FLOWS_SHOWN = 20

Up = Sequence[tuple[SystemInspection, Node]]


def all_up() -> list[tuple[SystemInspection, Node]]:
    """Return the nodes of all systems that are up on this machine."""
    return [(system, node) for system in systems() for node in system.nodes()]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for: nodes, all where none is named, and the sections that are named."""

    nodes: tuple[str, ...]
    named_sections: tuple[str, ...]
    run: str | None = None

    @classmethod
    def of(cls, words: Sequence[str], run: str | None = None, nodes: Sequence[str] = ()) -> Asked:
        """Separate sections from nodes: a word that is a section is no node; `nodes` are, whatever they are called."""
        known = all_sections()
        sections = tuple(section for section in known if section in words)
        return cls((*nodes, *(word for word in words if word not in known)), sections, run)

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the sections to show: those named, or the overview."""
        return self.named_sections or tuple(dict.fromkeys(name for system in systems() for name in system.overview))

    def mistakable(self, up: Up) -> list[str]:
        """Return the words that were taken for sections and are names of nodes that are up, too."""
        names = {node.name for _, node in up if self.run in (None, node.run)}
        return [section for section in self.named_sections if section in names and section not in self.nodes]

    def among(self, up: Up) -> list[tuple[SystemInspection, Node]]:
        """Return those nodes that are up and asked for. Raises InspectionError for one that is not."""
        runs = sorted({node.run for _, node in up})
        if not runs:
            raise InspectionError("no run is up; start one with `dyncast run`")
        if self.run is not None and self.run not in runs:
            raise InspectionError(f"no run {self.run!r} is up; there are: {', '.join(runs)}")
        of_run = [(system, node) for system, node in up if self.run in (None, node.run)]
        names = sorted({node.name for _, node in of_run})
        for name in self.nodes:
            if name not in names:
                kinds = " or ".join(dict.fromkeys(system.kind for system, _ in of_run))
                there = f"{', '.join(names)} (and the sections {', '.join(all_sections())})"
                raise InspectionError(f"no {kinds} {name!r}; there are: {there}")
        return [(system, node) for system, node in of_run if not self.nodes or node.name in self.nodes]

    def of_system(self, system: SystemInspection) -> list[str]:
        """Return the sections asked for that a system has."""
        return [section for section in self.sections if section in system.sections]


def show(asked: Asked, *, as_json: bool, all_flows: bool, out: Console, err: Console) -> int:
    """Print what was asked for; return the exit code: 1 if a node did not answer, whatever others said."""
    _say_what_is_mistakable(asked, err)
    most_flows = None if all_flows else FLOWS_SHOWN
    up = [(system, node) for system, node in asked.among(all_up()) if asked.of_system(system)]
    if not up:
        raise InspectionError(f"nothing that is up has {' or '.join(asked.sections)} to show")
    answers, failures = _of_each(up, lambda system, node: system.document(node, asked.of_system(system), most_flows))
    if as_json:
        terminal.document(json.dumps([document for _, document in answers], indent=2) + "\n")
    for system in () if as_json else systems():
        documents = [document for answerer, document in answers if answerer is system]
        if documents:
            _print(system, asked.of_system(system), documents, out)
    return _exit_code(failures, err)


def reset(asked: Asked, service: str | None, *, as_json: bool, out: Console, err: Console) -> int:
    """End the bindings of the nodes asked for, and say how many; return the exit code."""
    if not asked.nodes:
        there = asked.among(all_up())
        kinds = " or ".join(dict.fromkeys(f"{system.kind}s" for system, _ in there))
        names = ", ".join(sorted({node.name for _, node in there}))
        raise InspectionError(f"--reset-flows wants to know of which {kinds}; there are: {names}")
    _say_what_is_mistakable(asked, err)
    ended, failures = _of_each(
        asked.among(all_up()),
        lambda system, node: {
            "run": node.run, system.key: node.name, "bindings_reset": system.reset(node, service),
        },
    )  # fmt: skip
    if as_json:
        terminal.document(json.dumps([row for _, row in ended], indent=2) + "\n")
    else:
        for system, row in ended:
            out.print(f"{row[system.key]} (run {row['run']}): {row['bindings_reset']} bindings ended")
    return _exit_code(failures, err)


def all_sections() -> list[str]:
    """Return the sections of all systems."""
    return list(dict.fromkeys(section for system in systems() for section in system.sections))


def _say_what_is_mistakable(asked: Asked, err: Console) -> None:
    for word in asked.mistakable(all_up()) if asked.named_sections else ():
        err.print(
            f"dyncast: {word!r} is taken for the section; the node of that name: --node {terminal.one_line(word)}"
        )


def _of_each(
    up: Up, ask: Callable[[SystemInspection, Node], Row]
) -> tuple[list[tuple[SystemInspection, Row]], list[InspectionError]]:
    answers, failures = [], []
    for system, node in up:
        try:
            answers.append((system, ask(system, node)))
        except InspectionError as error:
            failures.append(error)
    return answers, failures


def _exit_code(failures: Sequence[InspectionError], err: Console) -> int:
    for failure in failures:
        err.print(f"dyncast: {terminal.one_line(str(failure))}")
    return 1 if failures else 0


# -- tables ------------------------------------------------------------------------------------------


def _print(system: SystemInspection, sections: Sequence[str], documents: Sequence[Row], out: Console) -> None:
    for section in sections:
        out.print(_table(system, section, documents))
    if any(document.get("more_flows") for document in documents):
        out.print(f"there are more flows than the first {FLOWS_SHOWN} of each {system.kind}: --all shows them")


def _table(system: SystemInspection, section: str, documents: Sequence[Row]) -> Table:
    where = [key for key in ("run", system.key) if len({document[key] for document in documents}) > 1]
    rows = [({key: document[key] for key in where}, row) for document in documents for row in document[section]]
    named = "" if where else f" of {documents[0][system.key]}"
    table = Table(title=f"{section}{named} ({len(rows)})", title_justify="left")
    columns = system.sections[section]
    for heading in where:
        table.add_column(heading)
    for heading in columns:
        table.add_column(heading, justify="left" if heading in system.words else "right")
    for place, row in rows:
        table.add_row(*place.values(), *(_text(take(row)) for take in columns.values()))
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
