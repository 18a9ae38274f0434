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
    from testbed.experiment.launch import command_configs
    from topologies.spec import Role

    plan = planned(scenario, settings, seed)
    command_configs.check_programs(plan, scenario)
    routers = len(plan.topology.with_role(Role.ROUTER))
    terminal.output().print(
        f"{scenario}: good. {routers} routers, {len(plan.sites)} sites, {len(plan.instances)} instances, "
        f"{len(plan.clients)} clients, {len(plan.topology.links)} links, {plan.scenario.duration_s:g} s."
    )
