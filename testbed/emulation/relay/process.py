"""The relay process: carries Ethernet frames between pairs of TAP interfaces, impaired on the way.

Owns the loop: read, ask `impairment` when the frame comes out, keep it, write it then. One process, one epoll
set and one timer serve all links of a run. Follows docs/processes.md; writes `<out_dir>/<name>.json` at its end
and on SIGUSR1, and changes a link on SIGHUP. Stdlib only.

A TAP interface is made by a thread that has entered the interface's namespace, under its final name; the
descriptor stays valid here. Frames that wait longer than their due time are counted (`Lateness`), since a run whose
relay was late has not emulated the delays it claims.
"""

from __future__ import annotations

import gc
import heapq
import json
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from testbed.emulation.netns.interfaces import InterfaceError, configure, open_tap
from testbed.emulation.netns.namespaces import NamespaceError, entered
from testbed.emulation.relay.config import RelayChange, RelayConfig, RelayEnd, change_path, ports_path
from testbed.emulation.relay.full_rate import FullRate
from testbed.emulation.relay.impairment import Lateness, LinkDirection
from testbed.linux.cpu_priority import raise_priority
from testbed.linux.port_reader import relayed
from testbed.linux.timerfd import DeadlineTimer
from testbed.records.file_names import file_name
from testbed.runtime.lifecycle import ProcessFailure, announce_ready
from testbed.runtime.pulse import Pulse

_FRAME_BYTES = 2048  # an Ethernet frame of MTU 1500 with room for tags
_BURST_FRAMES = 64  # read from one interface before the others and the due frames have their turn
_TAP_QUEUE_PACKETS = 8000  # 80 ms at 100,000 packets/s: longer than the machine keeps the relay waiting
_CLOSING_THREADS = 32
_PUBLISH_INTERVAL_S = 0.2


class Direction:
    """One direction of a link: frames read from `source` are written to `sink` when `core` lets them go."""

    __slots__ = (
        "core", "full_rate", "lateness", "name", "queue", "rejected", "rng", "sink", "source", "written",
        "written_bytes",
    )  # fmt: skip

    def __init__(self, name: str, core: LinkDirection, source: int, sink: int, seed: str) -> None:
        self.name = name
        self.core = core
        self.source = source
        self.sink = sink
        self.rng = Random(seed)
        self.queue: deque[tuple[float, bytes]] = deque()
        self.lateness = Lateness()
        self.full_rate = FullRate(core)
        self.written = 0
        self.written_bytes = 0
        self.rejected = 0  # by the kernel: the interface is down or gone, or its buffers are full


