"""Experiments: the scenario schema, the plan made from it, the run, its records and its fidelity.

In the order of a run: `scenario` · `plan` · `launch` · `faults` · `execution` · `fidelity`. `study` has many runs,
`live` shows one while it goes on; `system` says what a system provides, and `systems` has the part of each. The only
package that composes the adapters.

For Python users: `load`, `build`, `changed` and `run` (docs/python.md),
imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.experiment.python_api import build as build
    from testbed.experiment.python_api import changed as changed
    from testbed.experiment.python_api import load as load
    from testbed.experiment.python_api import run as run

_PUBLIC = ("build", "changed", "load", "run")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from testbed.experiment import python_api

    return getattr(python_api, name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
