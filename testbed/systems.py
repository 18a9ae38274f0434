"""The systems that run on the testbed, and where the parts of each are found. The one list that names them.

A system has up to six parts, each a module with one name that its readers look for:

    roles        ROLES      roles of nodes in a network (`topologies.roles`)
    tables       TABLES     the tables that its processes write      light, for processes import it
    experiment   SYSTEM     keys, rules, plan, processes, load       `testbed.experiment.system` says what
    analysis     ANALYSIS   figures, pictures, report sections       from the files of a run alone
    inspection   INSPECTION what its nodes show while a run is up    `dyncast inspect`
    demo         DEMO       what it shows by `dyncast demo`          light, for the help names all

Knows names only: a part is imported when somebody asks for it. A system from elsewhere calls `register` before its
first scenario is read, and changes no line here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

Part = Literal["roles", "tables", "experiment", "analysis", "inspection", "demo"]
_LOOKED_FOR: dict[Part, str] = {
    "roles": "ROLES",
    "tables": "TABLES",
    "experiment": "SYSTEM",
    "analysis": "ANALYSIS",
    "inspection": "INSPECTION",
    "demo": "DEMO",
}


@dataclass(frozen=True)
class Registration:
    """A system by its name, with the modules of its parts; a system may lack any."""

    name: str
    roles: str | None = None
    tables: str | None = None
    experiment: str | None = None
    analysis: str | None = None
    inspection: str | None = None
    demo: str | None = None


_registered: dict[str, Registration] = {}


def register(
    name: str,
    *,
    roles: str | None = None,
    tables: str | None = None,
    experiment: str | None = None,
    analysis: str | None = None,
    inspection: str | None = None,
    demo: str | None = None,
) -> None:
    """Make a system known. The same again changes nothing; raises ValueError for another one of its name."""
    registration = Registration(name, roles, tables, experiment, analysis, inspection, demo)
    if _registered.setdefault(name, registration) != registration:
        raise ValueError(f"there is another system called {name!r}: {_registered[name]}")


def registered() -> tuple[Registration, ...]:
    """Return all systems, in the order in which they became known."""
    return tuple(_registered.values())


def parts(kind: Part) -> dict[str, Any]:
    """Import one part of each system that has it; return what it offers, by the system's name."""
    modules = {item.name: getattr(item, kind) for item in registered()}
    return {
        name: getattr(importlib.import_module(module), _LOOKED_FOR[kind]) for name, module in modules.items() if module
    }


register(
    "dyncast",
    roles="testbed.dyncast.roles",
    tables="testbed.dyncast_io.tables",
    experiment="testbed.experiment.systems.dyncast.system",
    analysis="testbed.analysis.dyncast.analysis",
    inspection="testbed.experiment.systems.dyncast.inspection",
    demo="testbed.experiment.systems.dyncast.demo",
)
register(
    "alto",
    roles="testbed.alto.roles",
    tables="testbed.faas.tables",
    experiment="testbed.experiment.systems.alto.system",
    analysis="testbed.analysis.alto.analysis",
    inspection="testbed.experiment.systems.alto.inspection",
    demo="testbed.experiment.systems.alto.demo",
)
