"""Links between namespaces, plain or impaired, whatever the machine offers to impair them with.

Owns the registry of backends and the split of plain links from impaired ones. Scenario files never name a
backend; results record which one served. A new backend is one module and one line in BACKENDS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from testbed.emulation.links import link_cut, link_probes
from testbed.emulation.links.backend import LinkBackend, LinkContext, LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.links.netem_link import KernelLinks
from testbed.emulation.links.relay_link import RelayLinks
from testbed.emulation.links.veth import PlainLinks
from testbed.emulation.temporary_folders import temporary_folder
from testbed.linux.port_reader import PortSource
from topologies.spec import LinkSpec

__all__ = [
    "BACKENDS",
    "LinkBackend",
    "LinkContext",
    "LinkEnd",
    "LinkError",
    "LinkRequest",
    "Links",
    "create_links",
]

BACKENDS: Mapping[str, Callable[[LinkContext], LinkBackend]] = {
    "relay": RelayLinks,
    "netem": KernelLinks,
}

_COUNTS = ("packets", "bytes", "dropped", "dropped_loss")


class Links:
    """The links of a run: plain ones on bare veth pairs, impaired ones on a backend."""

    def __init__(
        self, plain: LinkBackend, impaired: LinkBackend, cleanup: ExitStack, requests: Sequence[LinkRequest]
    ) -> None:
        self._plain = plain
        self._requests = {request.label: request for request in requests}
        self._cuts: Counter[str] = Counter()
        self._changes: dict[str, list[LinkSpec]] = {}  # the last one counts
        self._counted: dict[str, dict[str, Any]] = {}  # of links of netem, before they were cut
        self._impaired = impaired
        self._cleanup = cleanup
        self._final: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Name the backend of the impaired links."""
        return self._impaired.name

    def statistics(self) -> dict[str, Any]:
        """Return the impaired links' statistics; after `close`, the final ones."""
        return self._counted_in_all() if self._final is None else self._final

    def measure(self) -> list[MeasuredDirection]:
        """Measure both directions of every impaired link, side by side; call it before there is traffic."""
        return link_probes.measure([item for item in self._requests.values() if not item.spec.is_plain])

    def pulse(self) -> Path | None:
        """Return the pulse (`testbed.runtime.pulse`) of the process that carries packets, if there is one."""
        return self._impaired.pulse()

    def forget_lateness(self) -> None:
        """Have statistics say of packets from now on how late they were: what came before is not the traffic's."""
        self._impaired.forget_lateness()

    def source(self, label: str, interface: str, *, of_a: bool) -> PortSource:
        """Return where the counters of one end of a link are, which is an interface of this name."""
        is_plain = self._requests[label].spec.is_plain
        queue = None if is_plain else self._impaired.queue(label, of_a=of_a)
        return PortSource(interface, *queue) if queue else PortSource(interface)

    def cut(self, label: str) -> None:
        """Have a link lose everything, both ways. Raises LinkError."""
        self._cuts[label] += 1
        if self._cuts[label] == 1:
            if self.name == KernelLinks.name and label in (links := self.statistics().get("links", {})):
                self._counted[label] = links[label]  # netem begins anew when the cut is undone
            link_cut.cut(self._requests[label])

    def restore(self, label: str) -> None:
        """Undo one `cut`; a link carries again when each was undone. Raises LinkError."""
        if not self._cuts[label]:
            return
        self._cuts[label] -= 1
        if not self._cuts[label]:
            request = replace(self._requests[label], spec=self._spec(label))
            link_cut.restore(request, netem=self.name == KernelLinks.name and not request.spec.is_plain)

    def change(self, label: str, spec: LinkSpec) -> None:
        """Impair a link so from now on, until `change_back`; neither may be plain. Raises LinkError."""
        if spec.is_plain or self._requests[label].spec.is_plain:
            raise LinkError(f"link {label!r}: only a link that is impaired all the time can be changed")
        self._changes.setdefault(label, []).append(spec)
        self._apply(label)

    def change_back(self, label: str, spec: LinkSpec) -> None:
        """Undo a `change`; of several that are not undone the last one counts. Raises LinkError."""
        if spec in self._changes.get(label, ()):
            self._changes[label].remove(spec)
            self._apply(label)

    def present(self, label: str) -> LinkSpec | None:
        """Return what a link does to packets now; None: it loses all."""
        return None if self._cuts[label] else self._spec(label)

    def _spec(self, label: str) -> LinkSpec:
        changed = self._changes.get(label)
        return changed[-1] if changed else self._requests[label].spec

    def _apply(self, label: str) -> None:
        # A cut link of netem gets what is due when it is restored: until then another discipline is in place.
        if not (self._cuts[label] and self.name == KernelLinks.name):
            self._impaired.change(self._requests[label], self._spec(label))

    def close(self) -> None:
        """Take all links down; safe to call twice."""
        if self._final is None:
            with self._cleanup:
                self._impaired.close()
                self._final = self._counted_in_all()

    def _counted_in_all(self) -> dict[str, Any]:
        found = self._impaired.statistics()
        if not self._counted:
            return found
        links = {
            label: {way: _together(before[way], of[way]) for way in of} if (before := self._counted.get(label)) else of
            for label, of in found["links"].items()
        }
        return {**found, "links": links}


def _together(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return what a direction carried and dropped in all, of two counts; other figures are those of now."""
    both = {name: [count for count in (before.get(name), now.get(name)) if count is not None] for name in _COUNTS}
    return {**now, **{name: sum(counts) for name, counts in both.items() if counts}}


def create_links(
    requests: Sequence[LinkRequest],
    backend: str,
    *,
    out_dir: Path | None = None,
    seed: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Links:
    """Make all links; on return both interfaces of each are up, with their MAC address and without offloads.

    `backend`: a name in BACKENDS, used for links whose spec is not plain. `out_dir`: where it writes its statistics
    (default: a folder that goes with the links). `environment`: added to that of the processes it starts, which end
    with the calling *thread*; call this from one that lives as long as the network. Raises LinkError; then what was
    made is removed, but for plain links between two namespaces, which go with these.
    """
    if backend not in BACKENDS:
        raise LinkError(f"there is no link backend {backend!r}; there are: {', '.join(sorted(BACKENDS))}")
    _check(requests)
    cleanup = ExitStack()
    with ExitStack() as undo:
        undo.callback(cleanup.close)
        if out_dir is None:
            out_dir = cleanup.enter_context(temporary_folder("links"))
        context = LinkContext(out_dir=out_dir, seed=seed, environment=environment or {})
        plain, impaired = PlainLinks(), BACKENDS[backend](context)
        cleanup.callback(plain.close)
        undo.callback(impaired.close)
        plain.create([request for request in requests if request.spec.is_plain])
        impaired.create([request for request in requests if not request.spec.is_plain])
        undo.pop_all()
    return Links(plain, impaired, cleanup, requests)


def _check(requests: Sequence[LinkRequest]) -> None:
    labels: set[str] = set()
    ends: dict[tuple[int | None, str], str] = {}
    for request in requests:
        if request.label in labels:
            raise LinkError(f"two links are called {request.label!r}; labels must differ")
        labels.add(request.label)
        for end in (request.a, request.b):
            key = (end.netns_pid, end.interface)
            if key in ends:
                raise LinkError(
                    f"links {ends[key]!r} and {request.label!r} both want"
                    f" the interface name {end.interface!r} in one namespace"
                )
            ends[key] = request.label
