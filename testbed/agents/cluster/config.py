"""The configuration of a cluster (docs/faas.md, docs/processes.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from testbed.faas.api.admission import Key
from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig
from testbed.runtime.forms import Count, Destination, Integer, Mapped, OneOf, Port, Positive, Size

SANDBOXES = ("auto", "oci", "process", "crun", "runc", "bwrap")


@dataclass(frozen=True)
class AltoReportsConfig(Document):
    """To which ALTO server a cluster reports."""

    server: Destination
    """Where its reports go, by UDP."""
    interval_s: Positive = 1.0
    """It reports this often."""


@dataclass(frozen=True)
class ClusterConfig(ProcessConfig):
    """The configuration of a cluster."""

    address: Address
    """It serves its API here,"""
    port: Annotated[int, Integer(0, 65535)]
    """at this port (0: any that is free)."""
    auth: str
    """What clients show, as `uuid:key`."""
    run_dir: Path
    """The folder of its containers, which must exist; what it makes in it, it removes."""
    sandbox: Annotated[str, OneOf(SANDBOXES)] = "auto"
    """In what containers are locked up: an OCI runtime, a sandboxed process, or the first that works."""
    memory_mb: Count = 2048
    """The memory of all its containers."""
    slots: Count = 16
    """How many containers it has at most."""
    cpus: Positive = 1.0
    """The processors that one container may use."""
    queue: Size = 256
    """How many activations wait for a container; more are refused."""
    keep_alive_s: Positive = 600.0
    """A container that is not used for so long is stopped."""
    per_minute: Count = 6000
    """How many activations it admits in a minute,"""
    concurrent: Count = 200
    """and at once."""
    prewarmed: Annotated[Mapping[str, int], Mapped(Integer(0))] = field(default_factory=dict)
    """How many containers of a runtime wait for code."""
    layers: Mapping[str, Path] = field(default_factory=dict)
    """Folders that actions may ask for, by name."""
    store_dir: Path | None = None
    """Functions that are delivered are kept here, also for its next life; null: in run_dir, and removed at the end."""
    store_mb: Count = 1024
    """What it keeps of them at most; what no function uses goes first."""
    deliveries: Count = 64
    """How many deliveries it takes at once; more are refused."""
    fetches: Count = 4
    """How many blobs it fetches at once."""
    delivery_deadline_s: Positive = 600.0
    """A delivery that takes longer has failed."""
    delivery_stalled_s: Positive = 20.0
    """A fetch that brings nothing for so long is tried again, from where it was."""
    site: str = ""
    """Where it is, in the tables of a run."""
    number: Size = 0
    """Which cluster of its run it is: names and control groups of its containers begin with it."""
    admin_port: Port | None = None
    """Here it says at /metrics/NAME what it is to users of a function that it holds; null: nowhere."""
    alto: AltoReportsConfig | None = None
    """Where it reports what it has; without it, nowhere."""
    state_file: Path | None = None
    """Where it shows its state at each change, for the policy `oracle`; null: nowhere."""

    def __post_init__(self) -> None:
        if not all(self.auth.partition(":")):
            raise ConfigError("auth must be uuid:key")

    @property
    def key(self) -> Key:
        """What clients show."""
        uuid, _, secret = self.auth.partition(":")
        return Key(uuid, secret)
