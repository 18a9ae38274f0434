"""Cut a link and restore it: while it is cut, both ends send into a void and nothing else about them changes.

Owns the queueing discipline that swallows what leaves an interface. An interface that goes down would lose its routes
and addresses, too, and a router that informs its neighbours at once is a kinder fault than a cut somewhere on the way.
What is under way when a link is cut still arrives. Works alike for every backend of `links`.
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.emulation.links.backend import LinkRequest
from testbed.emulation.links.netem_link import run_tc, tc_commands


def cut(request: LinkRequest) -> None:
    """Have both ends swallow all they should send. Raises LinkError."""
    for end in (request.a, request.b):
        run_tc(end.netns_pid, ["qdisc", "replace", "dev", end.interface, "root", "blackhole"])


def restore(request: LinkRequest, *, netem: bool) -> None:
    """Have both ends send again, impaired by `netem` if they were. Raises LinkError."""
    for end in (request.a, request.b):
        for command in _mending(end.interface, tc_commands(end.interface, request.spec) if netem else ()):
            run_tc(end.netns_pid, command)


def _mending(interface: str, former: Iterable[str]) -> list[list[str]]:
    return [line.split() for line in former] or [["qdisc", "del", "dev", interface, "root"]]
