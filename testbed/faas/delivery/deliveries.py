"""Deliveries of functions to one cluster: the door of this room.

Owns deliveries from their request to their end, and which functions came by one. Blobs on their way are `transfers`,
what is held is `holdings`. Requests and reports of the adapter come in with `now_s`, which never goes back; orders go
out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import chain

from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.blobs import Blob, digest_of
from testbed.faas.delivery.delivery import Delivery
from testbed.faas.delivery.holdings import Holdings, StoreFull, User
from testbed.faas.delivery.manifest import FunctionError, Manifest
from testbed.faas.delivery.orders import CreateAction, FetchManifest, Order, Problem, StopManifest, Trouble
from testbed.faas.delivery.settings import DeliverySettings
from testbed.faas.delivery.states import Stage, Step
from testbed.faas.delivery.transfers import Transfers
from testbed.faas.errors import ApiError


@dataclass(frozen=True)
class Offer:
    """What deliveries must know of their cluster: a check of a manifest (raises ApiError), layers that are in use."""

    check: Callable[[Manifest], None]
    layers_in_use: Callable[[], Collection[str]]


class Deliveries:
    """All deliveries of a cluster. After each call that takes `now_s`, `take_orders` has what is to be done."""

    def __init__(self, settings: DeliverySettings, offer: Offer) -> None:
        self._settings, self._offer = settings, offer
        self._holdings = Holdings(settings.most_octets)
        self._transfers = Transfers(settings)
        self._ready: set[Blob] = set()
        self._deliveries: dict[str, Delivery] = {}
        self._functions: dict[str, str] = {}  # digest of its manifest by the name of a function
        self._orders: list[Order] = []
        self._ended: list[Delivery] = []

    def found(self, parts: Mapping[Blob, int], layers: Collection[Blob]) -> None:
        """Take in what was there before: files of blobs, by their lengths, and layers that are unpacked."""
        self._transfers.found(parts)
        self._ready |= set(layers)
        self._drop(self._holdings.take_in([*layers, *parts]))

    # Requests -----------------------------------------------------------------------------------------------------

    def begin(self, delivery_id: str, digest: str, repository: str, now_s: float) -> Delivery:
        """Begin to deliver a function. Raises ApiError if there are too many deliveries."""
        if sum(not item.stage.is_over for item in self._deliveries.values()) >= self._settings.at_once:
            raise ApiError(503, f"{self._settings.at_once} deliveries are under way, and there are no more at once")
        delivery = Delivery(delivery_id, digest, repository, now_s, now_s + self._settings.deadline_s)
        self._deliveries[delivery_id] = delivery
        if digest in self._functions.values():
            self._end(delivery, Step.PRESENT, "", now_s)
        else:
            self._fetch_manifest(delivery)
        self._settle(now_s)
        return delivery

    def get(self, delivery_id: str) -> Delivery:
        """Return a delivery, under way or kept. Raises ApiError 404."""
        delivery = self._deliveries.get(delivery_id)
        if delivery is None:
            raise ApiError(404, f"there is no delivery {delivery_id[:100]!r}, or it was over long ago")
        self._note_effort(delivery)
        if delivery.stage is Stage.BLOBS:
            delivery.reason = self._trouble(delivery)
        return delivery

    def is_over(self, delivery_id: str) -> bool:
        """Return whether a delivery is over, or not even kept."""
        delivery = self._deliveries.get(delivery_id)
        return delivery is None or delivery.stage.is_over

    def all(self) -> list[Delivery]:
        """Return all that are under way or kept, the newest first."""
        return [self.get(delivery_id) for delivery_id in reversed(self._deliveries)]

    def come(self, delivery: Delivery) -> int:
        """Return how many octets are there of what a delivery needs."""
        if delivery.manifest is None:
            return 0
        return sum(self._come(blob) for blob in delivery.manifest.blobs)

    def cancel(self, delivery_id: str, now_s: float) -> Delivery:
        """Deliver no more; what is over, stays so. Raises ApiError 404."""
        delivery = self.get(delivery_id)
        if not delivery.stage.is_over:
            self._end(delivery, Step.CANCEL, "", now_s)
        self._settle(now_s)
        return delivery

    def on_action(self, name: str, layers: Collection[str] = ()) -> None:
        """An action was made, changed or deleted by somebody else; of what it used it uses these layers still."""
        self._functions.pop(name, None)
        self._holdings.release(User("function", name), _blobs_of(layers))

    def close(self, now_s: float) -> None:
        """End all deliveries."""
        for delivery in list(self._deliveries.values()):
            if not delivery.stage.is_over:
                self._end(delivery, Step.CANCEL, "the cluster was stopped", now_s)
        self._settle(now_s)

    @property
    def functions(self) -> Mapping[str, str]:
        """The functions that came by a delivery, with the digests of their manifests."""
        return dict(self._functions)

    @property
    def blobs(self) -> frozenset[Blob]:
        """The blobs that are there, whole and right."""
        return frozenset(self._ready)

    def document(self) -> Mapping[str, int]:
        """Return what is held and how much is under way, for whoever places functions."""
        under_way = sum(not item.stage.is_over for item in self._deliveries.values())
        return {**self._holdings.document(), "deliveries": under_way}

    # Reports ------------------------------------------------------------------------------------------------------

    def on_manifest(self, delivery_id: str, attempt: int, octets: bytes, now_s: float) -> None:
        """The manifest of a delivery has come."""
        delivery = self._awaiting(delivery_id, Stage.MANIFEST)
        if delivery is not None and delivery.attempt == attempt:
            if digest_of(octets) != delivery.digest:
                self._on_wrong_manifest(delivery, f"it has the digest {digest_of(octets)}", now_s)
            else:
                self._take_manifest(delivery, octets, now_s)
        self._settle(now_s)

    def on_manifest_problem(self, delivery_id: str, attempt: int, problem: Problem, now_s: float) -> None:
        """The manifest of a delivery could not be fetched."""
        delivery = self._awaiting(delivery_id, Stage.MANIFEST)
        if delivery is not None and delivery.attempt == attempt:
            if problem.trouble is Trouble.BROKEN:
                self._pause(delivery, problem.text, now_s)
            elif problem.trouble is Trouble.OTHER:
                self._on_wrong_manifest(delivery, problem.text, now_s)
            else:
                self._end(delivery, Step.FAIL, f"manifest: {problem.text}", now_s)
        self._settle(now_s)

    def on_octets(self, blob: Blob, attempt: int, come: int, now_s: float) -> None:
        """A blob's file has so many octets by now. Orders nothing."""
        self._transfers.on_octets(blob, attempt, come, now_s)

    def on_fetched(self, blob: Blob, attempt: int, problem: Problem | None, now_s: float) -> None:
        """A fetch has ended, with all octets unless there is a problem."""
        self._transfers.on_fetched(blob, attempt, problem, now_s)
        self._settle(now_s)

    def on_checked(self, blob: Blob, digest: str, now_s: float) -> None:
        """The digest of a blob's file is known."""
        self._transfers.on_checked(blob, digest, now_s)
        self._settle(now_s)

    def on_unpacked(self, blob: Blob, now_s: float) -> None:
        """The folder of a layer is there."""
        self._transfers.on_unpacked(blob, now_s)
        self._settle(now_s)

    def on_disk_problem(self, blob: Blob, text: str, now_s: float) -> None:
        """A blob could not be read or unpacked."""
        self._transfers.on_disk_problem(blob, text, now_s)
        self._settle(now_s)

    def is_creating(self, delivery_id: str) -> bool:
        """Return whether a delivery still wants its action made."""
        return self._awaiting(delivery_id, Stage.CREATING) is not None

    def on_created(self, delivery_id: str, problem: str, now_s: float) -> None:
        """The action of a delivery was made, unless there is a problem."""
        delivery = self._awaiting(delivery_id, Stage.CREATING)
        if delivery is not None and problem:
            self._end(delivery, Step.FAIL, problem, now_s)
        elif delivery is not None:
            assert delivery.manifest is not None
            user, blobs = User("function", delivery.name), delivery.manifest.blobs
            self._holdings.release(user, blobs)
            self._holdings.use(user, blobs)
            self._functions[delivery.name] = delivery.digest
            self._end(delivery, Step.CREATED, "", now_s)
        self._settle(now_s)

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        for delivery in self._under_way():
            if delivery.deadline_s <= now_s:
                self._end(delivery, Step.FAIL, self._lateness(delivery), now_s)
            elif delivery.due_s is not None and delivery.due_s <= now_s:
                self._fetch_manifest(delivery)
        self._transfers.on_timer(now_s)
        self._settle(now_s)

    # What goes out ------------------------------------------------------------------------------------------------

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next; None: not until something happens."""
        due_s = chain.from_iterable((item.deadline_s, item.due_s) for item in self._under_way())
        return min((item for item in (*due_s, self._transfers.next_timer_s()) if item is not None), default=None)

    def take_orders(self) -> list[Order]:
        """Return the orders since the last call."""
        orders, self._orders = self._orders, []
        return orders

    def take_ended(self) -> list[Delivery]:
        """Return the deliveries that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    # One delivery -------------------------------------------------------------------------------------------------

    def _fetch_manifest(self, delivery: Delivery) -> None:
        delivery.attempt += 1
        delivery.due_s = None
        self._orders.append(FetchManifest(delivery.delivery_id, delivery.repository, delivery.digest, delivery.attempt))

    def _pause(self, delivery: Delivery, text: str, now_s: float) -> None:
        delivery.reason = f"manifest: {text}"
        delivery.due_s = now_s + self._settings.pause_after_s(delivery.attempt - 1)

    def _on_wrong_manifest(self, delivery: Delivery, text: str, now_s: float) -> None:
        delivery.wrong += 1
        if delivery.wrong > self._settings.wrong:
            self._end(delivery, Step.FAIL, f"manifest: {text}, {delivery.wrong} times", now_s)
        else:
            self._pause(delivery, text, now_s)

    def _take_manifest(self, delivery: Delivery, octets: bytes, now_s: float) -> None:
        try:
            manifest = manifests.read(octets, self._settings.bounds)
            self._offer.check(manifest)
            dropped = self._holdings.use(User("delivery", delivery.delivery_id), manifest.blobs, self._lasting())
        except (FunctionError, ApiError, StoreFull) as error:
            self._end(delivery, Step.FAIL, str(error), now_s)
            return
        self._drop(dropped)
        delivery.manifest, delivery.reason = manifest, ""
        delivery.step(Step.MANIFEST)
        delivery.held = self.come(delivery)
        delivery.missing = {blob for blob in manifest.blobs if blob not in self._ready}
        for blob in manifest.blobs:
            if blob in delivery.missing:
                self._transfers.want(blob, delivery.delivery_id, delivery.repository)
        self._transfers.advance(now_s)

    def _lateness(self, delivery: Delivery) -> str:
        """Return why a delivery that is late is so, as far as is known."""
        trouble = self._trouble(delivery)
        return f"it took longer than {self._settings.deadline_s:g} s{f' ({trouble})' if trouble else ''}"

    def _trouble(self, delivery: Delivery) -> str:
        """Return what the delivery's last attempt at something failed by; empty if all goes well."""
        if delivery.manifest is None:
            return delivery.reason
        transfers = filter(None, (self._transfers.find(blob) for blob in delivery.manifest.blobs))
        return next((transfer.problem for transfer in transfers if transfer.problem), "")

    def _end(self, delivery: Delivery, step: Step, reason: str, now_s: float) -> None:
        if delivery.stage is Stage.MANIFEST and delivery.attempt:
            self._orders.append(StopManifest(delivery.delivery_id))
        self._note_effort(delivery)
        delivery.step(step)
        delivery.ended_s, delivery.reason = now_s, reason
        self._holdings.release(User("delivery", delivery.delivery_id))
        self._transfers.unwant(delivery.delivery_id)
        self._ended.append(delivery)
        over = [item.delivery_id for item in self._deliveries.values() if item.stage.is_over]
        for delivery_id in over[: max(0, len(over) - self._settings.kept)]:
            del self._deliveries[delivery_id]

    def _note_effort(self, delivery: Delivery) -> None:
        if not delivery.stage.is_over:
            effort = self._transfers.effort(delivery.delivery_id)
            delivery.fetched, delivery.resumed = effort.fetched, effort.resumed

    # All ----------------------------------------------------------------------------------------------------------

    def _settle(self, now_s: float) -> None:
        """Have what came of transfers reach the deliveries, until nothing more follows."""
        for blob in self._transfers.take_ready():
            self._ready.add(blob)
            for delivery in self._under_way():
                delivery.missing.discard(blob)
        for delivery in self._under_way():
            if delivery.stage is Stage.BLOBS and not delivery.missing:
                self._create(delivery, now_s)
        for failure in self._transfers.take_failed():
            failed = self._awaiting(failure.delivery, Stage.BLOBS)
            if failed is not None:
                self._end(failed, Step.FAIL, failure.reason, now_s)
        self._drop_empty()
        self._transfers.advance(now_s)
        self._orders += self._transfers.take_orders()

    def _create(self, delivery: Delivery, now_s: float) -> None:
        assert delivery.manifest is not None
        if delivery.digest in self._functions.values():
            self._end(delivery, Step.PRESENT, "", now_s)
        else:
            delivery.step(Step.BLOBS)
            self._orders.append(CreateAction(delivery.delivery_id, delivery.manifest, delivery.digest))

    def _drop_empty(self) -> None:
        """Hold no blob of which nothing is there, and that nobody wants any more."""
        for blob in list(self._holdings):
            is_wanted = self._holdings.users(blob) or self._transfers.find(blob) is not None
            if not is_wanted and self._come(blob) == 0:
                self._holdings.drop(blob)
                self._transfers.forget(blob)

    def _drop(self, blobs: Collection[Blob]) -> None:
        for blob in blobs:
            self._ready.discard(blob)
            self._transfers.forget(blob)

    def _come(self, blob: Blob) -> int:
        return blob.octets if blob in self._ready else self._transfers.come(blob)

    def _lasting(self) -> frozenset[Blob]:
        """Return what must not be removed although nobody may use it: blobs in work, layers of containers."""
        return self._transfers.lasting | _blobs_of(self._offer.layers_in_use())

    def _under_way(self) -> list[Delivery]:
        return [item for item in self._deliveries.values() if not item.stage.is_over]

    def _awaiting(self, delivery_id: str, stage: Stage) -> Delivery | None:
        delivery = self._deliveries.get(delivery_id)
        return delivery if delivery is not None and delivery.stage is stage else None


def _blobs_of(layers: Collection[str]) -> set[Blob]:
    return {blob for layer in layers if (blob := manifests.blob_of(layer)) is not None}
