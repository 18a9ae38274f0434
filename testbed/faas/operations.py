"""The operations of the API that answer at once: all but those that invoke an action.

Owns the registers of actions and activations, and what each operation reads and changes in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from testbed.faas.actions import documents
from testbed.faas.actions.action import Action, Code
from testbed.faas.actions.documents import Offer
from testbed.faas.actions.register import ActionRegister
from testbed.faas.activations.register import ActivationRegister
from testbed.faas.api import routes
from testbed.faas.api.messages import Answer, Request, json_object
from testbed.faas.api.routes import Operation, Route
from testbed.faas.errors import ApiError
from testbed.faas.settings import ClusterSettings

Perform = Callable[[Route, Request, int], Answer]


class Operations:
    """What a cluster answers by itself. `retire`: is called with an action whose containers are of no more use."""

    def __init__(
        self, settings: ClusterSettings, state: Callable[[], Mapping[str, Any]], retire: Callable[[str], None]
    ) -> None:
        self.settings = settings
        self.actions = ActionRegister(settings.limits.actions)
        self.activations = ActivationRegister(settings.limits.activations_kept)
        self._offer = Offer(settings.kinds, settings.layers, settings.limits)
        self._state_now = state
        self._retire = retire
        self._performed: dict[Operation, Perform] = {
            Operation.NAMESPACES: self._namespaces,
            Operation.LIMITS: self._limits,
            Operation.STATE: self._state,
            Operation.NOTHING_THERE: self._nothing_there,
            Operation.ACTIONS: self._list_actions,
            Operation.PUT_ACTION: self._put_action,
            Operation.GET_ACTION: self._get_action,
            Operation.DELETE_ACTION: self._delete_action,
            Operation.ACTIVATIONS: self._list_activations,
            Operation.ACTIVATION: self._activation,
            Operation.LOGS: self._logs,
            Operation.RESULT: self._result,
        }

    def answer(self, route: Route, request: Request, now_ms: int) -> Answer:
        """Perform an operation at a Unix time. Raises ApiError."""
        return self._performed[route.operation](route, request, now_ms)

    def description(self) -> dict[str, Any]:
        """Return what the cluster is, for anybody."""
        limits = self.settings.limits
        return {
            "description": "an edge computing cluster of the Dyncast testbed, with the REST API of Apache OpenWhisk",
            "api_paths": ["/api/v1"],
            "runtimes": {kind.partition(":")[0]: [{"kind": kind}] for kind in self.settings.kinds},
            "limits": {
                "actions_per_minute": limits.per_minute,
                "concurrent_actions": limits.concurrent,
                "min_action_duration": limits.timeout_ms[0],
                "max_action_duration": limits.timeout_ms[1],
                "min_action_memory": limits.memory_mb[0],
                "max_action_memory": limits.memory_mb[1],
                "max_action_logs": limits.logs_mb[1],
            },
        }

    def _namespaces(self, _route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, [self.settings.namespace])

    def _limits(self, _route: Route, _request: Request, _now_ms: int) -> Answer:
        limits = self.settings.limits
        return Answer(200, {"invocationsPerMinute": limits.per_minute, "concurrentInvocations": limits.concurrent})

    def _state(self, _route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, dict(self._state_now()))

    def _nothing_there(self, _route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, [])

    def _list_actions(self, _route: Route, request: Request, _now_ms: int) -> Answer:
        page, found = routes.page(request.query), self.actions.all()
        if page.is_count:
            return Answer(200, {"actions": len(found)})
        return Answer(200, [documents.listed(action) for action in found[page.skip : page.skip + page.limit]])

    def _put_action(self, route: Route, request: Request, now_ms: int) -> Answer:
        name = documents.check_name(route.name)
        former = self.actions.find(name)
        if former is not None and not routes.truth(request.query, "overwrite"):
            raise ApiError(409, f"there is an action {name!r} already; overwrite=true replaces it")
        action = self._put(
            documents.action_of(json_object(request.body), former, self._named(name, now_ms), self._offer)
        )
        return Answer(200, documents.shown(action, with_code=True))

    def create(self, name: str, document: Mapping[str, Any], layers: frozenset[str], now_ms: int) -> None:
        """Make an action that has these layers beside the cluster's, in place of any of its name. Raises ApiError."""
        offer = replace(self._offer, layers=self._offer.layers | layers)
        self._put(documents.action_of(document, None, self._named(name, now_ms), offer))

    def _named(self, name: str, now_ms: int) -> Action:
        """Return what is known of an action before its document is read."""
        limits, number = documents.default_limits(self.settings.limits), self.actions.next_number(name)
        return Action(self.settings.namespace, name, Code(""), limits, number=number, updated_ms=now_ms)

    def _put(self, action: Action) -> Action:
        self.actions.put(action)
        self._retire(action.name)
        return action

    def _get_action(self, route: Route, request: Request, _now_ms: int) -> Answer:
        with_code = routes.truth(request.query, "code", default=True)
        return Answer(200, documents.shown(self.actions.get(route.name), with_code=with_code))

    def _delete_action(self, route: Route, _request: Request, _now_ms: int) -> Answer:
        action = self.actions.delete(route.name)
        self._retire(route.name)
        return Answer(200, documents.shown(action, with_code=False))

    def _list_activations(self, _route: Route, request: Request, _now_ms: int) -> Answer:
        page, query = routes.page(request.query), request.query
        bounds = query.get("name"), routes.integer(query, "since", None), routes.integer(query, "upto", None)
        if page.is_count:
            return Answer(200, {"activations": sum(1 for _ in self.activations.select(*bounds))})
        found = self.activations.page(*bounds, page.skip, page.limit)
        is_whole = routes.truth(query, "docs")
        return Answer(200, [item.document() if is_whole else item.listed() for item in found])

    def _activation(self, route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, self.activations.get(route.name).document())

    def _logs(self, route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, {"logs": list(self.activations.get(route.name).logs)})

    def _result(self, route: Route, _request: Request, _now_ms: int) -> Answer:
        return Answer(200, self.activations.get(route.name).outcome.document())
