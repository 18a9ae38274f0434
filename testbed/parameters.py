"""Parameters of a policy as users set them: numbers and words by name, held against what its constructor takes.

For the policies of every system. Knows none of them; what a value may be is for the constructor to say, by a
ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import TypeVar

Made = TypeVar("Made")


def create_with(name: str, factory: Callable[..., Made], values: Mapping[str, float | str]) -> Made:
    """Return what `factory` makes with `values`. Raises ValueError naming the policy, the parameter and the fault."""
    known = signature(factory).parameters
    for parameter, value in values.items():
        if parameter not in known:
            there_are = f"there are: {', '.join(known)}" if known else "it takes none"
            raise ValueError(f"{name}.{parameter}: there is no such parameter; {there_are}")
        if isinstance(value, str) and not _may_be_a_word(known[parameter]):
            raise ValueError(f"{name}.{parameter}: must be a number, not {value!r}")
    try:
        return factory(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _may_be_a_word(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty or isinstance(parameter.default, str)
