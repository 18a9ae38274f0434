"""What a cluster writes down of itself in a run: samples of its load, and the invocations that came to it.

Owns its rows of `instances` and `affinity` (`testbed.records.tables`), by which what clients wrote is checked, and of
`deliveries`. Decides nothing.
"""

from __future__ import annotations

import asyncio
import time

from testbed.agents.cluster.config import ClusterConfig
from testbed.faas.api import routes
from testbed.faas.api.messages import Request
from testbed.faas.api.routes import Operation
from testbed.faas.cluster import Cluster
from testbed.faas.delivery.delivery import Delivery
from testbed.faas.errors import ApiError
from testbed.records.writer import RecordWriter

SERVICE = "clusters"  # what the tables of all systems call the service that clusters are instances of
_SAMPLE_EVERY_S = 0.5
_REFUSED = (429, 503)


class BusyShare:
    """Which share of some workers was busy, since it was last asked."""

    def __init__(self, workers: int, now_s: float) -> None:
        self._workers = workers
        self._begin_s = self._since_s = now_s
        self._busy = 0
        self._busy_s = 0.0

    def note(self, busy: int, now_s: float) -> None:
        """Take note of how many are busy from now on."""
        self._busy_s += self._busy * (now_s - self._since_s)
        self._busy, self._since_s = busy, now_s

    def take(self, now_s: float) -> float:
        """Return the share since the last time, and begin again."""
        self.note(self._busy, now_s)
        length_s = now_s - self._begin_s
        share = self._busy_s / (self._workers * length_s) if length_s > 0 else 0.0
        self._begin_s, self._busy_s = now_s, 0.0
        return share


class RunRecords:
    """The rows of one cluster, from `begin` to `close`."""

    def __init__(self, config: ClusterConfig, core: Cluster, records: RecordWriter) -> None:
        self._config, self._core, self._records = config, core, records
        self._busy = BusyShare(config.slots, time.monotonic())
        self._completed = self._refused = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Sample the load from now on."""
        self._sample()

    def close(self) -> None:
        """Write the last sample."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._write(time.monotonic())

    def note_load(self) -> None:
        """Take note that the load may have changed."""
        self._busy.note(self._core.load[0], time.monotonic())

    def on_answer(self, request: Request, peer: tuple[str, int], came_s: float, status: int | None) -> None:
        """An invocation was answered; all else that a cluster is asked is no work of it."""
        function = _invoked(request)
        if function is None:
            return
        if status in _REFUSED:
            self._refused += 1
        elif status is not None:
            self._completed += 1
        row = {"instance": self._config.name, "service": function, "proto": "tcp", "src": peer[0], "src_port": peer[1]}
        seen = {"dst": str(self._config.address), "dst_port": self._config.port, "first_s": came_s, "last_s": came_s}
        self._records.write("affinity", {**row, **seen})

    def on_delivery(self, delivery: Delivery) -> None:
        """A delivery is over."""
        where = {"cluster": self._config.name, "cluster_site": self._config.site}
        self._records.write("deliveries", {**delivery.row(), **where})

    def _sample(self) -> None:
        now_s = time.monotonic()
        self._write(now_s)
        self._records.flush()
        self._timer = asyncio.get_running_loop().call_later(_SAMPLE_EVERY_S, self._sample)

    def _write(self, now_s: float) -> None:
        busy, waiting, in_flight = self._core.load
        self._records.write(
            "instances",
            {
                "time_s": now_s,
                "instance": self._config.name,
                "service": SERVICE,
                "site": self._config.site,
                "workers": self._config.slots,
                "busy_workers": busy,
                "queue_length": waiting,
                "sessions": in_flight,
                "utilisation": self._busy.take(now_s),
                "completed": self._completed,
                "refused": self._refused,
            },
        )


def _invoked(request: Request) -> str | None:
    """Return the function that a request invokes; None if it does not."""
    try:
        route = routes.route(request.method, request.path)
    except ApiError:
        return None
    return route.name if route.operation is Operation.INVOKE else None