class Relay:
    """All links of a run between the TAP interfaces that it makes."""

    def __init__(self, config: RelayConfig) -> None:
        self._config = config
        self._directions: list[Direction] = []
        self._descriptors: list[int] = []
        self._busy = Lateness()
        self._pulse = Pulse(config.out_dir, config.name, time.monotonic())
        self._scheduling = "as started"
        self._ports: int | None = None  # the file in which the queues of links with a rate are published
        self._queues: list[tuple[int, LinkDirection]] = []

    def open(self) -> None:
        """Make all interfaces, up, in their namespaces. Raises InterfaceError or NamespaceError."""
        for link in self._config.links:
            a, b = self._open_end(link.a), self._open_end(link.b)
            for name, source, sink in (("a_to_b", a, b), ("b_to_a", b, a)):
                seed = f"{self._config.seed}/{link.label}/{name}"
                self._directions.append(Direction(name, LinkDirection(link.impairment), source, sink, seed))
                if link.impairment.rate_mbps is not None:
                    self._queues.append((len(self._directions) - 1, self._directions[-1].core))
        if self._queues:
            path = ports_path(self._config.out_dir, self._config.name)
            self._ports = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            self._publish(time.monotonic())
        self._pulse.leave_out(time.monotonic())

    def close(self) -> None:
        """Remove all interfaces."""
        # Each removal waits some 15 ms for the kernel, but they can wait together.
        with ThreadPoolExecutor(_CLOSING_THREADS) as pool:
            list(pool.map(os.close, self._descriptors))
        self._descriptors.clear()
        if self._ports is not None:
            os.close(self._ports)
            self._ports = None
        self._pulse.close(time.monotonic())

    def take_precedence(self) -> None:
        """Ask the scheduler to run this process soon after a frame arrives or is due."""
        self._scheduling = raise_priority()

    def run(self, signals: socket.socket) -> None:
        """Carry frames until SIGTERM or SIGINT is read from `signals`; write the statistics on SIGUSR1.

        On SIGUSR2, lateness is recorded from now on; on SIGHUP, the link is changed that `change_path` names.
        """
        monotonic, write, pulse = time.monotonic, os.write, self._pulse
        due: list[
            tuple[float, int]
        ] = []  # a heap of (release of its first frame, direction), one for each busy direction
        by_source = {direction.source: index for index, direction in enumerate(self._directions)}
        directions = self._directions
        epoll, timer = select.epoll(), DeadlineTimer()
        publish_s = math.inf if self._ports is None else 0.0
        for descriptor in (signals.fileno(), timer.fileno(), *by_source):
            epoll.register(descriptor, select.EPOLLIN)
        try:
            woken_s = monotonic()
            while True:
                now_s = monotonic()
                while due and due[0][0] <= now_s:
                    index = due[0][1]
                    direction = directions[index]
                    queue, sink, record = direction.queue, direction.sink, direction.lateness.record
                    while queue and queue[0][0] <= now_s:
                        release_s, frame = queue.popleft()
                        try:
                            direction.written_bytes += write(sink, frame)
                            direction.written += 1
                        except OSError:
                            direction.rejected += 1
                        record(monotonic() - release_s)
                    if queue:
                        heapq.heapreplace(due, (queue[0][0], index))
                    else:
                        heapq.heappop(due)
                now_s = monotonic()
                self._busy.record(now_s - woken_s)
                if now_s >= publish_s:
                    self._publish(now_s)
                    publish_s = now_s + _PUBLISH_INTERVAL_S
                if due and due[0][0] <= now_s:
                    next_s, events = now_s, epoll.poll(0)
                else:
                    next_s = min(due[0][0] if due else math.inf, publish_s, pulse.next_s())
                    timer.set(next_s)
                    events = epoll.poll()
                woken_s = monotonic()
                pulse.look(woken_s, next_s)
                for descriptor, _ in events:
                    index = by_source.get(descriptor, -1)
                    if index >= 0:
                        if not self._take_in(index, due):
                            epoll.unregister(descriptor)
                    elif descriptor == timer.fileno():
                        timer.clear()
                    elif self._must_end(signals):
                        return
        finally:
            epoll.close()
            timer.close()

    def _take_in(self, index: int, due: list[tuple[float, int]]) -> bool:
        """Read a burst of frames; return whether the interface is still there."""
        direction = self._directions[index]
        queue, arrive, source, rng = direction.queue, direction.core.arrive, direction.source, direction.rng
        was_empty = not queue
        monotonic, take, append = time.monotonic, os.read, queue.append
        try:
            for _ in range(_BURST_FRAMES):
                frame = take(source, _FRAME_BYTES)
                outcome = arrive(monotonic(), len(frame), rng)
                if outcome.__class__ is float:
                    append((outcome, frame))
        except BlockingIOError:
            return True
        except OSError:  # the interface was deleted; the other direction finds out by its writes
            return False
        finally:
            if was_empty and queue:
                heapq.heappush(due, (queue[0][0], index))
        return True

    def _publish(self, now_s: float) -> None:
        """Have who owns a port read how full its queue was; in one write, so that nobody sees half of it."""
        assert self._ports is not None
        for slot, _ in self._queues:
            direction = self._directions[slot]
            direction.full_rate.look(now_s, direction.written_bytes)
        counters = ((slot, core.port_counters()) for slot, core in self._queues)
        try:
            os.pwrite(self._ports, relayed(len(self._directions), counters, now_s), 0)
        except OSError as error:  # a full disk: the counters stand still, and links go on
            print(f"{self._config.name}: cannot publish counters: {error.strerror}", file=sys.stderr)

    def _must_end(self, signals: socket.socket) -> bool:
        numbers = set(signals.recv(64))
        if signal.SIGUSR1 in numbers:
            self.write_statistics()
        if signal.SIGUSR2 in numbers:
            self._forget_lateness()
        if signal.SIGHUP in numbers:
            self._change()
        return bool(numbers & {signal.SIGTERM, signal.SIGINT})

    def _change(self) -> None:
        """Do what a file says to the packets of a link; without the file, who asked knows that it was done."""
        path = change_path(self._config.out_dir, self._config.name)
        try:
            change = RelayChange.from_document(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            print(f"{self._config.name}: cannot change a link by {path}: {error}", file=sys.stderr)
            return
        index = next(index for index, link in enumerate(self._config.links) if link.label == change.label)
        for direction in self._directions[2 * index : 2 * index + 2]:
            direction.core.change(change.impairment)
        path.unlink()

    def _forget_lateness(self) -> None:
        self._busy = Lateness()
        for direction in self._directions:
            direction.lateness = Lateness()

    def write_statistics(self) -> None:
        """Write what was carried, dropped and late; readers see the former file or this one, never a part."""
        path = self._config.out_dir / f"{file_name(self._config.name)}.json"
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(json.dumps(self.statistics(), indent=1) + "\n")
            partial.replace(path)
        except OSError as error:
            print(f"{self._config.name}: cannot write {path}: {error.strerror}", file=sys.stderr)

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of all links, and the relay's own."""
        total = Lateness()
        links: dict[str, Any] = {}
        for index, link in enumerate(self._config.links):
            both = self._directions[2 * index : 2 * index + 2]
            links[link.label] = {
                direction.name: _statistics(direction, end)
                for direction, end in zip(both, (link.a, link.b), strict=True)
            }
            for direction in both:
                total.merge(direction.lateness)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "backend": "relay",
            "time_s": time.monotonic(),
            "scheduling": self._scheduling,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            # From a due time to the write.
            "lateness": total.summary(),
            # From waking up to waiting again: a frame that arrives meanwhile is noticed that much later at most.
            "busy": self._busy.summary(),
            "links": links,
        }

    def _open_end(self, end: RelayEnd) -> int:
        with entered(end.netns_pid), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            descriptor = open_tap(end.interface)
            self._descriptors.append(descriptor)
            # A TAP without vnet_hdr has no offloads to switch off: the kernel finishes each frame before it is read.
            configure(control, end.interface, mac=end.mac, transmit_queue=_TAP_QUEUE_PACKETS)
        return descriptor


