"""What the nodes of a network are for: roles, by the kind of node that each is.

Kinds are all that a network needs to know; roles distinguish nodes of a kind, for systems, files and pictures. Systems
add roles (`testbed.systems`, part `roles`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from testbed import systems


class Kind(Enum):
    """What a node does in a network."""

    ROUTER = "router"  # forwards, and nothing hangs off it
    EDGE = "edge router"  # forwards, and is the gateway of a site: hosts hang off it
    SWITCH = "access switch"  # stands between clients and their edge router
    HOST = "host"


@dataclass(frozen=True)
class Role:
    """A role, by its name in files and its title, with a note, in legends.

    `serves`: edge routers steer packets to such hosts.
    """

    name: str
    kind: Kind
    title: str
    note: str = ""
    serves: bool = False

    @property
    def legend(self) -> str:
        """Return the title, and what it says to those who do not know it."""
        return f"{self.title} ({self.note})" if self.note else self.title

    @property
    def is_host(self) -> bool:
        """Separate what lives in a site's own network from routers."""
        return self.kind in (Kind.HOST, Kind.SWITCH)


ROUTER = Role("router", Kind.ROUTER, "router")
CLIENT = Role("client", Kind.HOST, "client")
EDGE = Role("edge", Kind.EDGE, "edge router", "site")


def known() -> tuple[Role, ...]:
    """Return all roles."""
    return (ROUTER, *(role for of_system in systems.parts("roles").values() for role in of_system), CLIENT, EDGE)


def of_sites() -> Role:
    """Return the role of the router of a site: what the first system that has one calls it."""
    return next(role for role in known() if role.kind is Kind.EDGE)
