"""A cluster client as a process: the core, its frontend and its calls to others, joined.

Owns the one timer, which site an address is of, and the rows: of each decision on a request, and of each order.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from ipaddress import ip_address
from random import Random
from typing import Any

import aiohttp

from testbed.agents.cluster_client import alto_lists, catalogue
from testbed.agents.cluster_client.catalogue import Catalogue
from testbed.agents.cluster_client.cluster_calls import CallError, Calls
from testbed.agents.cluster_client.config import ClusterClientConfig
from testbed.agents.cluster_client.frontend import Frontend
from testbed.agents.cluster_client.truth import Truth
from testbed.agents.host.addresses import bound_at, url_of
from testbed.agents.http.tls import CannotTrust, client_context
from testbed.faas.cluster_client.actions import Action, AskClusters, Deliver, Redirect, Refuse, Remove
from testbed.faas.cluster_client.client import ClusterClient
from testbed.faas.placement import policies
from testbed.records import control_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import announce_ready
from testbed.runtime.message_errors import MessageErrors

_END_WITHIN_S = 1.0
_CANCEL_AGAIN_S = 0.1
_WRITTEN_WITHIN_S = 1.0
_REPOSITORY_S = 30.0


class ClusterClientProcess:
    """One cluster client, from `begin` to `close`. It wants a running loop."""

    def __init__(self, config: ClusterClientConfig, known: Catalogue, calls: Calls, records: RecordWriter) -> None:
        self._config, self._known, self._calls, self._records = config, known, calls, records
        self._names = known.names()
        truth_dir = config.truth_dir if config.policy == policies.ORACLE else None
        self._truth = None if truth_dir is None else Truth(truth_dir, config.clusters, self._names)
        self._loop = asyncio.get_running_loop()
        self._core = ClusterClient(
            known.functions,
            policies.create(config.policy, **config.policy_parameters),
            Random(config.seed),
            config.settings,
            config.held,
            time.monotonic(),
            config.announced_after_s,
        )
        self.counters: Counter[str] = Counter()
        self._errors = MessageErrors(self.counters)
        self.frontend = Frontend(self, self.counters)
        self._addresses: dict[str, str] = {}  # of the last user of a site
        self._users: dict[int, tuple[str, str]] = {}  # address and function of requests that have no answer
        self._calls_under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Refuse what waits, and end all calls."""
        self._core.close(time.monotonic())
        self._perform()
        for timer in (self._timer, self._writing):
            if timer is not None:
                timer.cancel()
        while self._calls_under_way:  # one that has its answer at this moment takes no notice (`asyncio.wait_for`)
            for call in self._calls_under_way:
                call.cancel()
            await asyncio.wait(self._calls_under_way, timeout=_CANCEL_AGAIN_S)
        await self.frontend.server.shutdown(_END_WITHIN_S)
        self._write_counts()

    # Users --------------------------------------------------------------------------------------------------------

    def on_request(self, request: int, function: str, address: str) -> None:
        """A user asks for a function."""
        site = self._site(address)
        self._addresses[site] = address
        self._users[request] = address, function
        self._see([site])
        self._core.on_request(request, function, site, time.monotonic())
        self._perform()

    def on_client_gone(self, request: int) -> None:
        """It waits no longer."""
        self._users.pop(request, None)
        self.counters["users_gone"] += 1
        self._core.on_client_gone(request)

    def state(self) -> Mapping[str, Any]:
        """What is where."""
        return self._core.state()

    def _site(self, address: str) -> str:
        parsed = ip_address(address)
        found = (site for site, networks in self._config.sites.items() if any(parsed in one for one in networks))
        return next(found, address)

    # Actions ------------------------------------------------------------------------------------------------------

    def _perform(self) -> None:
        while actions := self._core.take_actions():
            for action in actions:
                self._carry_out(action)
        self._set_timer()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Redirect():
                self._redirect(action)
            case Refuse():
                self._refuse(action)
            case AskClusters(site) if self._truth is not None:
                self._see([site])
            case AskClusters(site):
                self._begin(self._ask(site))
            case Deliver() | Remove():
                self._begin(self._order(action))

    def _begin(self, call: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(call)
        self._calls_under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls_under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):  # a fault of ours: the core gives the call up when it is due
            self._errors.note("call", error)

    def _see(self, sites: Iterable[str]) -> None:
        """Policy `oracle`: take in how all is at this moment, for users at some sites."""
        if self._truth is None:
            return
        for site in sites:
            now_s = time.monotonic()
            try:
                self._core.on_clusters(site, self._truth.views(site, now_s), now_s)
            except alto_lists.ListError as error:
                self._core.on_no_clusters(site, str(error), now_s)

    async def _ask(self, site: str) -> None:
        try:
            body = await self._calls.clusters(self._addresses.get(site, site))
            views = alto_lists.views(body, self._config.clusters, self._names, time.monotonic())
        except (CallError, alto_lists.ListError) as error:
            self.counters["lists_failed"] += 1
            self._core.on_no_clusters(site, str(error), time.monotonic())
        else:
            self.counters["lists"] += 1
            self._core.on_clusters(site, views, time.monotonic())
        self._perform()

    async def _order(self, action: Deliver | Remove) -> None:
        began_s, place = time.monotonic(), self._config.clusters[action.cluster]
        failure, said = "", {}
        try:
            if isinstance(action, Deliver):
                said = dict(await self._calls.deliver(place, self._known.digests[action.function]))
            else:
                await self._calls.remove(place, action.function)
        except CallError as error:
            failure = str(error)
        now_s = time.monotonic()
        self._write_order(action, began_s, now_s, failure, said)
        self._report(action, failure, now_s)
        self._perform()

    def _report(self, action: Deliver | Remove, failure: str, now_s: float) -> None:
        core = self._core
        self._see(self._addresses)
        if isinstance(action, Deliver):
            if failure:
                core.on_not_delivered(action.order, failure, now_s)
            else:
                core.on_delivered(action.order, now_s)
        elif failure:
            core.on_not_removed(action.order, failure, now_s)
        else:
            core.on_removed(action.order, now_s)

    # Time ---------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._core.next_timer_s()
        self._timer = None if due_s is None else self._loop.call_at(due_s, self._on_timer, due_s)

    def _on_timer(self, due_s: float) -> None:
        self._see(self._addresses)
        self._core.on_timer(max(due_s, time.monotonic()))
        self._perform()

    # Answers and rows ---------------------------------------------------------------------------------------------

    def _redirect(self, action: Redirect) -> None:
        steering = self._config.functions[action.function].steering
        if action.is_steered and steering is not None:
            self.frontend.redirect(action.request, steering.url, steering.kept_s)
            waited_ms = 1e3 * action.waited_s
            self._write_decision(
                action.request, time.monotonic(), site=action.site, outcome="steered", waited_ms=waited_ms
            )
        else:
            self._redirect_to_cluster(action)

    def _redirect_to_cluster(self, action: Redirect) -> None:
        chosen, now_s = action.chosen, time.monotonic()
        self.frontend.redirect(action.request, self._config.clusters[chosen.cluster].url)
        self._write_decision(
            action.request,
            now_s,
            site=action.site,
            outcome="redirected",
            cluster=chosen.cluster,
            waited_ms=1e3 * action.waited_s,
            age_s=None if chosen.known_s is None else now_s - chosen.known_s,
            delivery_ms=chosen.time.delivery_ms,
            start_ms=chosen.time.start_ms,
            path_ms=chosen.time.path_ms,
            wait_ms=chosen.time.wait_ms,
            run_ms=chosen.time.run_ms,
        )

    def _refuse(self, action: Refuse) -> None:
        self.frontend.refuse(action)
        self._write_decision(action.request, time.monotonic(), outcome=action.reason.name.lower(), reason=action.detail)

    def _write_decision(self, request: int, now_s: float, **columns: Any) -> None:
        address, function = self._users.pop(request, ("", ""))
        row = {"time_s": now_s, "node": self._config.name, "function": function, "src": address}
        self._records.write("placements", {**row, **columns})
        self._write_soon()

    def _write_order(
        self, action: Deliver | Remove, began_s: float, now_s: float, failure: str, said: Mapping[str, Any]
    ) -> None:
        row = {
            "time_s": began_s,
            "node": self._config.name,
            "function": action.function,
            "cluster": action.cluster,
            "order": "deliver" if isinstance(action, Deliver) else "remove",
            "ended_s": now_s,
            "outcome": "failed" if failure else "done",
            "reason": failure,
            "delivery_id": str(said.get("id", "")),
        }
        self._records.write("orders", row)
        self._write_soon()

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = self._loop.call_later(_WRITTEN_WITHIN_S, self._write_counts)

    def _write_counts(self) -> None:
        self._writing = None
        for row in control_rows.local(time.monotonic(), self._config.name, self.counters):
            self._records.write("control", row)
        self._records.flush()


async def serve(config: ClusterClientConfig, records: RecordWriter, announce: Callable[[str], None]) -> None:
    """Serve a cluster client until this is cancelled; `announce` takes its URL. Raises ConfigError, ProcessFailure."""
    try:
        trusted = client_context(config.authority)
    except CannotTrust as error:
        raise ConfigError(f"authority: {error}") from error
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=trusted), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        known = await catalogue.read(session, config.repository, config.functions, _REPOSITORY_S)
        calls = Calls(session, config.alto_client, config.repository)
        with bound_at(config.address, config.port) as listening:
            process = ClusterClientProcess(config, known, calls, records)
            listener = await asyncio.get_running_loop().create_server(
                process.frontend.server, sock=listening, backlog=512
            )
            try:
                announce(url_of(listening))
                await asyncio.Event().wait()
            finally:
                listener.close()
                await asyncio.shield(process.close())


async def serve_in_run(config: ClusterClientConfig, records: RecordWriter) -> None:
    """Serve a cluster client of a run until this is cancelled. Raises ConfigError or ProcessFailure."""
    await serve(config, records, lambda _url: announce_ready(config))
