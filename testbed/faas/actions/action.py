"""An action: code of a runtime with limits, parameters and annotations. One revision of it; a change makes the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.faas.limits import ActionLimits

PYTHON, NODE, BLACKBOX = "python:3", "nodejs:default", "blackbox"
_SAME_KINDS = {"python:default": PYTHON, "nodejs": NODE}
LAYERS = "layers"
_PROVIDE_KEY = "provide-api-key"


@dataclass(frozen=True)
class Code:
    """What is run. `text`: source, or an archive in base64 if `is_binary`; `image`: the layer of a black box."""

    kind: str
    text: str = ""
    main: str = ""
    is_binary: bool = False
    image: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter that an action brings along; `is_initial`: for the environment of its container, not for each run."""

    key: str
    value: Any
    is_initial: bool = False


@dataclass(frozen=True)
class Revision:
    """Which code a container holds: a name, and how often it was changed."""

    name: str
    number: int


@dataclass(frozen=True)
class Action:
    """One revision of an action. `annotations` are those that its creator wrote, in their order."""

    namespace: str
    name: str
    code: Code
    limits: ActionLimits = field(default_factory=ActionLimits)
    parameters: tuple[Parameter, ...] = ()
    annotations: tuple[tuple[str, Any], ...] = ()
    is_shared: bool = False
    number: int = 1
    updated_ms: int = 0

    @property
    def revision(self) -> Revision:
        """Return what distinguishes its code from any other."""
        return Revision(self.name, self.number)

    @property
    def version(self) -> str:
        """Return the number as the API writes it."""
        return f"0.0.{self.number}"

    @property
    def path(self) -> str:
        """Return its full name."""
        return f"{self.namespace}/{self.name}"

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers that its container has: that of a black box, then those of the annotation `layers`."""
        named = next((value for key, value in self.annotations if key == LAYERS), ())
        return (*([self.code.image] if self.code.image else []), *named)

    @property
    def has_key(self) -> bool:
        """Return whether its runs receive the key of the API."""
        return any(key == _PROVIDE_KEY and value is True for key, value in self.annotations)

    @property
    def environment(self) -> dict[str, Any]:
        """Return the parameters that its container has in its environment."""
        return {item.key: item.value for item in self.parameters if item.is_initial}

    def payload(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a run receives: its own parameters, and above them those of the request."""
        own = {item.key: item.value for item in self.parameters if not item.is_initial}
        return {**own, **parameters}


def resolved(kind: str) -> str:
    """Return the kind that a kind's other names stand for."""
    return _SAME_KINDS.get(kind, kind)
