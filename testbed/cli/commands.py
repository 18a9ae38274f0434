"""The commands of `dyncast`: arguments in, exit codes out.

Owns the wording of help and errors. Heavy packages are imported by the command that needs them, so that
`dyncast --help` and `dyncast validate` answer at once. Exit codes: 0 done, 1 it went wrong, 2 wrong usage
or input, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from testbed.cli import calibrate, check, compare, report, sweep
from testbed.errors import TestbedError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Emulate an edge network, steer real flows by compute and network state (Dyncast/CATS), and measure it.",
)
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 120, soft_wrap=True)
_WIDE = 180  # two IPv6 addresses and a D-SID side by side
_err = Console(stderr=True, highlight=False, soft_wrap=True)

ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file, YAML.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set a scenario key, such as metrics.interval_s=0.5.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of all workload randomness.")]
Out = Annotated[Path, typer.Option(help="Folder for results.")]


@app.command()
def demo(
    out: Out = Path("results"),
    duration: Annotated[float, typer.Option(min=5, help="Seconds of traffic per policy.")] = 45.0,
    seed: Seed = None,
) -> None:
    """Run Abilene with a regional hot spot under `closest` and under `dyncast`, and compare them."""
    _need_root("demo")
    from testbed.experiment import demo as demonstration

    demonstration.run(out, duration, seed, _out)


@app.command()
def run(
    scenario: ScenarioPath,
    out: Out = Path("results"),
    settings: Settings = [],
    seed: Seed = None,
    live: Annotated[bool, typer.Option("--live", help="Draw loads, flows and faults in the terminal.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Show them on a web page, for this machine alone.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the page; default: a free one.")] = None,
    shell: Annotated[
        bool, typer.Option("--debug-shell", help="If it fails: a shell in the network, which is removed when it ends.")
    ] = False,
) -> None:
    """Run a scenario and leave tables, pictures, a report and a manifest under results/<scenario>/<run-id>.

    Watch it: dyncast run docs/examples/faults.yaml --live --serve --port 8080
    """
    _need_root("run")
    if port is not None and not serve:
        raise _Refused("--port goes with --serve")
    if shell and live:
        raise _Refused("--debug-shell needs the terminal for itself: watch the run with --serve instead of --live")
    from testbed.analysis.html_report import files
    from testbed.analysis.measures import terminal_tables
    from testbed.analysis.measures.summary import summarise
    from testbed.analysis.plots import plots
    from testbed.analysis.run_data.loading import load
    from testbed.emulation import debug_shell
    from testbed.experiment.execution import ownership, runner
    from testbed.experiment.live import watching

    plan = _plan(scenario, settings, seed)
    calibrate.warn(plan, out, _err)
    with watching.shown(plan, _out, live=live, port=(port or 0) if serve else None) as progress:
        look = partial(debug_shell.open_in, say=progress.phase) if shell else None
        with debug_shell.upon_failure(look):
            result = runner.run(plan, scenario, out, progress)
        progress.phase("drawing")
        data = load(result.run_dir)
        summary = summarise(data)
        terminal_tables.print_summary(summary, _out)
        plots.pictures(data, result.run_dir)
        files.write_run(summary)
    ownership.give_to_caller(result.run_dir)
    _out.print(f"[bold]{result.run_dir}[/bold]")


@app.command()
def validate(scenario: ScenarioPath, settings: Settings = [], seed: Seed = None) -> None:
    """Check a scenario and say what it would build. Touches nothing and needs no root."""
    from testbed.experiment.launch import command_configs
    from topologies.spec import Role

    plan = _plan(scenario, settings, seed)
    command_configs.check_programs(plan, scenario)
    routers = len(plan.topology.with_role(Role.ROUTER))
    _out.print(
        f"{scenario}: good. {routers} routers, {len(plan.sites)} sites, {len(plan.instances)} instances, "
        f"{len(plan.clients)} clients, {len(plan.topology.links)} links, {plan.scenario.duration_s:g} s."
    )


@app.command()
def topology(
    name: Annotated[str | None, typer.Argument(help="Catalogue name or YAML file; none: list the catalogue.")] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it to a PNG.")] = False,
    out: Annotated[Path | None, typer.Option(help="File of the drawing; default: <name>.png here.")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print it as YAML, to edit into one of your own.")] = False,
) -> None:
    """List the catalogue of networks, or show one."""
    from topologies import catalogue, yaml_form
    from topologies.spec import Role

    if name is None:
        for source, names in catalogue.names().items():
            _out.print(f"[bold]{source}[/bold] ({len(names)}): {', '.join(names)}")
        return
    found = catalogue.load(name)
    if as_yaml:
        sys.stdout.write(yaml_form.dump(found))
        return
    delays = [link.spec.delay_ms for link in found.links]
    span = f" of {min(delays):g} to {max(delays):g} ms one way" if delays else ""
    counts = {role: len(found.with_role(role)) for role in Role}
    roles = ", ".join(f"{count} {role.value.replace('d_r', 'D-R')}s" for role, count in counts.items() if count)
    _out.print(f"{found.name}: {roles}; {len(delays)} links{span}; {len(found.demands)} demands")
    if plot:
        from testbed.analysis.plots import topology_plot

        path = out or Path(f"{found.name.replace('/', '-')}.png")
        topology_plot.draw(found, path)
        _out.print(str(path))


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False) -> None:
    """Say what this machine can do, try TCP and UDP through a real link and bridge, and how to mend what is missing."""
    from testbed.emulation.machine import doctor as examination

    raise typer.Exit(examination.run(as_json))


@app.command()
def clean(
    everything: Annotated[bool, typer.Option("--all", help="Also runs that are still going on.")] = False,
) -> None:
    """Remove what dead runs left behind: namespaces, links, bridges, processes. Nothing else is touched."""
    from testbed.emulation import cleanup

    _need_root("clean")
    found = cleanup.clean(only_dead=not everything, progress=lambda text: _out.print(f"[dim]·[/dim] {text}"))
    _out.print(str(found))


@app.command()
def bindings(
    d_router: Annotated[str | None, typer.Argument(metavar="[D-ROUTER]", help="All unless named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show the binding tables of a run that is up: flow identifier, D-SID, D-BID, egress, age, timeout.

    Read from the switches, whether the D-Router bound the flow or the switch itself, in seconds. `-` stands for a field
    that does not identify the flow.
    """
    _need_root("bindings")
    from testbed.emulation.inspection import binding_tables

    up = binding_tables.d_routers()
    chosen = [item for item in up if d_router in (None, item.d_router)]
    if not chosen:
        names = ", ".join(sorted({item.d_router for item in up}))
        hint = f"there are: {names}" if up else "no run is up; start one with `dyncast run`"
        raise _Refused(f"no D-Router {d_router!r}; {hint}" if d_router else hint)
    rows = [row.document() for item in chosen for row in binding_tables.rows(item, time.monotonic())]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else _WIDE).print(_binding_table(rows))


