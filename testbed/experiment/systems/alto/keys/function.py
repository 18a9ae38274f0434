"""The scenario's `functions:`: what can be invoked, and which clusters hold it from the start.

Whether its code is any good is said by `launch.function_code`. The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, IPvAnyAddress

from testbed.experiment.schema_parts import Name, Part


class SteeringKeys(Part):
    """A function as a service of Dyncast: each cluster that holds it is an instance, to which edge routers steer."""

    d_sid: IPvAnyAddress
    """Its Dyncast Service ID, IPv4: the address that users post to. Must overlap no address of the network."""
    redirect: Literal["dyncast", "http"] = "dyncast"
    """http: the D-SID is of no use, and users are redirected as those of any function; for comparison."""
    policy: str | None = None
    """By which policy of Dyncast a cluster is chosen; default: the scenario's `policy`."""
    idle_s: int = Field(30, ge=1, le=65535)
    """A connection that was idle for so long is bound no more."""
    kept_s: int = Field(10, ge=0, le=86_400)
    """delivery.site: for so long a user keeps what the cluster client answered, before it asks again."""
    announced_after_s: float = Field(3.0, ge=0)
    """delivery.site: so long after a delivery edge routers know of it; before, users are redirected to the cluster."""


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
    steering: SteeringKeys | None = None
    """Users post to its D-SID, and each connection is steered to a cluster (docs/alto/steering.md); default: users are
    redirected by HTTP."""

    @property
    def steered(self) -> SteeringKeys | None:
        """By what Dyncast steers its users, if it does."""
        return self.steering if self.steering is not None and self.steering.redirect == "dyncast" else None
