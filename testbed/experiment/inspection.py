"""What systems show of themselves while a run is up: the one class to write, and the way to all that are registered.

A system's inspection is a subclass of `SystemInspection` with an instance called `INSPECTION`, in the module that its
registration (`testbed.systems`) names. It asks running nodes; it changes nothing but by `reset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from testbed import systems as registry
from testbed.emulation.inspection.client import InspectionError

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], object]]  # of a section, for people: heading → what stands there of a row


@dataclass(frozen=True)
class Node:
    """A node that is up and can be looked into. `run`: the tag of its run; `handle`: what its system knows it by."""

    run: str
    name: str
    handle: Any = None


class SystemInspection:
    """What a system shows of its nodes. All methods raise InspectionError, in one line, for a node that cannot answer.

    `kind`: what its nodes are called, `key`: under which key a document has a node's name; `overview`: the sections
    that are shown if none is named; `words`: the headings of columns that hold no figures.
    """

    kind: ClassVar[str] = "node"
    key: ClassVar[str] = "node"
    sections: ClassVar[Mapping[str, Columns]] = {}
    overview: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[frozenset[str]] = frozenset()

    def nodes(self) -> Iterable[Node]:
        """Return the nodes that are up, of all runs."""
        return ()

    def document(self, node: Node, sections: Sequence[str], most_flows: int | None) -> Row:
        """Return `run`, the node's name under `key`, and the rows of each section, as programs read them.

        Of flows there are at most so many; `more_flows` says whether there would be more.
        """
        raise NotImplementedError("a system with sections says where their rows are")

    def reset(self, node: Node, service: str | None) -> int:
        """End the bindings of a node, of all services or one; return how many there were."""
        raise InspectionError(f"{self.kind} {node.name} keeps no bindings that could be reset")


def systems() -> tuple[SystemInspection, ...]:
    """Return the inspections of all systems that have one."""
    return tuple(registry.parts("inspection").values())
