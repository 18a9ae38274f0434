"""The actions that a cluster holds, by name."""

from __future__ import annotations

from testbed.faas.actions.action import Action
from testbed.faas.errors import ApiError


class ActionRegister:
    """At most `most` actions; the one that was changed last comes first. Numbers of revisions never come again."""

    def __init__(self, most: int) -> None:
        self._actions: dict[str, Action] = {}
        self._most = most
        self._former_numbers: dict[str, int] = {}

    def find(self, name: str) -> Action | None:
        """Return an action, None if there is none of this name."""
        return self._actions.get(name)

    def get(self, name: str) -> Action:
        """Return an action. Raises ApiError 404."""
        action = self.find(name)
        if action is None:
            raise ApiError(404, f"there is no action {name!r}")
        return action

    def next_number(self, name: str) -> int:
        """Return the number of the next revision: a container must never be taken for one of another code."""
        action = self.find(name)
        return (action.number if action else self._former_numbers.get(name, 0)) + 1

    def put(self, action: Action) -> None:
        """Hold an action in place of any other of its name. Raises ApiError if there are too many."""
        if action.name not in self._actions and len(self._actions) >= self._most:
            raise ApiError(403, f"this cluster holds {self._most} actions, and no more; delete one")
        self._actions.pop(action.name, None)
        self._actions[action.name] = action

    def delete(self, name: str) -> Action:
        """Drop an action, and return it. Raises ApiError 404."""
        action = self.get(name)
        del self._actions[name]
        self._former_numbers[name] = action.number
        if len(self._former_numbers) > 2 * self._most:  # of those that were dropped long ago no container is left
            del self._former_numbers[next(iter(self._former_numbers))]
        return action

    def all(self) -> list[Action]:
        """Return all, the one that was changed last first."""
        return list(reversed(self._actions.values()))
