"""What distinguishes one cluster client from another."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.faas.placement.policies import Margin


@dataclass(frozen=True)
class ClientSettings:
    """The settings of a cluster client; times in seconds.

    `horizon_s`: how long a delivery has to pay. `margin`: by how much another cluster must be better for a move.
    `expected_per_s`: how often a site asks for a function, until its requests were counted for `rate_window_s`.
    `silent_after_s`: a cluster of which nothing was measured for so long may be lost. `refresh_s`: a list that is older
    is asked for again; meanwhile the old one counts. `report_lag_s`: what a list says that a cluster holds may be so
    much older than the list says; only after that is it believed against what this client did itself.
    `list_s`, `delivery_s`, `removal_s`: an answer that is not there by then will not come.
    `wait_s`, `most_waiting`: how long, and how many requests wait for a list or a delivery.
    `pause_s`: after a failure; twice as long after each further one, up to `most_pause_s`. `unused_s`: a function that
    no user was sent to for so long is removed from a cluster; None: it stays. `most_sites`: what is known of more is
    forgotten, longest unused first.
    """

    horizon_s: float = 60.0
    margin: Margin = field(default_factory=Margin)
    expected_per_s: float = 1.0
    rate_window_s: float = 10.0
    silent_after_s: float = 10.0
    refresh_s: float = 1.0
    report_lag_s: float = 0.0
    list_s: float = 5.0
    delivery_s: float = 300.0
    removal_s: float = 30.0
    wait_s: float = 30.0
    most_waiting: int = 1000
    pause_s: float = 1.0
    most_pause_s: float = 60.0
    unused_s: float | None = None
    most_sites: int = 4096

    def pause_after_s(self, failures: int) -> float:
        """Return how long to pause after so many failures in a row, at least one."""
        return min(self.most_pause_s, self.pause_s * 2.0 ** min(failures - 1, 60))
