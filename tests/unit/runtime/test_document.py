"""Dataclasses and their documents: what follows from types, what is left out, how mistakes are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from testbed.net.addresses import Address, Network
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, Merged, ProcessConfig, Section, Tagged, form_of
from testbed.runtime.forms import Destination, Integer, Length, Positive


@dataclass(frozen=True)
class Walk(Document):
    steps: int


@dataclass(frozen=True)
class Ride:
    """Of the pure core: it knows nothing of documents, and refuses what makes no sense."""

    wheels: int = 2

    def __post_init__(self) -> None:
        if self.wheels > 4:
            raise ValueError("too many wheels")


@dataclass(frozen=True)
class Leg(Document):
    by: Annotated[Walk | Ride | None, Merged(Tagged("by", {"walk": Walk, "ride": Section(Ride), "rest": None}))]
    hours: Positive

    def __post_init__(self) -> None:
        if self.hours > 24:
            raise ConfigError("hours are more than a day has")


@dataclass(frozen=True)
class Trip(ProcessConfig):
    start: Address
    end: Address | None
    legs: Annotated[tuple[Leg, ...], Length(1, "a list of at least one leg")]
    kind: Literal["work", "leisure"] = "work"
    area: Network | None = None
    guide: Destination | None = None
    guests: Annotated[int, Integer(0, 9)] = 0
    costs: Mapping[str, float] = field(default_factory=dict)


TRIP = Trip("trip", Path("out"), ip_address("10.0.0.1"), None, (Leg(Walk(7), 2.0), Leg(Ride(3), 1.5), Leg(None, 8.0)))
DOCUMENT = {
    "name": "trip",
    "out_dir": "out",
    "start": "10.0.0.1",
    "end": None,
    "legs": [{"by": "walk", "steps": 7, "hours": 2.0}, {"by": "ride", "wheels": 3, "hours": 1.5},
             {"by": "rest", "hours": 8.0}],
    "kind": "work",
}  # fmt: skip


def test_fields_are_keys_and_what_is_nothing_by_default_is_left_out() -> None:
    assert TRIP.to_document() == DOCUMENT
    assert Trip.from_document(DOCUMENT) == TRIP


def test_every_type_has_its_form() -> None:
    said = {"area": "fd00::/64", "guide": ["::1", 7], "guests": 3, "costs": {"ferry": 4.5}, "kind": "leisure"}
    trip = Trip.from_document({**DOCUMENT, **said})
    assert (trip.area, trip.guide) == (ip_network("fd00::/64"), (ip_address("::1"), 7))
    assert (trip.guests, trip.costs, trip.kind) == (3, {"ferry": 4.5}, "leisure")
    assert trip.to_document() == {**DOCUMENT, **said}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, r"colour is not a known key; there are: "),
        ({"guestz": 1}, r"guestz is not a known key; did you mean 'guests'\?"),
        ({"guests": 10}, r"guests must be in 0\.\.9, not 10"),
        ({"kind": "hobby"}, r"kind must be one of work, leisure, not 'hobby'"),
        ({"area": "here"}, r"area must be an IP network, not 'here'"),
        ({"legs": []}, r"legs must be a list of at least one leg, not \[\]"),
        ({"legs": [{"by": "fly", "hours": 1}]}, r"legs\[0\]\.by must be one of walk, ride, rest, not 'fly'"),
        ({"legs": [{"by": "walk", "hours": 1}]}, r"legs\[0\]\.steps is missing"),
        ({"legs": [{"by": "rest", "hours": 1, "steps": 2}]}, r"legs\[0\]\.steps is not a known key"),
        ({"legs": [{"by": "rest", "hours": 25}]}, r"legs\[0\]\.hours are more than a day has"),
        ({"legs": [{"by": "ride", "hours": 1, "wheels": 5}]}, r"legs\[0\] cannot be used: too many wheels"),
        ({"costs": {"ferry": "much"}}, r"costs\.ferry must be a finite number, not 'much'"),
        ({"guide": ["::1"]}, r"guide must be \[address, port\], not \['::1'\]"),
    ],
)
def test_a_mistake_is_named_by_its_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        Trip.from_document({**DOCUMENT, **change})


@pytest.mark.parametrize("hint", [object, Walk | Ride, complex, list[int]])
def test_a_type_without_a_form_is_a_mistake_of_the_programmer(hint: Any) -> None:
    with pytest.raises(TypeError):
        form_of(hint)
