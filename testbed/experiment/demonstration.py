"""What a system shows by `dyncast demo`: one scenario under several policies, side by side.

A system's demonstration is an instance called `DEMO`, in the module that its registration (`testbed.systems`) names.
That module is imported to say which demonstrations there are, so what is heavy is imported by the functions in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import InputError
from testbed.systems import parts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbed.analysis.run_data.loading import RunData


class UnknownDemo(InputError):
    """A name of no system that has a demonstration."""


@dataclass(frozen=True)
class Demonstration:
    """What is run, and what of the runs is shown. `about`: a line for the help; `title`: what is tried under a policy.

    `cases`: what is set in the scenario, by policy; `settings`: what is set in all of them, found on this machine.
    """

    about: str
    title: str
    scenario: Path
    cases: Mapping[str, Mapping[str, object]]
    duration_s: float
    tables: Callable[[Sequence[RunData]], Iterable[RenderableType]]
    picture: Callable[[Sequence[RunData], Path], Path]  # draws it to a file, and returns that
    settings: Callable[[], Mapping[str, object]] = field(default=dict)


def demonstrations() -> dict[str, Demonstration]:
    """Return those of all systems that have one, by the system's name; what is asked for by no name is the first."""
    return parts("demo")


def demonstration(name: str | None) -> Demonstration:
    """Return that of a system. Raises UnknownDemo."""
    known = demonstrations()
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise UnknownDemo(f"there is no demo {name!r}; there are: {', '.join(known)}")
    return known[name]
