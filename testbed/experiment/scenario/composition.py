"""The schema of scenario files, put together: the stage's keys and those of all systems.

A system's keys are a subclass of `Scenario`, so the whole is a subclass of each, and `DyncastScenario.of(scenario)` is
typed; so are faults. A workload is of one of the kinds that systems have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import Discriminator, Field, Tag, create_model

from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import Part
from testbed.experiment.system import System, systems

CHOICE = ":"  # begins the part of an error's location that says which kind was chosen, and is no key

Keys = TypeVar("Keys", bound=Part)


def schema() -> type[Scenario]:
    """Return the schema of a scenario with the systems that are registered now."""
    return _composed(systems())


@cache
def _composed(of: tuple[System, ...]) -> type[Scenario]:
    choices: dict[str, Any] = {"faults": (tuple[_faults(of), ...], _field("faults"))}  # type: ignore[misc]
    workloads = {name: kind for system in of for name, kind in system.workloads.items()}
    if workloads:
        choices["workloads"] = (tuple[_either(workloads), ...], _field("workloads"))  # type: ignore[misc]
    return create_model("Scenario", __base__=_bases(Scenario, (system.keys for system in of)), **choices)


def _field(name: str) -> Any:
    return copy(Scenario.model_fields[name])


def _bases(own: type[Keys], added: Iterable[type[Keys]]) -> tuple[type[Keys], ...]:
    """Return what all of these are made from: those that add to `own`, or it alone."""
    return tuple(dict.fromkeys(keys for keys in added if keys is not own)) or (own,)


def _faults(of: Sequence[System]) -> type[FaultKeys]:
    """Return the keys of a fault, which may be of any kind that there is."""
    kinds = {name: kind for system in of for name, kind in system.fault_kinds.items()} | dict(FaultKeys.kinds)
    meanings = " ".join(f"{name}: {kind.meaning}." for name, kind in kinds.items())
    kind: Any = (Literal[tuple(kinds)], Field(description=f"What happens.\n\n{meanings}"))
    made: dict[str, Any] = {"kinds": kinds, "__module__": __name__}
    bases = _bases(FaultKeys, (system.faults for system in of))
    return create_model("FaultKeys", __base__=type("FaultKeys", bases, made), kind=kind)


def _either(kinds: Mapping[str, type[WorkloadKeys]]) -> Any:
    """Return the type of a workload: of the kind that its key `kind` names, by default the one that has no such key."""
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    usual = next((name for name, kind in kinds.items() if "kind" not in kind.model_fields), None)

    def kind_of(workload: Any) -> Any:
        if isinstance(workload, WorkloadKeys):
            return next(f"{CHOICE}{name}" for name, kind in kinds.items() if type(workload) is kind)
        return f"{CHOICE}{workload.get('kind', usual) if isinstance(workload, dict) else usual}"

    choices = tuple(Annotated[kind, Tag(f"{CHOICE}{name}")] for name, kind in kinds.items())
    listed = f"kind must be one of {', '.join(kinds)}"
    chosen = Discriminator(kind_of, custom_error_type="kind", custom_error_message=listed)
    return Annotated[Union[choices], chosen]  # noqa: UP007  # made at run time
