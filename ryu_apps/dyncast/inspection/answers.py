"""The answers of a control process to inspection: pages of sections, and the reset of its binding table.

Between the requests of docs/inspect.md and the D-Router. Knows no socket and no OpenFlow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ryu_apps.dyncast.inspection.socket_server import RequestError
from ryu_apps.openflow.framework import hub
from ryu_apps.openflow.select_groups import GroupError
from testbed.dyncast.actions import Action
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.nodes import inspection
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.linux.ovs_conntrack import ConntrackError

_SLOTS = 200  # of the affinity table, ended at a time

Perform = Callable[[Sequence[Action]], None]
Confirm = Callable[[], bool]


class Inspection:
    """Answers requests about one D-Router or Dispatcher.

    `perform` carries out what ending flows takes; `confirm` waits until the switch did, and returns whether it did.
    """

    def __init__(
        self,
        d_router: DRouter | Dispatcher,
        messages: Callable[[], list[dict[str, object]]],
        perform: Perform,
        confirm: Confirm,
    ) -> None:
        self._d_router = d_router
        self._messages = messages
        self._perform = perform
        self._confirm = confirm

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        """Return the answer to a request. Raises RequestError."""
        unknown = sorted(request.keys() - {"section", "start", "reset", "service"})
        if unknown:
            raise RequestError(f"unknown key {unknown[0]!r}")
        if request.get("reset"):
            return self._reset(request.get("service"))
        start = request.get("start", 0)
        if not isinstance(start, int) or start < 0:
            raise RequestError("start must be an integer >= 0")
        now_s = time.monotonic()
        if request.get("section") == "counters":
            return _document(self._messages(), None, now_s)
        rows, following = inspection.page(self._d_router, str(request.get("section")), start, now_s)
        return _document(rows, following, now_s)

    def _reset(self, name: str | None) -> Mapping[str, object]:
        before = self._counted()
        services = self._services(name)
        start: int | None = 0
        while start is not None:
            actions, start = self._d_router.reset_flows(services, start, _SLOTS)
            try:
                self._perform(actions)
            except (ConntrackError, GroupError) as error:
                raise RequestError(f"not all was reset: {error}") from error
            hub.sleep(0)  # packets come first
        if not self._confirm():
            raise RequestError("bindings were ended, but the switch has not confirmed it")
        return {"reset": self._counted() - before, "services": [service.name for service in services]}

    def _services(self, name: str | None) -> list[Service]:
        offered = dict.fromkeys(self._d_router.services.values())
        chosen = [service for service in offered if name in (None, service.name)]
        if not chosen:
            raise RequestError(f"no service {name!r}; there are: {', '.join(service.name for service in offered)}")
        return chosen

    def _counted(self) -> int:
        return self._d_router.counters["bindings_reset"]


def _document(rows: Iterable[Mapping[str, object]], following: int | None, now_s: float) -> Mapping[str, object]:
    return {"time_s": now_s, "rows": list(rows), "following": following}
