"""Experiments: the scenario schema, the plan made from it, the run, its records and its fidelity.

The only package that composes the adapters. For Python users: `load`, `build`, `changed` and `run` (docs/python.md),
imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.experiment.in_python import build as build
    from testbed.experiment.in_python import changed as changed
    from testbed.experiment.in_python import load as load
    from testbed.experiment.in_python import run as run

_PUBLIC = ("build", "changed", "load", "run")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from testbed.experiment import in_python

    return getattr(in_python, name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
