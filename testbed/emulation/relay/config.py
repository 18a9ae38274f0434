"""The configuration of a relay: which links it makes between which interfaces (docs/processes.md, "Relay"). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from testbed.emulation.relay.impairment import Impairment
from testbed.records.file_names import file_name
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, Merged, ProcessConfig, Section
from testbed.runtime.forms import Count, Integer, Nullable, Number

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_MOST_INTERFACE_OCTETS = 15
_IMPAIRMENT = Section(
    Impairment,
    delay_ms=Number(0),
    jitter_ms=Number(0),
    loss_percent=Number(0, 100),
    rate_mbps=Nullable(Number(is_positive=True)),
    queue_packets=Integer(1),
)


@dataclass(frozen=True)
class RelayEnd(Document):
    """A TAP interface to make in the namespace of a process."""

    netns_pid: Count | None
    """A process in its namespace; null: it is in the relay's own."""
    interface: str
    """Its name, of at most 15 bytes."""
    mac: str | None
    """Its MAC address; null: as the kernel gives it one."""

    def __post_init__(self) -> None:
        if len(self.interface.encode()) > _MOST_INTERFACE_OCTETS or "/" in self.interface:
            raise ConfigError(f"interface must be at most 15 bytes without '/', not {self.interface!r}")
        if self.mac is not None and not _MAC.fullmatch(self.mac):
            raise ConfigError(f"mac must be like 02:00:00:00:00:01, or null, not {self.mac!r}")


@dataclass(frozen=True)
class RelayLink(Document):
    """A link to relay, impaired alike in both directions."""

    label: str
    """What it is called in the statistics."""
    a: RelayEnd
    """One end."""
    b: RelayEnd
    """The other."""
    impairment: Annotated[Impairment, Merged(_IMPAIRMENT)]


@dataclass(frozen=True)
class RelayConfig(ProcessConfig):
    """The configuration of a relay process."""

    seed: int
    """Of the losses and the jitter; each direction of each link has a random stream of its own."""
    links: tuple[RelayLink, ...]
    """The links that it makes."""


@dataclass(frozen=True)
class RelayChange(Document):
    """What a relay is to do to the packets of a link from now on, in both directions."""

    label: str
    """What the link is called in the statistics."""
    impairment: Annotated[Impairment, Merged(_IMPAIRMENT)]


def change_path(out_dir: Path, name: str) -> Path:
    """Return the file of the change that a relay makes on SIGHUP; it removes the file when it has."""
    return out_dir / f"{file_name(name)}.change"


def ports_path(out_dir: Path, name: str) -> Path:
    """Return the file of the counters that a relay publishes; the slots are a_to_b and b_to_a of each link in turn."""
    return out_dir / f"{file_name(name)}.ports"
