"""The activations that are over: as many as are kept, by id and by time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from testbed.faas.activations.activation import Activation
from testbed.faas.errors import ApiError


class ActivationRegister:
    """The last `most` activations."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, Activation] = {}

    def put(self, activation: Activation) -> None:
        """Keep one; the oldest is dropped if there are too many."""
        self._kept[activation.activation_id] = activation
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def get(self, activation_id: str) -> Activation:
        """Return one. Raises ApiError 404: none of this id is over and still kept."""
        activation = self._kept.get(activation_id)
        if activation is None:
            raise ApiError(404, f"there is no activation {activation_id[:100]!r}, or it is not over yet")
        return activation

    def select(self, name: str | None, since_ms: int | None, upto_ms: int | None) -> Iterator[Activation]:
        """Yield those of an action (None: all) that began within bounds, the latest first."""
        for activation in reversed(self._kept.values()):
            if name is not None and activation.action.name != name:
                continue
            if (since_ms is None or activation.began_ms >= since_ms) and (
                upto_ms is None or activation.began_ms <= upto_ms
            ):
                yield activation

    def page(
        self, name: str | None, since_ms: int | None, upto_ms: int | None, skip: int, limit: int
    ) -> list[Activation]:
        """Return a part of what `select` yields."""
        return list(islice(self.select(name, since_ms, upto_ms), skip, skip + limit))
