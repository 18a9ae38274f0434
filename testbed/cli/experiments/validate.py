"""`dyncast validate`: what a scenario would build, without building it."""

from __future__ import annotations

from testbed.cli import terminal
from testbed.cli.options import ScenarioPath, Seed, Settings, planned


def validate(scenario: ScenarioPath, settings: Settings = [], seed: Seed = None) -> None:
    """Check a scenario and say what it would build. Touches nothing and needs no root.

    \b
    Examples:
      dyncast validate docs/examples/first.yaml
      dyncast validate docs/examples/first.yaml --set policy=least_loaded
    """
    from testbed.experiment.execution import captures
    from testbed.experiment.system import systems
    from topologies.roles import Kind

    plan = planned(scenario, settings, seed)
    captures.check_machine(plan, scenario)
    for system in systems():
        system.check_machine(plan, scenario)
    instances = sum(len(system.instances(plan)) for system in systems())
    routers = len(plan.topology.of_kind(Kind.ROUTER))
    terminal.output().print(
        f"{scenario}: good. {routers} routers, {len(plan.sites)} sites, {instances} instances, "
        f"{len(plan.clients)} clients, {len(plan.topology.links)} links, {plan.scenario.duration_s:g} s."
    )
