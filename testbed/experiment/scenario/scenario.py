"""The scenario file: the keys that every run has, their meaning, default and bounds.

Owns the schema (pydantic) of what belongs to no system; each `*_keys` module has a part, and each system adds keys
(`composition`). No validator looks at another section: what sections need of each other is checked by `rules`, after
parsing. The descriptions are the documentation: `dyncast schema` prints them. Reading a file is `file`'s business.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import Self

from testbed.experiment.scenario.capture_keys import CaptureKeys
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.scenario.host_keys import ClientKeys, SiteKeys
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import Name, Part
from testbed.records.manifest import LONGEST_S


class EmulationKeys(Part):
    """Backends; `auto` takes what the machine has."""

    datapath: Literal["auto", "system", "netdev"] = "auto"
    """Open vSwitch datapath: kernel (system) or userspace (netdev)."""
    link: Literal["auto", "netem", "relay"] = "auto"
    """Link impairment: kernel netem or the userspace TAP relay."""


class Scenario(Part):
    """One experiment."""

    name: Name
    """Name of the folder under results/."""
    description: str = ""
    """What it asks, in a sentence."""
    topology: str
    """Catalogue name (topozoo/Abilene, sndlib/germany50, draft/…) or a YAML file."""
    rate_mbps: float | None = Field(None, gt=0)
    """Rate of the topology's links that state none; none: as fast as the machine."""
    sites: dict[Name, SiteKeys] = {}
    """Edge sites to attach to the topology, by name."""
    clients: tuple[ClientKeys, ...] = ()
    """Client hosts, besides those the topology has."""
    workloads: tuple[WorkloadKeys, ...] = ()
    """What clients do."""
    faults: tuple[FaultKeys, ...] = ()
    """What breaks meanwhile."""
    captures: tuple[CaptureKeys, ...] = ()
    """Packets to keep, each capture in a pcap file of its own."""
    duration_s: float = Field(30.0, gt=0, le=LONGEST_S)
    """How long flows arrive."""
    warm_up_s: float = Field(0.0, ge=0)
    """Time at the begin until queues are what they stay: what is due in it does not count in means, shares and
    quantiles. It is part of duration_s."""
    seed: int = Field(1, ge=0)
    """All randomness of the workloads comes from it."""
    emulation: EmulationKeys = EmulationKeys()
    """Backends."""

    @classmethod
    def of(cls, scenario: Scenario) -> Self:
        """Return a scenario with the keys of a system, typed: `DyncastScenario.of(scenario).services`."""
        assert isinstance(scenario, cls), f"scenarios have no keys of {cls.__name__}: is the system registered?"
        return scenario
