"""`dyncast inspect`: the state of the D-Routers of a run that is up."""

from __future__ import annotations

from typing import Annotated

import typer

from testbed.cli.options import CommandError, need_root
from testbed.terminal import console as terminal

_WIDE = 180  # two IPv6 addresses and a D-SID side by side


def _sections(incomplete: str) -> list[str]:
    """Complete the name of a section."""
    from testbed.cli.inspection.sections import all_sections

    return [name for name in all_sections() if name.startswith(incomplete)]


def inspect(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="D-ROUTER|SECTION",
            help="Which D-Routers and sections, in any order; what is both is the section.",
            autocompletion=_sections,
        ),
    ] = None,
    nodes: Annotated[
        list[str], typer.Option("--node", metavar="NAME", help="A D-Router, also one that is called like a section.")
    ] = [],
    tag: Annotated[str | None, typer.Option("--run", metavar="TAG", help="Only of this run, by its tag.")] = None,
    all_flows: Annotated[bool, typer.Option("--all", help="All flows, not only the first 20.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable: see docs/inspect.md.")] = False,
    reset_flows: Annotated[
        bool, typer.Option("--reset-flows", help="End all bindings of the D-Routers named: flows are bound again.")
    ] = False,
    service: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --reset-flows: only those of this service.")
    ] = None,
) -> None:
    """Look into the D-Routers of a run that is up, from another terminal. It goes on undisturbed.

    Sections: [bold]services[/bold] (D-SIDs, policy, affinity), [bold]bindings[/bold] (instances, their metrics and how
    old these are), [bold]weights[/bold] (who gets the next flows, and at what cost), [bold]flows[/bold] (the binding
    table), [bold]counters[/bold], [bold]neighbours[/bold] (paths and probes), [bold]ports[/bold] (how full the
    first links are). Without one: services, bindings, weights and neighbours, of all D-Routers unless some are named.

    \b
    Examples:
      sudo ./dyncast inspect
      sudo ./dyncast inspect chicago weights
      sudo ./dyncast inspect flows --all --json
      sudo ./dyncast inspect chicago --reset-flows --service render
      sudo ./dyncast inspect flows --node east
    """
    need_root("inspect")
    from testbed.cli.inspection import sections

    if service is not None and not reset_flows:
        raise CommandError("--service goes with --reset-flows")
    asked = sections.Asked.of(words or [], tag, nodes)
    out, err = terminal.output(_WIDE), terminal.errors()
    if reset_flows:
        raise typer.Exit(sections.reset(asked, service, as_json=as_json, out=out, err=err))
    raise typer.Exit(sections.show(asked, as_json=as_json, all_flows=all_flows, out=out, err=err))
