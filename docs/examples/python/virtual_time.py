"""A D-Router in virtual time: no network, no clock, no root. Time is a number that the caller passes in."""

from ipaddress import ip_address
from random import Random

from testbed.dyncast.actions import InstallAffinity
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address
from testbed.net.flow_key import TCP, FlowKey

D_SID, EAST, WEST = map(ip_address, ("203.0.113.10", "10.1.0.20", "10.2.0.20"))
CLIENT, WEST_ROUTER = map(ip_address, ("10.1.0.10", "10.2.0.1"))
SITES = {EAST: "east", WEST: "west"}

peer = Peer("west", WEST_ROUTER, path_cost_ms=20.0)
config = DRouterConfig("east", (Service("render", (D_SID,), policy="dyncast"),), (peer,), metric_lifetime_s=3.0)
router = DRouter(config, Random(1))


def report(sequence: int, now_s: float, d_bid: Address, sessions: int) -> None:
    """Let the D-Router receive a report of an instance with two workers."""
    busy = min(sessions, 2)
    raw = RawMetrics(2, busy, sessions - busy, 20, sessions, utilisation=busy / 2, service_time_s=0.1)
    binding = report_of(D_SID, d_bid, State.UP, raw)
    router.on_message(codec.encode(Report(SITES[d_bid], sequence, now_s, (binding,))), d_bid, now_s)


def new_flow(src_port: int, now_s: float) -> None:
    """Let the D-Router have a packet, as its switch would bring it, and print what becomes of the flow."""
    actions = router.on_packet(FlowKey(CLIENT, D_SID, TCP, src_port, 80), now_s)
    bound = [SITES[action.entry.d_bid] for action in actions if isinstance(action, InstallAffinity)]
    print(f"{now_s:4.1f} s  port {src_port}: {bound[0] if bound else type(actions[0]).__name__}")


report(1, 0.0, EAST, sessions=1)
report(1, 0.0, WEST, sessions=1)
for number in range(5):  # alike but for the path; a flow counts from the moment when it is bound
    new_flow(40000 + number, 0.1)
report(2, 1.0, EAST, sessions=15)  # others fill the instance in the east
new_flow(40005, 1.1)
new_flow(40000, 1.2)  # a known flow stays where it is
new_flow(40006, 9.0)  # nobody has reported for longer than metric_lifetime_s
