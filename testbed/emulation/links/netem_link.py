"""Links impaired by the kernel: a veth pair with one `netem` queueing discipline on each side.

Owns the tc commands. Semantics follow `relay.impairment` as closely as netem allows: jitter is uniform, order is kept,
and loss falls before the queue. What differs: netem's losses follow no seed, its statistics do not distinguish lost
from overflown packets, and its limit counts packets under way as well as queued ones (see `tc_commands`).
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from testbed.emulation.links.backend import LinkContext, LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.veth import create_pairs, delete_pairs
from testbed.emulation.netns.namespaces import NamespaceError, entered
from topologies.spec import LinkSpec

_FRAME_BITS = 1514 * 8
_UNLIMITED_PACKETS = 100_000
_ORDER_KEEPING_RATE_BITS = 100_000_000_000


class KernelLinks:
    """Impaired links made by the kernel's netem."""

    name = "netem"

    def __init__(self, context: LinkContext) -> None:
        del context  # the kernel needs neither folder, seed nor process
        self._requests: tuple[LinkRequest, ...] = ()
        self._final: dict[str, Any] | None = None

    def create(self, requests: Sequence[LinkRequest]) -> None:
        """Make the veth pairs and impair both directions of each."""
        self._requests = tuple(requests)
        create_pairs(requests)
        commands: dict[int | None, list[str]] = {}
        for request in requests:
            for end in (request.a, request.b):
                commands.setdefault(end.netns_pid, []).extend(tc_commands(end.interface, request.spec))
        for pid, lines in commands.items():
            run_tc(pid, ["-batch", "-"], "\n".join(lines) + "\n")

    def statistics(self) -> dict[str, Any]:
        """Return packets, bytes and drops of each direction; lateness is not known.

        `in_place`: whether what leaves an interface still is impaired, or swallowed by a cut. Without a rate nothing
        waits, and all drops are losses.
        """
        if self._final is not None:
            return self._final
        shown: dict[int | None, dict[str, Any]] = {}

        def of(end: LinkEnd, spec: LinkSpec) -> dict[str, Any]:
            if end.netns_pid not in shown:
                items = json.loads(run_tc(end.netns_pid, ["-s", "-j", "qdisc", "show"]) or "[]")
                shown[end.netns_pid] = {item["dev"]: item for item in items if item.get("root")}
            found = shown[end.netns_pid].get(end.interface, {})
            counters = found if found.get("kind") == "netem" else {}
            return {
                "packets": counters["packets"] + counters["drops"] + counters["qlen"] if counters else None,
                "bytes": counters.get("bytes"),
                "dropped": counters.get("drops"),
                "dropped_loss": counters.get("drops") if spec.rate_mbps is None else None,
                "in_place": found.get("kind") in ("netem", "blackhole"),
            }

        links = {
            request.label: {"a_to_b": of(request.a, request.spec), "b_to_a": of(request.b, request.spec)}
            for request in self._requests
        }
        return {"backend": self.name, "links": links}

    def change(self, request: LinkRequest, spec: LinkSpec) -> None:
        """Have netem do this to packets from now on; what it counted stays."""
        for end in (request.a, request.b):
            for line in tc_commands(end.interface, spec):
                run_tc(end.netns_pid, line.split())

    def pulse(self) -> None:
        """Return nothing: the kernel carries packets."""

    def forget_lateness(self) -> None:
        """Do nothing: it is not known."""

    def queue(self, label: str, *, of_a: bool) -> None:
        """Return nothing: it is with the interface."""

    def close(self) -> None:
        """Remove the pairs that end in the root namespace; the others go with their namespaces."""
        if self._final is None:
            with suppress(LinkError):  # of links that never were there is nothing to say
                self._final = self.statistics()
        delete_pairs(self._requests)
        self._requests = ()


def tc_commands(interface: str, spec: LinkSpec) -> list[str]:
    """Return the `tc -batch` lines that impair what leaves by `interface`; none for a plain link."""
    if spec.is_plain:
        return []
    words = ["qdisc", "replace", "dev", interface, "root", "netem", "limit", str(_limit(spec))]
    if spec.delay_ms or spec.jitter_ms:
        words += ["delay", _microseconds(spec.delay_ms)]
        if spec.jitter_ms:
            words.append(_microseconds(spec.jitter_ms))  # without a distribution table, netem draws uniformly
    if spec.loss_percent:
        words += ["loss", "random", f"{spec.loss_percent:g}%"]
    if spec.rate_mbps is not None:
        words += ["rate", f"{round(spec.rate_mbps * 1e6)}bit"]
    elif spec.jitter_ms:
        # With a rate, netem lets no packet overtake the one before; this one is too high to be felt.
        words += ["rate", f"{_ORDER_KEEPING_RATE_BITS}bit"]
    return [" ".join(words)]


def _limit(spec: LinkSpec) -> int:
    # netem's limit counts the packets under way, too; so many of full size fit into delay and jitter at this rate.
    if spec.rate_mbps is None:
        return max(spec.queue_packets, _UNLIMITED_PACKETS)
    under_way_s = (spec.delay_ms + spec.jitter_ms) / 1e3
    return spec.queue_packets + math.ceil(spec.rate_mbps * 1e6 * under_way_s / _FRAME_BITS)


def _microseconds(value_ms: float) -> str:
    return f"{round(value_ms * 1000)}us"


def run_tc(pid: int | None, arguments: list[str], batch: str | None = None) -> str:
    """Run `tc` in the namespace of a process; return what it says. Raises LinkError."""
    try:
        with entered(pid):
            done = subprocess.run(["tc", *arguments], input=batch, text=True, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LinkError("tc is not installed; apt-get install -y iproute2") from error
    except NamespaceError as error:
        raise LinkError(error.strerror or str(error)) from error
    if done.returncode != 0:
        raise LinkError(f"tc {' '.join(arguments)} failed: {' '.join(done.stderr.split())}")
    return done.stdout
