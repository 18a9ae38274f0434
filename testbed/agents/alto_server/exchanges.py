"""What a server sent its clients, for its records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Exchange:
    """An answer to a request, or what of an update stream was sent at once; `octets` of the body."""

    kind: Literal["request", "update"]
    client: str
    resource: str
    status: int
    octets: int


Note = Callable[[Exchange], None]


def unnoted(_exchange: Exchange) -> None:
    """Leave no record of it."""
