"""An edge computing cluster: the door of this core. Requests and reports of containers come in, orders go out.

Owns activations from their admission to their record, and who waits for which. Containers are the pool's business;
sockets, processes and clocks are the adapter's. `now_s` never goes back; `epoch_s` is the Unix time at which it was 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from testbed.faas.activations import outcome as outcomes
from testbed.faas.activations.activation import Activation, Start
from testbed.faas.activations.outcome import Failure, Reply, Status
from testbed.faas.api import routes
from testbed.faas.api.admission import Admission
from testbed.faas.api.messages import Answer, Request, json_object
from testbed.faas.api.routes import Operation
from testbed.faas.delivery.deliveries import Deliveries
from testbed.faas.errors import ApiError
from testbed.faas.function_load import FunctionLoad, InvocationCounts, load_of
from testbed.faas.functions import OPERATIONS, Functions
from testbed.faas.operations import Operations
from testbed.faas.orders import Order, Respond
from testbed.faas.pool.pool import Pool, QueueFullError
from testbed.faas.pool.usage import RunTimes, Usage, usage_of
from testbed.faas.pool.work import Finished, Work
from testbed.faas.settings import ClusterSettings

_ID_BITS = 128
_ACTIVATION_FIELD = "X-Openwhisk-Activation-Id"
_HTTP = {Status.SUCCESS: 200, Status.APPLICATION_ERROR: 502, Status.DEVELOPER_ERROR: 502, Status.PLATFORM_ERROR: 500}


@dataclass(frozen=True)
class _Waiter:
    """A request that waits for an activation."""

    request: int
    is_result_only: bool
    until_s: float


class Cluster:
    """One cluster. After each call that takes `now_s`, `take_orders` has what is to be done."""

    def __init__(self, settings: ClusterSettings, epoch_s: float, rng: Random) -> None:
        self.settings = settings
        self._epoch_s = epoch_s
        self._rng = rng
        self._orders: list[Order] = []
        self._waiters: dict[str, _Waiter] = {}
        self._in_flight: set[str] = set()
        self._counts = InvocationCounts()
        self._retired: list[str] = []
        self._run_times = RunTimes()
        self._admission = Admission(settings.key, settings.limits)
        self._pool = Pool(settings.pool, self._init_document, self._run_document)
        self._operations = Operations(settings, self.state, self._retired.append)
        self._functions = Functions(settings, self._operations, self._pool.layers_in_use, self._new_id, self._ms)

    # Requests -----------------------------------------------------------------------------------------------------

    def most_body_bytes(self, method: str) -> int:
        """Return how long the body of a request may be; a longer one is answered with `too_large`."""
        limits = self.settings.limits
        return limits.code_bytes * 4 // 3 + limits.payload_bytes if method == "PUT" else limits.payload_bytes

    def too_large(self, method: str) -> Answer:
        """Return the answer to a request whose body is too long."""
        return _refusal(ApiError(413, f"a body of {method} may have {self.most_body_bytes(method)} bytes"), "")

    def begin(self, now_s: float) -> None:
        """Start the containers that are to be prewarmed."""
        self._pool.begin(now_s)
        self._settle(now_s)

    def request(self, number: int, request: Request, now_s: float) -> None:
        """Take in a request; `Respond` with its number is ordered now or later, once."""
        try:
            answer = self._answer(number, request, now_s)
        except ApiError as error:
            answer = _refusal(error, request.transaction_id)
        if answer is not None:
            self._orders.append(Respond(number, answer))
        self._settle(now_s)

    def on_client_gone(self, number: int) -> None:
        """A client did not wait for its answer; its activation or delivery goes on."""
        self._functions.on_client_gone(number)
        for activation_id, waiter in list(self._waiters.items()):
            if waiter.request == number:
                del self._waiters[activation_id]

    # Containers ---------------------------------------------------------------------------------------------------

    def on_started(self, container: int, now_s: float) -> None:
        """A container's runtime waits for code."""
        self._pool.on_started(container, now_s)
        self._settle(now_s)

    def on_initialized(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /init."""
        self._pool.on_initialized(container, reply, logs, now_s)
        self._settle(now_s)

    def on_ran(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /run."""
        self._pool.on_ran(container, outcomes.of_run(reply, self.settings.limits.result_bytes), logs, now_s)
        self._settle(now_s)

    def on_ended(self, container: int, failure: Failure, detail: str, logs: tuple[str, ...], now_s: float) -> None:
        """A container is no more, whether it was to be stopped or not."""
        self._pool.on_ended(container, failure, detail, logs, now_s)
        self._settle(now_s)

    # Deliveries ---------------------------------------------------------------------------------------------------

    @property
    def deliveries(self) -> Deliveries:
        """The deliveries of functions, to which the adapter reports."""
        return self._functions.deliveries

    def on_code(self, delivery_id: str, code: bytes, now_s: float) -> None:
        """The code of a delivered function was read."""
        self._functions.on_code(delivery_id, code, now_s)
        self._settle(now_s)

    # Time ---------------------------------------------------------------------------------------------------------

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        self._pool.on_timer(now_s)
        self._functions.on_timer(now_s)
        for activation_id, waiter in list(self._waiters.items()):
            if waiter.until_s <= now_s:
                del self._waiters[activation_id]
                self._orders.append(Respond(waiter.request, _accepted(activation_id)))
        self._settle(now_s)

    def close(self, now_s: float) -> None:
        """Take no more activations, stop all containers and deliveries."""
        self._pool.close(now_s)
        self.deliveries.close(now_s)
        self._settle(now_s)

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next; None: not until something happens."""
        due_s: list[float | None] = [waiter.until_s for waiter in self._waiters.values()]
        due_s += [self._pool.next_timer_s(), self._functions.next_timer_s()]
        return min((item for item in due_s if item is not None), default=None)

    def take_orders(self) -> list[Order]:
        """Return the orders since the last call."""
        orders, self._orders = [*self._orders, *self._functions.take_orders()], []
        return orders

    @property
    def waiting(self) -> int:
        """How many activations wait for a container."""
        return self._pool.waiting

    @property
    def load(self) -> tuple[int, int, int]:
        """How many containers work, how many activations wait for one, and how many are in flight."""
        return self._pool.busy, self._pool.waiting, len(self._in_flight)

    def usage(self) -> Usage:
        """Return what of its containers is in use, and how long runs take."""
        return usage_of(self._pool.containers(), self._run_times.means_s)

    def function_load(self, name: str) -> FunctionLoad | None:
        """Return what the cluster is to users of a function; None if it neither holds it nor has any of it to do."""
        action = self._operations.actions.find(name)
        if action is None and not self._counts.in_flight(name):
            return None
        memory_mb = None if action is None else action.limits.memory_mb
        return load_of(self.settings.pool, memory_mb, self.load, self._counts.begun, self._run_times.means_s.get(name))

    def state(self) -> dict[str, Any]:
        """Return what the cluster has and does, for whoever places functions."""
        pool = self.settings.pool
        return {
            "containers": self._pool.count(),
            "slots": pool.slots,
            "memory_mb": pool.memory_mb,
            "memory_used_mb": self._pool.memory_mb,
            "waiting": self._pool.waiting,
            "busy": self._pool.busy,
            "in_flight": len(self._in_flight),
            "starts": {start.value: count for start, count in self._pool.starts.items()},
            "actions": [action.name for action in self._operations.actions.all()],
            **self._functions.state(),
            "held": [container.shown() for container in self._pool.containers()],
        }

    # Operations ---------------------------------------------------------------------------------------------------

    def _answer(self, number: int, request: Request, now_s: float) -> Answer | None:
        route = routes.route(request.method, request.path)
        if route.operation is Operation.DESCRIBE:
            return Answer(200, self._operations.description())
        self._admission.check_key(request.authorization)
        if route.namespace not in ("", "_", self.settings.namespace):
            raise ApiError(403, f"this key is of the namespace {self.settings.namespace!r}, and of no other")
        if route.operation is Operation.INVOKE:
            return self._invoke(number, route.name, request, now_s)
        if route.operation in OPERATIONS:
            return self._functions.answer(number, route, request, now_s)
        answer = self._operations.answer(route, request, self._ms(now_s))
        if route.operation in (Operation.PUT_ACTION, Operation.DELETE_ACTION):
            self._functions.on_action(route.name)
        return answer

    def _invoke(self, number: int, name: str, request: Request, now_s: float) -> Answer | None:
        action = self._operations.actions.get(name)
        parameters = json_object(request.body)
        is_blocking = routes.truth(request.query, "blocking")
        is_result_only = routes.truth(request.query, "result")
        wait_s = routes.wait_s(request.query, self.settings.blocking_s)
        self._admission.admit(len(self._in_flight), now_s)
        activation_id = self._new_id()
        self._in_flight.add(activation_id)
        self._counts.begin(name)
        if is_blocking:  # before the pool has it: a pool may be done with it at once
            self._waiters[activation_id] = _Waiter(number, is_result_only, now_s + wait_s)
        work = Work(activation_id, action, parameters, now_s, request.transaction_id)
        try:
            self._pool.submit(work, now_s)
        except QueueFullError as error:
            self._in_flight.discard(activation_id)
            self._counts.end(name)
            self._waiters.pop(activation_id, None)
            raise ApiError(503, str(error)) from error
        return None if is_blocking else _accepted(activation_id)

    # What goes out ------------------------------------------------------------------------------------------------

    def _settle(self, now_s: float) -> None:
        for name in self._retired:
            self._pool.retire(name, now_s)
            self._run_times.forget(name)
        self._retired.clear()
        self._orders += self._pool.take_orders()
        for finished in self._pool.take_finished():
            self._record(finished)

    def _record(self, finished: Finished) -> None:
        self._run_times.note(finished)
        activation = self._activation_of(finished)
        self._in_flight.discard(activation.activation_id)
        self._counts.end(finished.work.action.name)
        self._operations.activations.put(activation)
        waiter = self._waiters.pop(activation.activation_id, None)
        if waiter is not None:
            self._orders.append(Respond(waiter.request, _answered(activation, is_result_only=waiter.is_result_only)))

    def _activation_of(self, finished: Finished) -> Activation:
        work = finished.work
        began_s = finished.ended_s if work.began_s is None else work.began_s
        return Activation(
            activation_id=work.activation_id,
            action=work.action,
            outcome=finished.outcome,
            start=work.start,
            began_ms=self._ms(began_s),
            ended_ms=self._ms(finished.ended_s),
            wait_ms=round(1000 * (began_s - work.queued_s)),
            start_ms=_start_ms(work, began_s),
            init_ms=None if work.init_s is None else round(1000 * work.init_s),
            has_timed_out=work.has_timed_out,
            logs=finished.logs,
        )

    def _init_document(self, work: Work) -> Mapping[str, Any]:
        action, code = work.action, work.action.code
        environment = {
            "__OW_API_HOST": self.settings.api_host,
            "__OW_NAMESPACE": action.namespace,
            "__OW_ACTION_NAME": f"/{action.path}",
            "__OW_ACTION_VERSION": action.version,
            **action.environment,
        }
        value = {"name": action.name, "main": code.main or "main", "code": code.text, "binary": code.is_binary}
        return {"value": {**value, "env": environment}}

    def _run_document(self, work: Work, deadline_s: float) -> Mapping[str, Any]:
        action = work.action
        return {
            "value": action.payload(work.parameters),
            "namespace": action.namespace,
            "action_name": f"/{action.path}",
            "action_version": action.version,
            "api_host": self.settings.api_host,
            "api_key": str(self.settings.key) if action.has_key else "",
            "activation_id": work.activation_id,
            "transaction_id": work.transaction_id,
            "deadline": str(self._ms(deadline_s)),
        }

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(_ID_BITS):032x}"

    def _ms(self, now_s: float) -> int:
        return round(1000 * (self._epoch_s + now_s))


def _start_ms(work: Work, began_s: float) -> int | None:
    """Return how long an activation waited for the start of its container; None if there was one already."""
    if work.bound_s is None or work.start is not Start.COLD:
        return None
    return round(1000 * (began_s - work.bound_s))


def _refusal(error: ApiError, transaction_id: str) -> Answer:
    fields = {"WWW-Authenticate": 'Basic realm="cluster"'} if error.status == 401 else {}
    return Answer(error.status, {"error": str(error), "code": transaction_id}, fields)


def _accepted(activation_id: str) -> Answer:
    return Answer(202, {"activationId": activation_id}, {_ACTIVATION_FIELD: activation_id})


def _answered(activation: Activation, *, is_result_only: bool) -> Answer:
    """Return the answer to a blocking request, whose activation is over."""
    document = activation.outcome.result if is_result_only else activation.document()
    return Answer(_HTTP[activation.outcome.status], document, {_ACTIVATION_FIELD: activation.activation_id})
