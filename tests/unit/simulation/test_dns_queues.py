"""Steering by name in virtual time: the same requests as under D-Routers, answers that last, and what that costs."""

from __future__ import annotations

from testbed.benchmarks.steering.staleness import measure
from testbed.dyncast.nodes.dns_steering import DnsTtl
from testbed.simulation.dns_queues import CLIENTS_PER_INGRESS, DnsQueues
from testbed.simulation.network import FOUR_SITES, Served
from testbed.simulation.steered_queues import SteeredQueues


def _served(ttl_s: float, until_s: float = 6.0) -> list[Served]:
    queues = DnsQueues(FOUR_SITES, DnsTtl(ttl_s, "round_robin"), interval_s=1.0, seed=1)
    queues.run(until_s)
    return queues.served


def test_clients_of_a_name_server_face_the_same_requests() -> None:
    steered = SteeredQueues(FOUR_SITES, "closest", interval_s=1.0, seed=1)
    steered.run(6.0)
    arrivals = [
        sorted(flow.arrived_s for flow in served if flow.arrived_s < 5.0) for served in (steered.served, _served(30))
    ]
    assert arrivals[0] == arrivals[1]
    assert len(arrivals[0]) > 300


def test_a_client_goes_where_it_was_sent_until_its_answer_expires() -> None:
    queues = DnsQueues(FOUR_SITES, DnsTtl(1000, "round_robin"), interval_s=1.0, seed=1)
    queues.run(6.0)
    assert queues._steering.counters["decisions"] == CLIENTS_PER_INGRESS * len(FOUR_SITES.ingresses)
    queues = DnsQueues(FOUR_SITES, DnsTtl(1, "round_robin"), interval_s=1.0, seed=1)
    queues.run(6.0)
    assert queues._steering.counters["decisions"] > 2 * CLIENTS_PER_INGRESS * len(FOUR_SITES.ingresses)


def test_answers_that_last_cost_more_than_decisions_for_each_flow() -> None:
    ours = measure("dyncast", 1.0, seed=1, measured_s=20)
    theirs = measure("dns_ttl", 1.0, seed=1, measured_s=20)
    assert theirs.mean_ms > 2 * ours.mean_ms