def _binding_table(rows: list[dict[str, object]]) -> Table:
    table = Table(title=f"{len(rows)} bindings")
    columns = [key for key in rows[0] if key != "run"] if rows else ["d_router", "src", "d_sid", "d_bid"]
    for key in columns:
        table.add_column(key)
    for row in rows:
        table.add_row(*("-" if row[key] is None else str(row[key]) for key in columns))
    return table


@app.command()
def inspect(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="D-ROUTER|SECTION", help="Which D-Routers and sections, in any order."),
    ] = None,
    tag: Annotated[str | None, typer.Option("--run", metavar="TAG", help="Only of this run, by its tag.")] = None,
    all_flows: Annotated[bool, typer.Option("--all", help="All flows, not only the first 20.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable: see docs/inspect.md.")] = False,
    reset_flows: Annotated[
        bool, typer.Option("--reset-flows", help="End all bindings of the D-Routers named: flows are bound anew.")
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
    Examples:

    dyncast inspect

    dyncast inspect chicago weights

    dyncast inspect flows --all --json

    dyncast inspect chicago --reset-flows --service render
    """
    _need_root("inspect")
    from testbed.cli import inspection

    if service is not None and not reset_flows:
        raise _Refused("--service goes with --reset-flows")
    asked = inspection.Asked.of(words or [], tag)
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE, soft_wrap=True)
    if reset_flows:
        raise typer.Exit(inspection.reset(asked, service, as_json=as_json, out=out, err=_err))
    raise typer.Exit(inspection.show(asked, as_json=as_json, all_flows=all_flows, out=out, err=_err))


@app.command()
def schema(
    of_study: Annotated[bool, typer.Option("--study", help="That of study files.")] = False,
    of_tables: Annotated[bool, typer.Option("--tables", help="The tables of a run, as Markdown.")] = False,
) -> None:
    """Print the JSON Schema of scenario files, or of study files, with every key described; or what tables hold."""
    if of_tables:
        from testbed.records import schema as table_schema

        sys.stdout.write(table_schema.as_markdown())
        return
    from testbed.experiment.scenario.scenario import Scenario
    from testbed.experiment.study.study_keys import StudyKeys

    keys = StudyKeys if of_study else Scenario
    sys.stdout.write(json.dumps(keys.model_json_schema(), indent=2) + "\n")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(
    context: typer.Context,
    slow: Annotated[bool, typer.Option("--slow", help="Also the slow and exhaustive tests.")] = False,
) -> None:
    """Run linters and tests; further arguments go to pytest."""
    from testbed.cli import run_tests

    raise typer.Exit(run_tests.run(slow, context.args))


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which ones; all unless named.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row, on standard output.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: 3 minutes in all.")] = False,
) -> None:
    """Measure how fast the testbed's parts are, each against a baseline in the same run (19 minutes in all).

    There are: binding_table, convergence, decision, demo_ingress, flow_setup_datapath, flow_setup_reactive, generator,
    link, scale, staleness, startup, throughput, weight_update.
    """
    from testbed.benchmarks import runner
    from testbed.benchmarks.harness import Settings as Thoroughness

    raise typer.Exit(runner.run(names or [], Thoroughness(quick=quick), as_json=as_json))


app.command()(sweep.sweep)
app.command()(compare.compare)
app.command()(report.report)
app.command()(check.check)
app.command()(calibrate.calibrate)


class _Refused(TestbedError):
    """Something the user can change, said in one line."""


def _need_root(command: str) -> None:
    if os.geteuid() != 0:
        raise _Refused(f"{command} needs root for namespaces and Open vSwitch: start it with sudo")


def _plan(path: Path, settings: list[str], seed: int | None):  # type: ignore[no-untyped-def]  # imported lazily
    from testbed.experiment.plan import plan
    from testbed.experiment.scenario import file as scenario_file

    overrides = dict(scenario_file.parse_setting(text) for text in settings)
    if seed is not None:
        overrides["seed"] = seed
    return plan.make_plan(scenario_file.load(path, overrides), path)


_INTERRUPTED = 130


def main() -> None:
    """Run the command line; turn expected errors into one line and an exit code."""
    sys.exit(_guarded(lambda: app(prog_name="dyncast", standalone_mode=False)))


def _guarded(command: Callable[[], object]) -> int:
    try:
        code = command()
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except (TestbedError, OSError) as error:
        _err.print(f"dyncast: {error}", markup=False)
        return error.exit_code if isinstance(error, TestbedError) else 1
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the command line
            _err.print(f"dyncast: {error.format_message().rstrip('.')}; see dyncast --help", markup=False)
            return 2
        raise
    if code == _INTERRUPTED:
        _err.print("dyncast: interrupted; everything was removed")
    return code if isinstance(code, int) else 0
