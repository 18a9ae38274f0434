"""What changes at an instance while flows come turns every ingress round, near and far: load, death, return."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from testbed.benchmarks.counting.instance import UDP_PORT
from testbed.benchmarks.counting.testbed import CountingTestbed
from testbed.benchmarks.ingress.convergence import (
    BUSY,
    D_SID,
    DELAYS_MS,
    IDLE,
    OVERLOADED,
    STEADY,
    TURNING,
    decisions_of,
    planned,
)
from testbed.benchmarks.instruments.trickle import trickle
from testbed.runtime.polling import wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

FLOWS_PER_S = 50
IN_A_ROW = 20  # decisions that must agree


def test_every_ingress_obeys_a_load_step_a_death_and_a_return(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"interval_s": 0.2})
    d_bids = {item.name: item.d_bid for item in plan.instances}
    client_of = {client.site: client.name for client in plan.clients}

    def all_go_to(instance: str) -> None:
        since_s = time.monotonic()

        def obeyed() -> bool:
            latest = [[made.took for made in decisions_of(tmp_path, site) if made.at_s > since_s] for site in DELAYS_MS]
            return all(took[-IN_A_ROW:] == [d_bids[instance]] * IN_A_ROW for took in latest)

        wait_until(obeyed, 30, f"all new flows to go to {instance}")

    with CountingTestbed(plan, tmp_path) as testbed:
        testbed.set_load(STEADY, BUSY)
        testbed.set_load(TURNING, IDLE)
        with trickle(testbed.network, client_of, D_SID, FLOWS_PER_S, UDP_PORT):
            all_go_to(TURNING)
            testbed.set_load(TURNING, OVERLOADED)
            all_go_to(STEADY)
            testbed.set_load(TURNING, IDLE)
            all_go_to(TURNING)
            testbed.processes.kill(TURNING)
            all_go_to(STEADY)
            testbed.start_instance(TURNING, load=IDLE)
            all_go_to(TURNING)
