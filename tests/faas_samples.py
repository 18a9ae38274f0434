"""A cluster whose containers are played by the test, and requests to it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from random import Random
from typing import Any

from testbed.faas.actions.action import BLACKBOX, NODE, PYTHON
from testbed.faas.activations.outcome import Failure, Reply
from testbed.faas.api.admission import Key
from testbed.faas.api.messages import Answer, Request
from testbed.faas.cluster import Cluster
from testbed.faas.limits import ClusterLimits
from testbed.faas.orders import Initialize, Order, Respond, Run, StartContainer, StopContainer
from testbed.faas.pool.pool import PoolSettings
from testbed.faas.settings import ClusterSettings

KEY = Key("me", "secret")
AUTHORIZATION = f"Basic {base64.b64encode(str(KEY).encode()).decode()}"
ACTIONS = "/api/v1/namespaces/_/actions"
ACTIVATIONS = "/api/v1/namespaces/_/activations"
ECHO = "def main(args): return args"


def archive(*names: str, content: bytes = b"def main(args): return args") -> bytes:
    """A zip archive with these entries."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            opened.writestr(name, content)
    return octets.getvalue()


def base64_of(octets: bytes) -> str:
    """Octets as a request has them."""
    return base64.b64encode(octets).decode()


class PlayedCluster:
    """A cluster at a time that the test sets; its orders are kept until they are taken, its answers by request."""

    def __init__(self, *, limits: ClusterLimits = ClusterLimits(), **pool: Any) -> None:  # noqa: B008  frozen
        settings = ClusterSettings(
            KEY,
            "http://here",
            (PYTHON, NODE, BLACKBOX),
            layers=frozenset({"pillow"}),
            pool=PoolSettings(**pool),
            limits=limits,
        )
        self.core = Cluster(settings, epoch_s=1_000_000_000.0, rng=Random(7))
        self.now_s = 0.0
        self.answers: dict[int, Answer] = {}
        self.orders: list[Order] = []
        self._number = 0

    def ask(
        self, method: str, path: str, body: Any = None, *, authorization: str | None = AUTHORIZATION, **query: str
    ) -> int:
        """Send a request; return its number."""
        self._number += 1
        octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.core.request(self._number, Request(method, path, query, authorization, octets, "t-1"), self.now_s)
        self.collect()
        return self._number

    def answer(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Send a request that is answered at once."""
        return self.answers[self.ask(method, path, body, **more)]

    def create(self, name: str = "echo", **more: Any) -> Answer:
        """Create an action, or change it."""
        return self.answer(
            "PUT", f"{ACTIONS}/{name}", {"exec": {"kind": PYTHON, "code": ECHO}, **more}, overwrite="true"
        )

    def invoke(self, name: str = "echo", parameters: Mapping[str, Any] | None = None, **query: str) -> int:
        """Invoke it, and wait for the result unless the query says otherwise."""
        return self.ask(
            "POST", f"{ACTIONS}/{name}", parameters or {}, **{"blocking": "true", "result": "true", **query}
        )

    def collect(self) -> None:
        """Take the orders of the cluster."""
        for order in self.core.take_orders():
            if isinstance(order, Respond):
                assert order.request not in self.answers, "a request is answered once"
                self.answers[order.request] = order.answer
            else:
                self.orders.append(order)

    def take(self, kind: type[Order]) -> list[Any]:
        """Return the orders of a kind that were not taken yet."""
        found = [order for order in self.orders if isinstance(order, kind)]
        self.orders = [order for order in self.orders if not isinstance(order, kind)]
        return found

    def take_all(self) -> list[Order]:
        """Return the orders that were not taken yet."""
        orders, self.orders = self.orders, []
        return orders

    def started(self, container: int) -> None:
        """A container reports that it started."""
        self.core.on_started(container, self.now_s)
        self.collect()

    def initialized(self, container: int, status: int = 200, body: bytes = b"{}") -> None:
        """A container answers to /init."""
        self.core.on_initialized(container, Reply(status, body), (), self.now_s)
        self.collect()

    def ran(self, container: int, result: Any = None, *, status: int = 200, logs: tuple[str, ...] = ()) -> None:
        """A container answers to /run."""
        body = result if isinstance(result, bytes) else json.dumps(result or {}).encode()
        self.core.on_ran(container, Reply(status, body), logs, self.now_s)
        self.collect()

    def ended(self, container: int, failure: Failure = Failure.EXITED, logs: tuple[str, ...] = ()) -> None:
        """A container reports its end."""
        self.core.on_ended(container, failure, "", logs, self.now_s)
        self.collect()

    def pass_s(self, seconds: float) -> None:
        """Let time pass, with all timers on the way."""
        until_s = self.now_s + seconds
        while (due_s := self.core.next_timer_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.core.on_timer(self.now_s)
            self.collect()
        self.now_s = until_s

    def bring_up(self, name: str = "echo") -> int:
        """Invoke an action on a new container, up to its first run; return the container."""
        self.invoke(name)
        (start,) = self.take(StartContainer)
        self.started(start.container)
        self.initialized(start.container)
        self.take(Initialize)
        self.take(Run)
        self.ran(start.container)
        return int(start.container)

    @property
    def state(self) -> dict[str, Any]:
        """What the cluster says of itself."""
        return self.core.state()


__all__ = ["ACTIONS", "ACTIVATIONS", "PlayedCluster", "StopContainer", "archive", "base64_of"]
