"""The scenario's `clusters:`: edge computing clusters, one at a site, and what each has.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.experiment.schema_parts import LinkKeys, Part


class ClusterKeys(Part):
    """An edge computing cluster: a host at a site, with containers for functions (docs/faas.md)."""

    site: str
    """Edge site it is at."""
    link: LinkKeys = LinkKeys()
    """Link between its host and the site."""
    slots: int = Field(8, ge=1, le=1024)
    """How many containers it has at most."""
    memory_mb: int = Field(2048, ge=32)
    """Memory of all its containers."""
    cpus: float = Field(1.0, gt=0)
    """Processors that one container may use."""
    queue: int = Field(256, ge=0)
    """How many activations wait for a container; more are refused."""
    keep_alive_s: float = Field(600.0, gt=0)
    """A container that is not used for so long is stopped."""
    prewarm: dict[Literal["python:3", "nodejs:default", "blackbox"], Annotated[int, Field(ge=0, le=1024)]] = {}
    """How many containers of a runtime wait for code. They have 256 MB and no layers: for such functions."""
    per_minute: int = Field(60_000, ge=1)
    """How many activations it admits in a minute; more are refused."""
    concurrent: int = Field(1000, ge=1)
    """How many activations it admits at once; more are refused."""
    sandbox: Literal["auto", "oci", "process", "crun", "runc", "bwrap"] = "auto"
    """In what containers are locked up: auto takes the first that works on this machine."""
