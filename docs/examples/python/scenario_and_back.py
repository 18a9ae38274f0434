"""A scenario built in Python, checked, varied, written to a file and read back. Runs without root."""

import tempfile
from pathlib import Path

from testbed import experiment
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario import file
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan

scenario = experiment.build(
    name="mine",
    topology="topozoo/Abilene",
    sites={"east": {"at": "New York"}, "west": {"at": "Denver"}},
    services={"render": {"d_sid": "203.0.113.10"}},
    instances=[{"service": "render", "site": site, "workers": workers} for site, workers in (("east", 2), ("west", 6))],
    clients=[{"site": "east", "count": 2}],
    workloads=[{"name": "jobs", "service": "render", "clients": ["east"], "arrivals": {"rate_per_s": 40}}],
)
plan = DyncastPlan.of(make_plan(scenario, Path("mine.yaml")))
print("instances:", ", ".join(f"{item.name} at {item.d_bid}" for item in plan.instances))
print(
    "clients:  ", ", ".join(f"{client.name} at {plan.addresses.host(client.name).ipv4.ip}" for client in plan.clients)
)
print("from east:", f"{plan.path_cost_ms('east', 'west'):.1f} ms round trip to west")

busier = experiment.changed(scenario, {"workloads.0.arrivals.rate_per_s": 60, "policy": "least_loaded"})
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "mine.yaml"
    path.write_text(file.dump(busier), encoding="utf-8")
    again = experiment.load(path)
print("read back:", again == busier, again.policy, again.workloads[0].arrivals.rate_per_s)

try:
    experiment.changed(scenario, {"policy": "dincast"})
except ValueError as error:
    print("refused:  ", error)
