"""Workers that do their work in earnest: processes that spin for the CPU time of each job.

Owns `mode: burn`: forking the workers, one FIFO queue before them with the semantics of `WorkQueue`, and
measured start and finish times. What `cpu_limit` grants and what else runs on the machine decides how long
a job takes; the model decides nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import time
from collections import deque
from typing import NoReturn

from testbed.agents.host.cpu_limit import CpuLimit
from testbed.agents.instance.processor import Done, Load
from testbed.queueing.smoothed_service_time import SmoothedServiceTime
from testbed.queueing.work_queue import Accepted, SlidingUtilisation
from testbed.runtime.event_loop import end_with_parent
from testbed.runtime.lifecycle import ProcessFailure

_JOB = struct.Struct("=d")  # CPU seconds to spend
_RESULT = struct.Struct("=ddd")  # started, finished (CLOCK_MONOTONIC), CPU seconds the worker has used so far


class _Worker:
    """One forked process and our end of its channel."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.channel = channel
        self.pid = pid
        self.cpu_s = 0.0
        self.done: Done | None = None  # of the job in hand


class BurnProcessor:
    """`workers` processes under one CPU limit. Raises ProcessFailure if the limit cannot be had."""

    def __init__(
        self, name: str, workers: int, queue_limit: int, speed: float, expected_s: float, cpu_limit: float | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._speed = speed
        self._queue_limit = queue_limit
        self._waiting: deque[tuple[float, Done]] = deque()
        self._completed = 0
        self._refused = 0
        self._service_time = SmoothedServiceTime(expected_s / speed)
        self._utilisation = SlidingUtilisation(workers)
        self._limit = CpuLimit(name, cpu_limit) if cpu_limit else None
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._workers.append(_fork_worker([worker.channel for worker in self._workers]))
        self._idle = list(self._workers)
        self._dead: _Worker | None = None
        for worker in self._workers:
            self._loop.add_reader(worker.channel.fileno(), self._collect, worker)
        if self._limit:
            try:
                for worker in self._workers:
                    self._limit.add(worker.pid)
            except ProcessFailure:
                self._end_workers()
                raise

    def submit(self, work_s: float, done: Done) -> bool:
        """Take in a job; see `Processor`."""
        cpu_s = work_s / self._speed
        if self._idle:
            self._start(self._idle.pop(), cpu_s, done)
        elif len(self._waiting) < self._queue_limit:
            self._waiting.append((cpu_s, done))
        else:
            self._refused += 1
            return False
        return True

    def load(self) -> Load:
        """Return the load now."""
        return Load(
            busy_workers=len(self._workers) - len(self._idle),
            queue_length=len(self._waiting),
            utilisation=self._utilisation.share(self._loop.time()),
            completed=self._completed,
            refused=self._refused,
            service_time_s=self._service_time.value_s,
        )

    def cpu_s(self) -> float:
        """Return the CPU time the workers have used, as of their last jobs."""
        return sum(worker.cpu_s for worker in self._workers)

    def check(self) -> None:
        """Raise ProcessFailure if a worker has ended."""
        if self._dead:
            raise ProcessFailure(
                f"burn worker {self._dead.pid} ended by itself; see the kernel's log, it may be memory"
            )

    def close(self) -> None:
        """End the workers and remove the limit."""
        self._end_workers()

    def _start(self, worker: _Worker, cpu_s: float, done: Done) -> None:
        worker.done = done
        self._utilisation.change(self._loop.time(), len(self._workers) - len(self._idle))
        worker.channel.send(_JOB.pack(cpu_s))

    def _collect(self, worker: _Worker) -> None:
        """Take a result; give the worker the next job, first come first served."""
        try:
            result = worker.channel.recv(_RESULT.size)
        except BlockingIOError:
            return
        if len(result) < _RESULT.size or worker.done is None:
            self._loop.remove_reader(worker.channel.fileno())
            self._dead = worker
            return
        started_s, finished_s, worker.cpu_s = _RESULT.unpack(result)
        job, done = Accepted(started_s, finished_s), worker.done
        worker.done = None
        self._completed += 1
        self._service_time.add(job)
        if self._waiting:
            self._start(worker, *self._waiting.popleft())
        else:
            self._idle.append(worker)
            self._utilisation.change(self._loop.time(), len(self._workers) - len(self._idle))
        done(job)

    def _end_workers(self) -> None:
        for worker in self._workers:
            self._loop.remove_reader(worker.channel.fileno())
            worker.channel.close()
            os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers:
            os.waitpid(worker.pid, 0)
        if self._limit:
            self._limit.remove()


def _fork_worker(others: list[socket.socket]) -> _Worker:
    """Fork one worker. `others` are channels that it inherits and must not hold open."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        for channel in (ours, *others):
            channel.close()
        _work(theirs)
    theirs.close()
    ours.setblocking(False)
    return _Worker(ours, pid)


def _work(channel: socket.socket) -> NoReturn:
    """Serve jobs until the instance closes the channel or ends. Never returns to the forked-off code."""
    try:
        signal.set_wakeup_fd(-1)  # inherited: it would wake the instance's loop
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the instance ends us
        end_with_parent()
        while job := channel.recv(_JOB.size):
            (cpu_s,) = _JOB.unpack(job)
            started_s, begun_s = time.monotonic(), time.thread_time()
            while time.thread_time() - begun_s < cpu_s:
                pass
            channel.send(_RESULT.pack(started_s, time.monotonic(), time.process_time()))
    finally:
        os._exit(0)
