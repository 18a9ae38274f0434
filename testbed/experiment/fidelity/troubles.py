"""What went wrong with switches and messages during a run, and is no result: sessions lost, messages refused or unsent.

Pure: takes counts by process and kind, and the ends of Open vSwitch's daemons that were seen. What a planned fault does
is left out by who counts. Verdicts are the table below (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from testbed.emulation.switches.daemons import DaemonEnd
from testbed.experiment.fidelity.verdict import Fidelity

_NAMED = 3


class Kind(NamedTuple):
    """A kind of trouble: what it makes of a run, how it is said, and whether it counts before the traffic, too."""

    verdict: str
    words: str
    always: bool = False


KINDS: Mapping[str, Kind] = {
    "switch_lost": Kind("invalid", "the switch session of {who} was lost {at}", always=True),
    "switch_errors": Kind("suspect", "the switch of {who} refused {total} messages, first {at}", always=True),
    "fell_back_to_reactive": Kind("suspect", "{total} services of {who} fell back to reactive {at}", always=True),
    "dropped_while_taking_over": Kind("suspect", "{who} dropped {total} packets while it took its switch over {at}"),
    "refused_conntrack_full": Kind("suspect", "the connection table of {who} refused {total} packets, first {at}"),
    "unhandled": Kind("suspect", "{who} could not handle {total} messages, first {at}; its log says why"),
    "messages_unsent": Kind("suspect", "{who} could not send {total} messages, first {at}"),
    "packets_unsent": Kind("suspect", "{who} could not send {total} packets"),
    "flow_packets_unseen": Kind("suspect", "{who} had no time to see {total} packets of its flows"),
}


class Trouble(NamedTuple):
    """What one process counted of a kind: how often, when first (seconds of the traffic), and what became of it."""

    who: str
    kind: str
    total: int
    first_s: float
    sequel: str = ""


def assess_troubles(fidelity: Fidelity, troubles: Sequence[Trouble]) -> None:
    """Judge each kind of trouble, by the process that counted it."""
    for name, kind in KINDS.items():
        found = [trouble for trouble in troubles if trouble.kind == name]
        fidelity.note(name, sum(trouble.total for trouble in found))
        for trouble in found[:_NAMED]:
            said = kind.words.format(who=trouble.who, total=trouble.total, at=moment(trouble.first_s))
            fidelity.say(kind.verdict, f"{said}{trouble.sequel}")
        if len(found) > _NAMED:
            fidelity.say(kind.verdict, f"{len(found) - _NAMED} more processes counted {name.replace('_', ' ')}")


def assess_daemons(
    fidelity: Fidelity, ends: Sequence[DaemonEnd], unwatched: Collection[str], nodes: Sequence[str], start_s: float
) -> None:
    """Judge whether the daemons that have the bridges of all these nodes went on all the time."""
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    fidelity.note("switch_daemon_ends", len(ends))
    for end in ends:
        back = "did not come back" if end.back_s is None else f"was back {moment(end.back_s - start_s)}"
        ended = moment(end.ended_s - start_s)
        fidelity.fail(f"{end.name} (bridges of {', '.join(nodes[:_NAMED])}{more}) ended {ended} and {back}")
    fidelity.miss("whether these daemons of Open vSwitch went on", unwatched)


def moment(seconds: float) -> str:
    """Return when it was, in the time of the traffic."""
    return f"at {seconds:.1f} s" if seconds >= 0 else f"{-seconds:.1f} s before the traffic"
