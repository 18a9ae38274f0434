"""What a D-Router notices to have gone, or to be back: sites that answer no probes, bindings that nobody refreshes.

Pure. Looks at paths and bindings and says what changed since it last looked; which instances take new flows follows
from the same facts at once, here they are reported for the record and for what hangs on the change. Section 4.1 of the
Dyncast architecture leaves detection open: a path is lost when more than `path_state.MOST_UNANSWERED` probes in a row
had no answer. A control process is silent when a probe came back from its closed port: the path is alive, and what is
bound goes on; its site takes new flows until its metrics expire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from testbed.dyncast.events import Noticed
from testbed.dyncast.monitoring.binding_table import Binding, BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.net.addresses import Address


class Liveness:
    """The changes among `paths` and `bindings`, each reported once."""

    def __init__(self, bindings: BindingTable, paths: Mapping[str, PathState]) -> None:
        self._bindings = bindings
        self._paths = paths
        self._lost: set[str] = set()
        self._silent: set[str] = set()
        self._expired: dict[tuple[Address, Address], Binding] = {}
        self._next_expiry_s = -math.inf  # none before that, however many bindings are refreshed meanwhile

    def next_timer_s(self) -> float:
        """Return when the next binding may have expired; that paths changed is seen elsewhere."""
        return self._next_expiry_s

    def changes(self, now_s: float) -> list[Noticed]:
        """Return what changed since last asked."""
        return [*self._path_changes(now_s), *self._expiries(now_s)]

    def _path_changes(self, now_s: float) -> list[Noticed]:
        lost = {path.site for path in self._paths.values() if not path.is_reachable}
        gone, back = sorted(lost - self._lost), sorted(self._lost - lost)
        self._lost = lost
        return [
            *(Noticed(now_s, "path_lost", site) for site in gone),
            *(Noticed(now_s, "path_back", site) for site in back),
            *self._silences(now_s),
        ]

    def _silences(self, now_s: float) -> list[Noticed]:
        silent = {path.site for path in self._paths.values() if path.is_silent}
        begun, ended = sorted(silent - self._silent), sorted(self._silent - silent)
        self._silent = silent
        return [
            *(Noticed(now_s, "control_silent", site) for site in begun),
            *(Noticed(now_s, "control_back", site) for site in ended),
        ]

    def _expiries(self, now_s: float) -> list[Noticed]:
        """A binding that a report refreshed is there again by that report; nothing more is said of it."""
        if now_s < self._next_expiry_s:
            return []
        lifetime_s = self._bindings.lifetime_s
        expired = {
            (binding.d_sid, binding.d_bid): binding
            for binding in self._bindings.all()
            if now_s - binding.received_s > lifetime_s
        }
        alive = [binding.received_s for binding in self._bindings.all() if now_s - binding.received_s <= lifetime_s]
        self._next_expiry_s = min(alive, default=now_s) + lifetime_s
        new = [binding for key, binding in expired.items() if key not in self._expired]
        self._expired = expired
        return [Noticed(now_s, "expired", binding.site, binding.d_sid, binding.d_bid) for binding in new]
