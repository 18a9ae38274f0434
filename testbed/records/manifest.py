"""The manifest of a run: what it was, what it came to, and whether that can be trusted.

One type for the writer and all readers. Owns the keys of `manifest.json`, and how a file that cannot be read is
described. The runner fills a manifest in as it learns, and each state of it is written whole; a reader finds None, 0 or
nothing where a run did not get so far.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.errors import InputError
from testbed.records import documents, result_files
from testbed.records.documents import DocumentError

MANIFEST_FORMAT = 1  # it changes when old readers would misread new manifests, or the other way round
NAME = "manifest.json"

VARIANT = "variant"  # what a manifest's case, and a comparison, call the named variant of a study that a run is of

RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"

LONGEST_S = 86_400.0  # of a run
MOST_WORKERS = 1024  # of an instance
_LATEST_S = 1e10  # on a clock that began with the machine's start
_MOST_WAITING = 2**53
_SHOWN = 80  # characters of a name in an error

_RUN_AGAIN = "run the scenario again"
_NULL_IF_ABSENT = ("case",)  # of the keys that may have no value, the only one that is written then

LinkCounters = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by a link's label and its direction


class ManifestError(InputError):
    """A manifest that cannot be read; one line naming the file and the way out."""


@dataclass(frozen=True)
class SiteEntry:
    """An edge site; `at`: the node of the topology that it stands at."""

    name: str
    at: str | None = None


@dataclass(frozen=True)
class InstanceEntry:
    """A service instance."""

    name: str
    service: str | None = None
    site: str | None = None
    host: str | None = None
    d_bid: str | None = None
    workers: int | None = None
    queue_limit: int | None = None
    speed: float = 1.0
    mode: str = "clock"


@dataclass(frozen=True)
class ClientEntry:
    """A host that load comes from."""

    name: str
    site: str | None = None
    dispatcher: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class ServiceEntry:
    """A service; `flow_fields` and `port_block` identify a flow of it."""

    d_sid: str | None = None
    kind: str = "http"
    flow_fields: tuple[str, ...] | None = None
    port_block: int = 1
    affinity_mode: str = "reactive"
    affinity_timeout_s: float | None = None


@dataclass(frozen=True)
class FaultEntry:
    """A planned fault; `reach`: the pairs of ingress site and instance whose flows it can concern."""

    number: int
    kind: str
    target: str = ""
    at_s: float | None = None
    until_s: float | None = None
    instance: str = ""
    to: str = ""
    site: str = ""
    reach: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FidelityEntry:
    """The verdict on the emulation; `measured`: every figure that went into it."""

    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaptureEntry:
    """A file of packets, with how many it holds and how many were lost; None: tcpdump did not say."""

    name: str
    file: str
    packets: int | None = None
    lost_packets: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What the runner says of a run. The order of the fields is that of the file's keys."""

    format: int = MANIFEST_FORMAT
    status: str | None = None
    scenario: str | None = None
    description: str | None = None
    policy: str | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    steered_out_of_band: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    case: Mapping[str, Any] | None = None
    duration_s: float | None = None
    warm_up_s: float = 0.0
    topology: str | None = None
    begun_at: str | None = None
    sites: tuple[SiteEntry, ...] = ()
    instances: tuple[InstanceEntry, ...] = ()
    clients: tuple[ClientEntry, ...] = ()
    round_trip_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    services: Mapping[str, ServiceEntry] = field(default_factory=dict)
    faults: tuple[FaultEntry, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    durations_s: Mapping[str, float] = field(default_factory=dict)
    run_tag: str | None = None
    backends: Mapping[str, str] | None = None
    start_s: float | None = None
    fidelity: FidelityEntry | None = None
    process_gaps_ms: Mapping[str, float] | None = None  # how long at most each process stood still during the traffic
    switch_lost_packets: int | None = None
    stray_drops: Mapping[str, int] | None = None
    rows: Mapping[str, int] | None = None
    links: Mapping[str, Any] | None = None
    captures: tuple[CaptureEntry, ...] | None = None
    systems: Mapping[str, Mapping[str, Any]] | None = None  # what else they say of the run, by their names
    error: str | None = None

    @property
    def verdict(self) -> str | None:
        """The fidelity verdict, where there is one."""
        return self.fidelity.verdict if self.fidelity else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of the fidelity verdict."""
        return self.fidelity.reasons if self.fidelity else ()

    @property
    def link_backend(self) -> str | None:
        """What emulated the impaired links."""
        return (self.links or {}).get("backend")

    @property
    def link_counters(self) -> LinkCounters:
        """What each direction of each impaired link carried and lost."""
        return (self.links or {}).get("links") or {}

    def of_system(self, name: str) -> Mapping[str, Any]:
        """Return what a system says of the run beside the fields above."""
        return (self.systems or {}).get(name, {})

    def with_durations(self, **durations_s: float) -> Manifest:
        """Return it with how long parts of the run took."""
        return replace(self, durations_s={**self.durations_s, **durations_s})

    def as_document(self) -> dict[str, Any]:
        """Return what stands in the file: the keys that have a value."""
        document = documents.document(self)
        return {key: value for key, value in document.items() if value is not None or key in _NULL_IF_ABSENT}


def write(manifest: Manifest, run_dir: Path) -> None:
    """Write it into a run's folder; a reader finds this state or the one before. Raises OSError."""
    result_files.write_text(run_dir / NAME, json.dumps(manifest.as_document(), indent=1, default=str) + "\n")


def read(path: Path) -> Manifest:
    """Read a `manifest.json`. Raises ManifestError where it is missing, corrupt or of another version."""
    try:
        document = json.loads(result_files.read_text(path))
    except FileNotFoundError:
        raise ManifestError(f"{path} is missing: the run did not finish; {_RUN_AGAIN}") from None
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no JSON, numbers or nesting without end
        raise ManifestError(f"{path} cannot be read ({result_files.why_unread(error)}); {_RUN_AGAIN}") from None
    if not isinstance(document, dict):
        raise ManifestError(f"{path} is not a JSON object; {_RUN_AGAIN}")
    if document.get("format", MANIFEST_FORMAT) != MANIFEST_FORMAT:
        raise ManifestError(
            f"{path} is of format {document['format']!r}, not {MANIFEST_FORMAT}; read it with the version that wrote it"
        )
    try:
        manifest = documents.read(Manifest, document)
    except DocumentError as error:
        raise ManifestError(f"{path}: {error}; {_RUN_AGAIN}") from None
    for what, value, least, most in _ranges(manifest):
        if not least <= value <= most:
            raise ManifestError(f"{path}: {what} is {value:g}, and in a run it is from {least:g} to {most:g}")
    return manifest


def _ranges(manifest: Manifest) -> Iterator[tuple[str, float, float, float]]:
    """Return figures that readers lay tables out by, with the least and the most that a scenario can ask for."""
    yield "duration_s", manifest.duration_s or 0.0, 0.0, LONGEST_S
    yield "warm_up_s", manifest.warm_up_s, 0.0, LONGEST_S
    yield "start_s", manifest.start_s or 0.0, 0.0, _LATEST_S
    for item in manifest.instances:
        yield f"workers of {item.name[:_SHOWN]!r}", item.workers or 1, 1, MOST_WORKERS
        yield f"queue_limit of {item.name[:_SHOWN]!r}", item.queue_limit or 0, 0, _MOST_WAITING
        yield f"speed of {item.name[:_SHOWN]!r}", item.speed, 1e-9, 1e9
