"""What a link is to those who ask for one and to those who make one.

Owns the shared types of the impairment interface. Knows nothing of how a backend delays packets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from testbed.errors import TestbedError
from topologies.spec import LinkSpec


class LinkError(TestbedError):
    """Links cannot be created; one line that names the link or resource."""


@dataclass(frozen=True)
class LinkEnd:
    """One end of a link: `interface` (its final name, <= 15 characters) in the network namespace of a process.

    `netns_pid` None stands for the namespace of the caller (the root namespace). `mac` None: the kernel draws one.
    """

    netns_pid: int | None
    interface: str
    mac: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.interface.encode()) <= 15 or any(c in "/ \t\n" for c in self.interface):
            raise LinkError(f"interface name {self.interface!r} must be 1 to 15 bytes without '/' and blanks")


@dataclass(frozen=True)
class LinkRequest:
    """One link to make; `label` names it in statistics and errors."""

    a: LinkEnd
    b: LinkEnd
    spec: LinkSpec
    label: str


@dataclass(frozen=True)
class LinkContext:
    """What a backend may need beside the links: a work folder, a seed, and the environment that marks its processes."""

    out_dir: Path
    seed: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class LinkBackend(Protocol):
    """A way to make impaired links."""

    name: str

    def create(self, requests: Sequence[LinkRequest]) -> None:
        """Make the links: on return both interfaces of each are up, with their MAC address and without offloads."""

    def statistics(self) -> dict[str, Any]:
        """Return what each direction of each link carried and dropped, by the link's label; after `close`, in the end.

        `failed`: one line, if the links did not carry until then.
        """

    def change(self, request: LinkRequest, spec: LinkSpec) -> None:
        """Impair a link so from now on, on return; `spec` is not plain. Raises LinkError if it cannot be."""

    def pulse(self) -> Path | None:
        """Return the pulse (`testbed.runtime.pulse`) of the process that carries packets, if there is one."""

    def forget_lateness(self) -> None:
        """Have statistics say of packets from now on how late they were, if they say it at all."""

    def queue(self, label: str, *, of_a: bool) -> tuple[Path, int] | None:
        """Return where the queue of one end of a link is counted (file and slot); None: with the interface itself."""

    def close(self) -> None:
        """Take the links down; safe to call twice."""
