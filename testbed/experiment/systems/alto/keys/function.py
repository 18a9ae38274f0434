"""The scenario's `functions:`: what can be invoked, and which clusters hold it from the start.

Whether its code is any good is said by `launch.function_code`. The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from testbed.experiment.schema_parts import Name, Part


class FunctionKeys(Part):
    """A function."""

    code: str
    """A file or folder beside the scenario, or an absolute path: source, a zip archive, a folder that becomes one."""
    kind: Literal["python:3", "nodejs:default", "blackbox"] = "python:3"
    """Its runtime. Python: has a function main, in a folder __main__.py has it; nodejs: index.js or package.json;
    blackbox: a program called exec that serves the contract of the platform."""
    main: str | None = Field(None, pattern=r"^[A-Za-z_$][\w$.]*$")
    """The function in it that is called; default: main."""
    memory_mb: int = Field(256, ge=32, le=2048)
    """Memory of one container of it; one that takes more is killed."""
    timeout_s: float = Field(60.0, ge=0.1, le=300)
    """How long one run of it may take."""
    layers: dict[Name, str] = {}
    """Folders beside the scenario, or absolute paths, by name: they are at /layers/NAME in its containers, read-only,
    and on the module path of Python and Node."""
    parameters: dict[str, Any] = {}
    """Parameters that each run has, unless an invocation says otherwise."""
    delivered_to: tuple[str, ...] = ()
    """Sites whose clusters hold it before the load begins."""
    replicas: int = Field(1, ge=1, le=100)
    """delivery.site: how many clusters hold it for the users of a site."""
