"""Pairs of virtual Ethernet interfaces, each end made in its namespace under its final name.

Owns their creation (all in one `ip -batch`), configuration and removal. Knows nothing of impairment.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from testbed.emulation.links.backend import LinkEnd, LinkError, LinkRequest
from testbed.emulation.netns.interfaces import InterfaceError, configure, switch_offloads_off
from testbed.emulation.netns.iproute import IprouteError, run_batch, run_batch_regardless
from testbed.emulation.netns.namespaces import NamespaceError, path_of, socket_in
from topologies.spec import LinkSpec


class PlainLinks:
    """Links without impairment: bare veth pairs."""

    name = "veth"

    def __init__(self) -> None:
        self._requests: tuple[LinkRequest, ...] = ()

    def create(self, requests: Sequence[LinkRequest]) -> None:
        """Make the pairs, up and without offloads."""
        self._requests = tuple(requests)
        create_pairs(requests)

    def statistics(self) -> dict[str, Any]:
        """Return nothing: the kernel's interface counters say all there is."""
        return {}

    def change(self, request: LinkRequest, spec: LinkSpec) -> None:
        """Refuse: nothing impairs these links."""
        del spec
        raise LinkError(f"link {request.label!r} is plain")

    def pulse(self) -> None:
        """Return nothing: the kernel carries packets."""

    def forget_lateness(self) -> None:
        """Do nothing: it is not known."""

    def queue(self, label: str, *, of_a: bool) -> None:
        """Return nothing: it is with the interface."""

    def close(self) -> None:
        """Remove the pairs that end in the root namespace; the others go with their namespaces."""
        delete_pairs(self._requests)
        self._requests = ()


def creation(requests: Iterable[LinkRequest]) -> list[str]:
    """Return the `ip -batch` lines that create one veth pair for each request."""
    return [f"link add {_end(request.a)} type veth peer {_end(request.b)}" for request in requests]


def create_pairs(requests: Sequence[LinkRequest]) -> None:
    """Create a veth pair for each request: both ends with their MAC address, without offloads, up. Raises LinkError."""
    if not requests:
        return
    _ip_batch(creation(requests), requests)
    for pid, ends in by_namespace(requests).items():
        try:
            with socket_in(pid, socket.AF_INET, socket.SOCK_DGRAM) as control:
                for end in ends:
                    switch_offloads_off(control, end.interface)
                    configure(control, end.interface)
        except (InterfaceError, NamespaceError) as error:
            raise LinkError(error.strerror or str(error)) from error


def delete_pairs(requests: Iterable[LinkRequest]) -> None:
    """Remove the pairs with an end in the root namespace; those already gone are no error."""
    names = [end.interface for end in by_namespace(requests).get(None, ())]
    if names:
        batch = "".join(f"link delete dev {name}\n" for name in names)
        # Past what is gone: a pair with both ends here, or whose other namespace ended.
        run_batch_regardless("ip", batch, "links")


def by_namespace(requests: Iterable[LinkRequest]) -> dict[int | None, list[LinkEnd]]:
    """Return the ends of all links, by the process whose namespace they lie in."""
    ends: dict[int | None, list[LinkEnd]] = defaultdict(list)
    for request in requests:
        for end in (request.a, request.b):
            ends[end.netns_pid].append(end)
    return ends


def _end(end: LinkEnd) -> str:
    address = f" address {end.mac}" if end.mac else ""
    # By path, for a bare number could also be the name of a namespace under /run/netns.
    namespace = f" netns {path_of(end.netns_pid)}" if end.netns_pid is not None else ""
    return f"name {end.interface}{address}{namespace}"


def _ip_batch(lines: Sequence[str], requests: Sequence[LinkRequest]) -> None:
    try:
        run_batch("ip", "".join(f"{line}\n" for line in lines), "links")
    except IprouteError as error:
        label = requests[error.line - 1].label if error.line and error.line <= len(requests) else "?"
        raise LinkError(f"cannot create link {label!r}: {error.reason}") from error
