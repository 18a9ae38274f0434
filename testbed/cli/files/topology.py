"""`dyncast topology`: the catalogue of networks, and any one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.terminal import console as terminal


def _names(incomplete: str) -> list[str]:
    """Complete a name of the catalogue."""
    from topologies import catalogue

    return [name for names in catalogue.names().values() for name in names if name.startswith(incomplete)]


def topology(
    name: Annotated[
        str | None,
        typer.Argument(help="Catalogue name or YAML file; none: list the catalogue.", autocompletion=_names),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it to a PNG.")] = False,
    out: Annotated[Path | None, typer.Option(help="File of the drawing; default: <name>.png here.")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print it as YAML, to edit into one of your own.")] = False,
) -> None:
    """List the catalogue of networks, or show one.

    \b
    Examples:
      dyncast topology
      dyncast topology sndlib/abilene --plot --out abilene.png
      dyncast topology sndlib/abilene --yaml > mine.yaml
    """
    from rich.text import Text

    from testbed.records.file_names import file_name
    from topologies import catalogue, roles, yaml_form

    shown = terminal.output()
    if name is None:
        for source, names in catalogue.names().items():
            if shown.is_interactive:
                shown.print(Text.assemble((source, "bold"), f" ({len(names)}): {', '.join(names)}"))
            else:  # for programs that read lines
                terminal.document("".join(f"{name}\n" for name in names))
        return
    found = catalogue.load(name)
    if as_yaml:
        terminal.document(yaml_form.dump(found))
        return
    delays = [link.spec.delay_ms for link in found.links]
    span = f" of {min(delays):g} to {max(delays):g} ms one way" if delays else ""
    counts = {role: len(found.with_role(role)) for role in roles.known()}
    census = ", ".join(f"{count} {role.name.replace('d_r', 'D-R')}s" for role, count in counts.items() if count)
    shown.print(f"{found.name}: {census}; {len(delays)} links{span}; {len(found.demands)} demands")
    if plot:
        from testbed.analysis.plots import topology_plot

        path = out or Path(f"{file_name(found.name.replace('/', '-'))}.png")
        topology_plot.draw(found, path)
        shown.print(str(path))
