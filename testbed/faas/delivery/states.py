"""The states of a delivery, and of a blob on its way: which may follow which.

A delivery waits for its manifest, then for its blobs, of which each is a transfer that it may share with others.
"""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """What happens to a delivery."""

    MANIFEST = "its manifest is there"
    BLOBS = "all its blobs are there"
    CREATED = "its action is there"
    PRESENT = "the cluster has this function already"
    FAIL = "it cannot be carried out"
    CANCEL = "it is wanted no more"


class Stage(Enum):
    """How far a delivery is; the text is the API's `state`."""

    MANIFEST = "manifest"
    BLOBS = "blobs"
    CREATING = "creating"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Return whether nothing will follow."""
        return self in (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


_UNDER_WAY = (Stage.MANIFEST, Stage.BLOBS, Stage.CREATING)
STAGES: dict[tuple[Stage, Step], Stage] = {
    (Stage.MANIFEST, Step.MANIFEST): Stage.BLOBS,
    (Stage.BLOBS, Step.BLOBS): Stage.CREATING,
    (Stage.CREATING, Step.CREATED): Stage.DONE,
    (Stage.MANIFEST, Step.PRESENT): Stage.DONE,
    (Stage.BLOBS, Step.PRESENT): Stage.DONE,
    **{(stage, Step.FAIL): Stage.FAILED for stage in _UNDER_WAY},
    **{(stage, Step.CANCEL): Stage.CANCELLED for stage in _UNDER_WAY},
}


class Event(Enum):
    """What happens to a blob on its way."""

    FETCH = "it is its turn, and octets are missing"
    COMPLETE = "all its octets are there"
    BREAK = "the connection broke, stalled, or was refused"
    AGAIN = "the wait is over"
    KEEP = "its digest is right, and it stays as it is"
    UNPACK = "its digest is right, and it is to be unpacked"
    WRONG = "its digest is wrong, or its octets cannot be those of this blob"
    UNPACKED = "it is unpacked"


class Phase(Enum):
    """What a blob on its way waits for."""

    WAITING = "waiting"  # for its turn
    FETCHING = "fetching"
    PAUSED = "paused"  # before the next attempt
    CHECKING = "checking"
    UNPACKING = "unpacking"
    READY = "ready"


PHASES: dict[tuple[Phase, Event], Phase] = {
    (Phase.WAITING, Event.FETCH): Phase.FETCHING,
    (Phase.WAITING, Event.COMPLETE): Phase.CHECKING,
    (Phase.FETCHING, Event.COMPLETE): Phase.CHECKING,
    (Phase.FETCHING, Event.BREAK): Phase.PAUSED,
    (Phase.FETCHING, Event.WRONG): Phase.PAUSED,
    (Phase.PAUSED, Event.AGAIN): Phase.WAITING,
    (Phase.CHECKING, Event.KEEP): Phase.READY,
    (Phase.CHECKING, Event.UNPACK): Phase.UNPACKING,
    (Phase.CHECKING, Event.WRONG): Phase.PAUSED,
    (Phase.UNPACKING, Event.UNPACKED): Phase.READY,
}
