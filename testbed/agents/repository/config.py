"""The configuration of a repository (docs/faas.md, docs/processes.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from testbed.agents.functions.blobs import Source
from testbed.net.addresses import Address
from testbed.runtime.document import Document, ProcessConfig
from testbed.runtime.forms import Count, Integer, Positive


@dataclass(frozen=True)
class FunctionLimits(Document):
    """Limits of a function; what is left out, a cluster chooses."""

    timeout_ms: Count | None = None
    """Of each activation."""
    memory_mb: Count | None = None
    """Of its containers."""
    logs_mb: Annotated[int, Integer(0)] | None = None
    """Of each activation."""

    def named(self) -> dict[str, int]:
        """Return those that there are, under the names of the API."""
        found = {"timeout": self.timeout_ms, "memory": self.memory_mb, "logs": self.logs_mb}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class FunctionConfig(Document):
    """A function, as it lies on this machine."""

    code: Path
    """Its source, its zip archive, or a folder to make one of."""
    kind: str
    """Its runtime."""
    main: str | None = None
    """The function in the code; null: `main`."""
    limits: FunctionLimits = FunctionLimits()
    """Its limits."""
    layers: Mapping[str, Path] = field(default_factory=dict)
    """Folders that its containers see, by name."""

    @property
    def source(self) -> Source:
        """Where it is, to be packed."""
        return Source(self.code, self.kind, self.main or "", self.limits.named(), self.layers)


@dataclass(frozen=True)
class RepositoryConfig(ProcessConfig):
    """The configuration of a repository."""

    address: Address
    """It serves here,"""
    port: Annotated[int, Integer(0, 65535)]
    """at this port (0: any that is free)."""
    store_dir: Path
    """The folder of its blobs, which must exist; what it makes in it, it removes."""
    functions: Mapping[str, FunctionConfig]
    """The functions that it has, by name."""
    connections: Count = 256
    """How many connections it keeps at once; those beyond are closed."""
    stalled_s: Positive = 30.0
    """A client that takes nothing for so long is cut off."""
