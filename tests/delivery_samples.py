"""Deliveries whose repositories and disk are played by the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.faas.delivery.blobs import Blob, Role, digest_of
from testbed.faas.delivery.deliveries import Deliveries, Offer
from testbed.faas.delivery.delivery import Delivery
from testbed.faas.delivery.manifest import Layer, Manifest
from testbed.faas.delivery.orders import (
    CheckBlob,
    CreateAction,
    FetchBlob,
    FetchManifest,
    Order,
    Problem,
    RemoveBlob,
    StopFetch,
    StopManifest,
    Trouble,
    UnpackLayer,
)
from testbed.faas.delivery.settings import DeliverySettings

HERE, THERE = "http://10.0.0.1:8185", "http://10.0.0.2:8185"


def blob(content: bytes, role: Role = Role.CODE) -> Blob:
    """The blob that these octets are."""
    return Blob(digest_of(content), len(content), role)


def function(name: str = "echo", code: bytes = b"def main(args): return args", **layers: bytes) -> Manifest:
    """A function with layers, by the octets of their archives."""
    found = tuple(Layer(layer, blob(content, Role.LAYER)) for layer, content in layers.items())
    return Manifest(name, "python:3", blob(code), layers=found)


class PlayedDeliveries:
    """Deliveries at a time that the test sets. `content` is what repositories have; nothing comes by itself."""

    def __init__(self, **settings: Any) -> None:
        self.settings = DeliverySettings(**settings)
        self.layers_in_use: set[str] = set()
        self.core = Deliveries(self.settings, Offer(lambda _manifest: None, lambda: self.layers_in_use))
        self.now_s = 0.0
        self.disk: dict[Blob, bytes] = {}
        self.unpacked: set[Blob] = set()
        self.manifests: dict[str, FetchManifest] = {}
        self.fetches: dict[Blob, FetchBlob] = {}
        self.waiting: list[CheckBlob | UnpackLayer | CreateAction] = []
        self.orders: list[Order] = []
        self.ended: list[Delivery] = []
        self._number = 0

    def begin(self, manifest: Manifest, repository: str = HERE) -> str:
        """Ask for a delivery; return its id."""
        self._number += 1
        self.core.begin(str(self._number), manifest.digest, repository, self.now_s)
        self.collect()
        return str(self._number)

    def begun(self, manifest: Manifest, repository: str = HERE) -> str:
        """Ask for a delivery, and let its manifest come; return its id."""
        delivery_id = self.begin(manifest, repository)
        self.manifest_comes(delivery_id, manifest.octets)
        return delivery_id

    def state(self, delivery_id: str) -> str:
        """How far a delivery is."""
        return self.core.get(delivery_id).stage.value

    def reason(self, delivery_id: str) -> str:
        """Why a delivery failed."""
        return self.core.get(delivery_id).reason

    def cancel(self, delivery_id: str) -> None:
        """Cancel a delivery."""
        self.core.cancel(delivery_id, self.now_s)
        self.collect()

    def manifest_comes(self, delivery_id: str, octets: bytes) -> None:
        """A manifest has come."""
        order = self.manifests.pop(delivery_id)
        self.core.on_manifest(delivery_id, order.attempt, octets, self.now_s)
        self.collect()

    def manifest_breaks(self, delivery_id: str, trouble: Trouble = Trouble.BROKEN) -> None:
        """A manifest does not come."""
        order = self.manifests.pop(delivery_id)
        self.core.on_manifest_problem(delivery_id, order.attempt, Problem(trouble, "no"), self.now_s)
        self.collect()

    def octets_come(self, wanted: Blob, octets: bytes) -> None:
        """Octets of a blob come, and are written."""
        order = self.fetches[wanted]
        self.disk[wanted] = self.disk.get(wanted, b"") + octets
        self.core.on_octets(wanted, order.attempt, len(self.disk[wanted]), self.now_s)
        self.collect()

    def fetch_ends(self, wanted: Blob, trouble: Trouble | None = None) -> None:
        """A fetch ends, well or not."""
        order = self.fetches.pop(wanted)
        problem = None if trouble is None else Problem(trouble, "no")
        self.core.on_fetched(wanted, order.attempt, problem, self.now_s)
        self.collect()

    def comes(self, wanted: Blob, content: bytes) -> None:
        """All that is missing of a blob comes, and is right."""
        self.octets_come(wanted, content[self.fetches[wanted].offset :])
        self.fetch_ends(wanted)
        self.work()

    def work(self) -> None:
        """Check, unpack and create all that was ordered."""
        while self.waiting:
            self.work_once()

    def work_once(self, problem: str = "") -> None:
        """Check, unpack or create what was ordered first."""
        order = self.waiting.pop(0)
        if isinstance(order, CreateAction):
            self.core.on_created(order.delivery, problem, self.now_s)
        elif problem:
            self.core.on_disk_problem(order.blob, problem, self.now_s)
        elif isinstance(order, CheckBlob):
            self.core.on_checked(order.blob, digest_of(self.disk[order.blob]), self.now_s)
        else:
            del self.disk[order.blob]
            self.unpacked.add(order.blob)
            self.core.on_unpacked(order.blob, self.now_s)
        self.collect()

    def pass_s(self, seconds: float) -> None:
        """Let time pass, with all timers on the way."""
        until_s = self.now_s + seconds
        while (due_s := self.core.next_timer_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.core.on_timer(self.now_s)
            self.collect()
        self.now_s = until_s

    def collect(self) -> None:
        """Take the orders of the core."""
        for order in self.core.take_orders():
            self.orders.append(order)
            self._take(order)
        self.ended += self.core.take_ended()

    def _take(self, order: Order) -> None:
        match order:
            case FetchManifest():
                assert order.delivery not in self.manifests, "a manifest is fetched once at a time"
                self.manifests[order.delivery] = order
            case StopManifest(delivery):
                self.manifests.pop(delivery, None)
            case FetchBlob():
                assert order.blob not in self.fetches, "a blob is fetched once at a time"
                assert order.offset <= len(self.disk.get(order.blob, b"")), "a fetch begins where octets are missing"
                self.disk[order.blob] = self.disk.get(order.blob, b"")[: order.offset]
                self.fetches[order.blob] = order
            case StopFetch(wanted):
                self.fetches.pop(wanted, None)
            case RemoveBlob(wanted):
                self.disk.pop(wanted, None)
                self.unpacked.discard(wanted)
            case CheckBlob() | UnpackLayer() | CreateAction():
                self.waiting.append(order)

    def ordered(self, kind: type[Order]) -> Sequence[Any]:
        """The orders of a kind, so far."""
        return [order for order in self.orders if isinstance(order, kind)]
