"""What a workload of flows asks of its clients: no more than their generators can send. Pure."""

from __future__ import annotations

from testbed.experiment.plan.plan import Plan
from testbed.experiment.systems.dyncast.keys import call
from testbed.experiment.systems.dyncast.keys.service import ServiceKeys
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.spec import TopologyError

# What one generator process (one client host) was seen to send on one core of a small machine; the bench says more.
MOST_REQUESTS_PER_CLIENT_PER_S = 1000.0
MOST_PACKETS_PER_CLIENT_PER_S = 10_000.0


def check(plan: Plan) -> None:
    """Raise TopologyError for a workload that its clients could not send."""
    services = DyncastScenario.of(plan.scenario).services
    for number, workload in enumerate(plan.scenario.workloads):
        if isinstance(workload, FlowKeys):
            clients = len(plan.clients_of(workload))
            _check_rate(f"workloads[{number}]", workload, services[workload.service], clients)


def _check_rate(key: str, workload: FlowKeys, service: ServiceKeys, clients: int) -> None:
    """Refuse more load than the generators can send: the numbers would be theirs, not the network's."""
    rate = workload.arrivals.rate_per_s
    if rate is None:
        return
    if service.kind != "rtp":
        offered, most, what = rate, MOST_REQUESTS_PER_CLIENT_PER_S * clients, "requests/s"
    else:
        per_call_per_s = call.packets_per_s(workload.media, workload.video_kbps)
        offered = rate * workload.call_duration.mean_ms / 1e3 * per_call_per_s
        most, what = MOST_PACKETS_PER_CLIENT_PER_S * clients, "packets/s"
    if offered > most:
        raise TopologyError(
            f"{key}: {offered:.0f} {what} from {clients} client(s) is more than their generators can send "
            f"({most:.0f}); add clients or lower the rate"
        )