def _statistics(direction: Direction, source: RelayEnd) -> dict[str, Any]:
    core = direction.core
    return {
        "packets": core.packets,
        "bytes": core.bytes,
        "delivered": direction.written,
        "waiting": len(direction.queue),
        "dropped_loss": core.dropped_loss,
        "dropped_queue": core.dropped_queue,
        "dropped_interface": direction.rejected,
        # Frames that the kernel threw away since this process did not read them in time.
        "dropped_overload": _dropped_unread(source),
        # While the queue was never empty: what came out, against the rate.
        "full_s": round(direction.full_rate.seconds, 3),
        "full_mbps": direction.full_rate.mbps,
        "lateness": direction.lateness.summary(),
    }


def _dropped_unread(end: RelayEnd) -> int | None:
    try:
        table = Path(f"/proc/{end.netns_pid or 'self'}/net/dev").read_text()
    except OSError:
        return None  # the namespace went first
    for line in table.splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == end.interface:
            return int(counters.split()[11])
    return None


def carry(config: RelayConfig) -> None:
    """Be the relay until SIGTERM or SIGINT."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # noted by number in the socket
    relay = Relay(config)
    try:
        relay.open()
        relay.take_precedence()
        announce_ready(config)
        gc.collect()
        gc.freeze()
        gc.disable()  # frames are freed by reference count; a collection would hold them up
        relay.run(reading)
        relay.write_statistics()
    except (InterfaceError, NamespaceError) as error:
        raise ProcessFailure(error.strerror or str(error)) from error
    finally:
        relay.close()
