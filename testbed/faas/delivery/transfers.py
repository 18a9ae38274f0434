"""Blobs on their way: how many octets of each have come, what is fetched next, and whether it came right.

Owns the turn (so many fetches at once, those who asked first come first), the next attempt after a broken connection,
from where it was, and after a wrong digest, from the beginning. A blob that several want is fetched once; if its
connection breaks, the next attempt is made at the repository of another who wants it. What a fetch brings goes into a
file, which this knows by its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from testbed.faas.delivery.blobs import Blob, Role
from testbed.faas.delivery.orders import (
    CheckBlob,
    FetchBlob,
    Order,
    Problem,
    RemoveBlob,
    StopFetch,
    Trouble,
    UnpackLayer,
)
from testbed.faas.delivery.settings import DeliverySettings
from testbed.faas.delivery.states import PHASES, Event, Phase


class Failure(NamedTuple):
    """A delivery that cannot be carried out, and why."""

    delivery: str
    reason: str


@dataclass
class Effort:
    """What transfers took of a delivery. What several wait for is counted as fetched for the first of them alone."""

    fetched: int = 0
    resumed: int = 0


@dataclass
class Transfer:
    """One blob on its way. `due_s`: when it has stalled, or may be tried again; `sources`: repositories by delivery."""

    blob: Blob
    come: int
    phase: Phase = Phase.WAITING
    due_s: float | None = None
    sources: dict[str, str] = field(default_factory=dict)
    source: str = ""  # of the fetch that goes on
    attempt: int = 0
    in_vain: int = 0  # attempts since the last octet
    wrong: int = 0
    problem: str = ""  # of the last attempt

    def step(self, event: Event, due_s: float | None = None) -> None:
        """Go to the phase that follows."""
        self.phase = PHASES[self.phase, event]
        self.due_s = due_s

    @property
    def is_fetched(self) -> bool:
        """Return whether all its octets are there, right or wrong."""
        return self.come >= self.blob.octets


class Transfers:
    """All blobs on their way. After each call, `take_orders`, `take_ready` and `take_failed` have what it led to."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._transfers: dict[Blob, Transfer] = {}
        self._parts: dict[Blob, int] = {}  # octets in the files of those that nobody wants now
        self._orders: list[Order] = []
        self._ready: list[Blob] = []
        self._failed: list[Failure] = []
        self._efforts: dict[str, Effort] = {}
        self._last_attempt = 0

    def find(self, blob: Blob) -> Transfer | None:
        """Return a blob's transfer, None if it is not on its way."""
        return self._transfers.get(blob)

    def come(self, blob: Blob) -> int:
        """Return how many octets there are of a blob that is not ready."""
        transfer = self._transfers.get(blob)
        return self._parts.get(blob, 0) if transfer is None else transfer.come

    def effort(self, delivery: str) -> Effort:
        """Return what transfers took of a delivery that is not over."""
        return self._efforts.setdefault(delivery, Effort())

    @property
    def lasting(self) -> frozenset[Blob]:
        """Blobs that somebody works on: their files must stay."""
        return frozenset(self._transfers)

    def found(self, parts: Mapping[Blob, int]) -> None:
        """Take note of files that were there before, by their lengths."""
        self._parts |= parts

    def forget(self, blob: Blob) -> None:
        """A blob that is not on its way is removed."""
        self._parts.pop(blob, None)
        self._orders.append(RemoveBlob(blob))

    def want(self, blob: Blob, delivery: str, repository: str) -> None:
        """Have a blob fetched for a delivery, unless it is on its way already."""
        transfer = self._transfers.get(blob)
        if transfer is None:
            transfer = self._transfers[blob] = Transfer(blob, self._parts.pop(blob, 0))
            if transfer.come > blob.octets:
                self._discard(transfer)
        transfer.sources[delivery] = repository

    def unwant(self, delivery: str) -> None:
        """A delivery is over: what it alone waits for is fetched no more. What has come stays."""
        self._efforts.pop(delivery, None)
        for transfer in list(self._transfers.values()):
            if transfer.sources.pop(delivery, None) is not None and not transfer.sources:
                self._leave(transfer)

    # What a fetch brings ------------------------------------------------------------------------------------------

    def on_octets(self, blob: Blob, attempt: int, come: int, now_s: float) -> None:
        """A blob's file has so many octets by now."""
        transfer = self._fetching(blob, attempt)
        if transfer is not None:
            if come > transfer.come:
                self.effort(next(iter(transfer.sources))).fetched += come - transfer.come
                transfer.in_vain, transfer.problem = 0, ""
            transfer.come, transfer.due_s = come, now_s + self._settings.stalled_s

    def on_fetched(self, blob: Blob, attempt: int, problem: Problem | None, now_s: float) -> None:
        """A fetch has ended."""
        transfer = self._fetching(blob, attempt)
        if transfer is None:
            return
        problem = problem or Problem(Trouble.BROKEN, "the answer ended early")
        if problem.trouble is Trouble.BROKEN and transfer.is_fetched:
            self._check(transfer)
        elif problem.trouble is Trouble.BROKEN:
            self._pause(transfer, problem, now_s)
        elif problem.trouble is Trouble.OTHER:
            self._on_wrong(transfer, problem.text, now_s)
        elif problem.trouble is Trouble.ABSENT:
            self._on_absent(transfer, problem.text, now_s)
        else:
            self._fail(transfer, problem.text)
        self.advance(now_s)

    def on_checked(self, blob: Blob, digest: str, now_s: float) -> None:
        """The digest of a blob's file is known."""
        transfer = self._in(blob, Phase.CHECKING)
        if transfer is None:
            return
        if digest != blob.digest:
            self._on_wrong(transfer, f"its octets have the digest {digest}", now_s)
        elif blob.role is Role.LAYER:
            transfer.step(Event.UNPACK)
            self._orders.append(UnpackLayer(blob))
        else:
            transfer.step(Event.KEEP)
            self._finish(transfer)
        self.advance(now_s)

    def on_unpacked(self, blob: Blob, now_s: float) -> None:
        """The folder of a layer is there."""
        transfer = self._in(blob, Phase.UNPACKING)
        if transfer is not None:
            transfer.step(Event.UNPACKED)
            self._finish(transfer)
        self.advance(now_s)

    def on_disk_problem(self, blob: Blob, text: str, now_s: float) -> None:
        """A blob could not be read or unpacked."""
        transfer = self._transfers.get(blob)
        if transfer is not None and transfer.phase in (Phase.CHECKING, Phase.UNPACKING):
            self._fail(transfer, text)
        self.advance(now_s)

    # Time ---------------------------------------------------------------------------------------------------------

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        for transfer in list(self._transfers.values()):
            if transfer.due_s is None or transfer.due_s > now_s:
                continue
            if transfer.phase is Phase.PAUSED:
                transfer.step(Event.AGAIN)
            elif transfer.phase is Phase.FETCHING:
                self._orders.append(StopFetch(transfer.blob))
                text = f"nothing came for {self._settings.stalled_s:g} s"
                self._pause(transfer, Problem(Trouble.BROKEN, text), now_s)
        self.advance(now_s)

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next."""
        return min((item.due_s for item in self._transfers.values() if item.due_s is not None), default=None)

    def advance(self, now_s: float) -> None:
        """Begin the fetches whose turn it is."""
        busy = sum(item.phase is Phase.FETCHING for item in self._transfers.values())
        for transfer in self._transfers.values():
            if transfer.phase is not Phase.WAITING:
                continue
            if transfer.is_fetched:
                self._check(transfer)
            elif busy < self._settings.fetches:
                self._fetch(transfer, now_s)
                busy += 1

    # What goes out ------------------------------------------------------------------------------------------------

    def take_orders(self) -> list[Order]:
        """Return the orders since the last call."""
        orders, self._orders = self._orders, []
        return orders

    def take_ready(self) -> list[Blob]:
        """Return the blobs that have come since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def take_failed(self) -> list[Failure]:
        """Return the deliveries that have failed since the last call; some may be over already."""
        failed, self._failed = self._failed, []
        return failed

    # One blob -----------------------------------------------------------------------------------------------------

    def _fetch(self, transfer: Transfer, now_s: float) -> None:
        sources = list(dict.fromkeys(transfer.sources.values()))
        transfer.source = sources[transfer.in_vain % len(sources)]
        self._last_attempt += 1  # of all: a report that comes late is of no other transfer
        transfer.attempt = self._last_attempt
        for delivery in transfer.sources if transfer.come else ():
            self.effort(delivery).resumed += 1
        transfer.step(Event.FETCH, now_s + self._settings.stalled_s)
        self._orders.append(FetchBlob(transfer.blob, transfer.source, transfer.come, transfer.attempt))

    def _check(self, transfer: Transfer) -> None:
        transfer.step(Event.COMPLETE)
        self._orders.append(CheckBlob(transfer.blob))

    def _pause(self, transfer: Transfer, problem: Problem, now_s: float) -> None:
        transfer.problem = problem.text
        transfer.step(Event.BREAK, now_s + self._settings.pause_after_s(transfer.in_vain))
        transfer.in_vain += 1

    def _on_wrong(self, transfer: Transfer, text: str, now_s: float) -> None:
        """Discard what came, which is not this blob, and try again so often as the settings say."""
        transfer.wrong += 1
        transfer.problem = text
        self._discard(transfer)
        if transfer.wrong > self._settings.wrong or not transfer.sources:
            self._fail(transfer, f"{text}, {transfer.wrong} times")
        else:
            transfer.step(Event.WRONG, now_s + self._settings.pause_after_s(transfer.wrong - 1))

    def _on_absent(self, transfer: Transfer, text: str, now_s: float) -> None:
        """Those who named this repository have failed; the others' repositories may have it."""
        for delivery, repository in list(transfer.sources.items()):
            if repository == transfer.source:
                del transfer.sources[delivery]
                self._failed.append(Failure(delivery, f"{_shown(transfer.blob)}: {text}"))
        if transfer.sources:
            self._pause(transfer, Problem(Trouble.BROKEN, text), now_s)
        else:
            self._leave(transfer)

    def _discard(self, transfer: Transfer) -> None:
        transfer.come = 0
        self._orders.append(RemoveBlob(transfer.blob))

    def _fail(self, transfer: Transfer, text: str) -> None:
        """End a transfer for all who want it, and keep nothing of it."""
        for delivery in transfer.sources:
            self._failed.append(Failure(delivery, f"{_shown(transfer.blob)}: {text}"))
        del self._transfers[transfer.blob]
        self.forget(transfer.blob)

    def _leave(self, transfer: Transfer) -> None:
        """Nobody wants a blob: what is being fetched stops, what is being checked goes on to its end."""
        if transfer.phase in (Phase.CHECKING, Phase.UNPACKING):
            return
        if transfer.phase is Phase.FETCHING:
            self._orders.append(StopFetch(transfer.blob))
        del self._transfers[transfer.blob]
        self._parts[transfer.blob] = transfer.come

    def _finish(self, transfer: Transfer) -> None:
        del self._transfers[transfer.blob]
        self._ready.append(transfer.blob)

    def _fetching(self, blob: Blob, attempt: int) -> Transfer | None:
        transfer = self._in(blob, Phase.FETCHING)
        return transfer if transfer is not None and transfer.attempt == attempt else None

    def _in(self, blob: Blob, phase: Phase) -> Transfer | None:
        transfer = self._transfers.get(blob)
        return transfer if transfer is not None and transfer.phase is phase else None


def _shown(blob: Blob) -> str:
    return f"{blob.role.value} {blob.digest[:19]}…"


__all__ = ["Failure", "Transfer", "Transfers"]
