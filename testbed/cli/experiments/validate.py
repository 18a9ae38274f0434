"""`dyncast validate`: what a scenario would build, without building it."""

from __future__ import annotations

from testbed.cli.options import ScenarioPath, Seed, Settings, planned
from testbed.terminal import console as terminal


def validate(scenario: ScenarioPath, settings: Settings = [], seed: Seed = None) -> None:
    """Check a scenario; say what it would build, and which commands it would run, as whom. Touches nothing.

    Whatever a process of the run would refuse of its configuration is refused here. Needs no root.

    \b
    Examples:
      dyncast validate docs/examples/first.yaml
      dyncast validate docs/examples/first.yaml --set policy=least_loaded
    """
    import os
    import shlex

    from testbed.experiment.execution import rehearsal
    from testbed.experiment.system import systems
    from testbed.runtime import caller
    from topologies.roles import Kind

    plan = planned(scenario, settings, seed)
    rehearsal.check(plan, scenario, with_load=True)
    instances = sum(len(system.instances(plan)) for system in systems())
    routers = len(plan.topology.of_kind(Kind.ROUTER))
    shown = terminal.output()
    for command in (command for system in systems() for command in system.commands(plan)):
        user = "root" if command.as_root or (os.geteuid() == 0 and caller.sudo_user() is None) else "the caller"
        said = f"as {user} at {command.host} ({command.key}): {shlex.join(command.argv)}"
        shown.print(terminal.one_line(said))
    shown.print(
        f"{scenario}: good. {routers} routers, {len(plan.sites)} sites, {instances} instances, "
        f"{len(plan.clients)} clients, {len(plan.topology.links)} links, {plan.scenario.duration_s:g} s."
    )
