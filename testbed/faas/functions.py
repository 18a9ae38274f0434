"""Functions that come by delivery: requests for them, and the actions that they become.

Joins deliveries (`delivery`) to the actions of the cluster. Knows nothing of sockets and files.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from testbed.faas.actions import documents
from testbed.faas.api import routes
from testbed.faas.api.messages import Answer, Request, json_object
from testbed.faas.api.routes import Operation, Route
from testbed.faas.delivery import delivery as deliveries
from testbed.faas.delivery.deliveries import Deliveries, Offer
from testbed.faas.delivery.delivery import Delivery
from testbed.faas.delivery.manifest import Manifest
from testbed.faas.errors import ApiError, malformed
from testbed.faas.limits import action_limits
from testbed.faas.operations import Operations
from testbed.faas.orders import Order, Respond
from testbed.faas.settings import ClusterSettings

PATH = "/api/v1/cluster/deliveries"
OPERATIONS = (Operation.DELIVER, Operation.DELIVERIES, Operation.DELIVERY, Operation.CANCEL_DELIVERY)


class _Waiting(NamedTuple):
    """A request that waits for the end of a delivery; `until_s` None: no longer."""

    delivery: str
    until_s: float | None


class Functions:
    """The delivered functions of a cluster. `layers_in_use`: of containers; `new_id` makes up the id of a delivery."""

    def __init__(
        self,
        settings: ClusterSettings,
        operations: Operations,
        layers_in_use: Callable[[], Collection[str]],
        new_id: Callable[[], str],
        ms: Callable[[float], int],
    ) -> None:
        self._settings, self._operations = settings, operations
        self._new_id, self._ms = new_id, ms
        self.deliveries = Deliveries(settings.delivery, Offer(self._check, layers_in_use))
        self._waiting: dict[int, _Waiting] = {}  # requests for the end of a delivery

    def answer(self, number: int, route: Route, request: Request, now_s: float) -> Answer | None:
        """Answer a request about deliveries, or later, where it waits for the end of one. Raises ApiError."""
        if route.operation is Operation.DELIVER:
            delivery = self.deliveries.begin(self._new_id(), *deliveries.asked(json_object(request.body)), now_s)
            return Answer(202, self._shown(delivery), {"Location": f"{PATH}/{delivery.delivery_id}"})
        if route.operation is Operation.DELIVERIES:
            return Answer(200, [self._shown(delivery) for delivery in self.deliveries.all()])
        if route.operation is Operation.CANCEL_DELIVERY:
            return Answer(200, self._shown(self.deliveries.cancel(route.name, now_s)))
        if routes.truth(request.query, "blocking") and not self.deliveries.get(route.name).stage.is_over:
            until_s = now_s + routes.wait_s(request.query, self._settings.blocking_s)
            self._waiting[number] = _Waiting(route.name, until_s)
            return None
        return Answer(200, self._shown(self.deliveries.get(route.name)))

    def on_client_gone(self, number: int) -> None:
        """A client did not wait for the end of a delivery, which goes on."""
        self._waiting.pop(number, None)

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next."""
        due_s = [waiting.until_s for waiting in self._waiting.values()]
        return min((item for item in (*due_s, self.deliveries.next_timer_s()) if item is not None), default=None)

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        self.deliveries.on_timer(now_s)
        for number, waiting in list(self._waiting.items()):
            if waiting.until_s is not None and waiting.until_s <= now_s:
                self._waiting[number] = waiting._replace(until_s=None)

    def take_orders(self) -> list[Order]:
        """Return the orders since the last call, answers to those who waited among them."""
        orders: list[Order] = [*self.deliveries.take_orders()]
        for number, waiting in list(self._waiting.items()):
            if waiting.until_s is None or self.deliveries.is_over(waiting.delivery):
                del self._waiting[number]
                orders.append(Respond(number, self._answer_at_last(waiting.delivery)))
        return orders

    def on_action(self, name: str) -> None:
        """An action was made, changed or deleted by a request to the API."""
        action = self._operations.actions.find(name)
        self.deliveries.on_action(name, () if action is None else action.layers)

    def on_code(self, delivery_id: str, code: bytes, now_s: float) -> None:
        """The code of a delivered function was read: make its action."""
        if self.deliveries.is_creating(delivery_id):
            delivery, problem = self.deliveries.get(delivery_id), ""
            try:
                self._create(delivery, code, now_s)
            except ApiError as error:
                problem = str(error)
            self.deliveries.on_created(delivery_id, problem, now_s)

    def state(self) -> dict[str, Any]:
        """Return what came by delivery, and how much is held, for whoever places functions."""
        return {"functions": dict(self.deliveries.functions), "store": dict(self.deliveries.document())}

    def _answer_at_last(self, delivery_id: str) -> Answer:
        try:
            return Answer(200, self._shown(self.deliveries.get(delivery_id)))
        except ApiError as error:  # over, and no longer kept
            return Answer(error.status, {"error": str(error), "code": ""})

    def _shown(self, delivery: Delivery) -> dict[str, Any]:
        return delivery.document(self.deliveries.come(delivery), self._ms)

    def _create(self, delivery: Delivery, code: bytes, now_s: float) -> None:
        manifest = delivery.manifest
        assert manifest is not None
        document = manifest.action_document(_text(manifest, code), delivery.digest)
        layers = frozenset(layer.full_name for layer in manifest.layers)
        self._operations.create(manifest.name, document, layers, self._ms(now_s))

    def _check(self, manifest: Manifest) -> None:
        """Raise ApiError for a function that this cluster could not run, before its blobs are fetched."""
        if manifest.kind not in self._settings.kinds:
            raise malformed(
                f"kind {manifest.kind[:100]!r} is not run here; there are: {', '.join(self._settings.kinds)}"
            )
        limits = self._settings.limits
        action_limits(manifest.limits, documents.default_limits(limits), limits)


def _text(manifest: Manifest, code: bytes) -> str:
    """Return code as a request to the API has it. Raises ApiError."""
    if manifest.is_binary:
        return base64.b64encode(code).decode("ascii")
    try:
        return code.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("the code is no text in UTF-8, and no archive either: code.binary is false") from error
