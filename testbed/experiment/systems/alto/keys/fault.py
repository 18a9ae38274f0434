"""Function delivery's kinds of fault, and their keys in the scenario's `faults:`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from testbed.experiment.scenario.fault_keys import FaultKeys, FaultKind

_SITE, _NOTHING = frozenset({"site"}), frozenset[str]()

CLUSTER_KILLED, CONTAINER_KILLED = "cluster_killed", "container_killed"
ALTO_SILENT, ALTO_STALE, ALTO_WRONG_COST = "alto_silent", "alto_stale", "alto_wrong_cost"
CODE_CORRUPT = "code_corrupt"

KINDS: Mapping[str, FaultKind] = {
    CLUSTER_KILLED: FaultKind(
        "the site's cluster is killed with all its containers; started again at until_s, with what it held before the "
        "load",
        _SITE,
    ),
    CONTAINER_KILLED: FaultKind("a container of the site's cluster is killed, one that works if one does", _SITE),
    ALTO_SILENT: FaultKind("the ALTO server is halted, and goes on at until_s", _NOTHING),
    ALTO_STALE: FaultKind(
        "the ALTO server serves what it knew, with the same tags, whatever is reported, until until_s", _NOTHING
    ),
    ALTO_WRONG_COST: FaultKind(
        "the ALTO server says a wrong delay between two sites, both ways, until until_s",
        frozenset({"between"}),
        frozenset({"factor", "delay_ms"}),
    ),
    CODE_CORRUPT: FaultKind(
        "the function's code at the repository is not what its digest says, so no cluster unpacks it; restored at "
        "until_s",
        frozenset({"function"}),
    ),
}


class AltoFaultKeys(FaultKeys):
    """A fault with function delivery's keys."""

    function: str | None = None
    """code_corrupt: name of the function."""
    between: tuple[str, str] | None = None
    """alto_wrong_cost: the two sites."""
    factor: float | None = Field(None, gt=0)
    """alto_wrong_cost: delays are said to be so many times what was measured; or say delay_ms, one way."""
