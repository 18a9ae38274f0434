"""The commands that README, docs and help show, and the short form in which the tests run each.

A new one is found by itself. Where no pattern of FORMS fits it, tests/unit/test_documented_commands.py fails.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from typer import Typer
from typer.models import CommandInfo

from testbed.cli.app import app
from testbed.cli.machine.checkout import ROOT

RUN = "20260102-030405"  # the run folder of the examples; `<run-id>` stands for one, too
TINY_STUDY = "tiny-study.yaml"
_COMMAND = re.compile(r"^\s*(?:sudo )?(?:\./)?dyncast (?P<arguments>[^>|]*[^>|\s])")
_FENCE = re.compile(r"^\s*(```|~~~)")
_RUN = r"run docs/examples/(?P<name>[\w-]+)\.yaml(?P<rest>.*)"


class Form(NamedTuple):
    """How the commands that fit a pattern are run: at what needs root, whether a run must be up, whether it is slow."""

    pattern: str
    short: str = r"\g<0>"
    root: bool = True
    inside_a_run: bool = False
    slow: bool = False


# The first that fits counts.
FORMS = (
    Form(r"(--version|--help|\w+ --help|COMMAND --help)", root=False),
    # One serves for ever, the other asks it: tests/integration/test_alto_commands.py runs both.
    Form(r"alto (serve|get)\b.*", r"alto \1 --help", root=False),
    Form(r"trace show traces/(\S+)(.*)", r"trace show docs/examples/traces/\1\2", root=False),
    Form(r"trace make traces\b(?P<rest>.*)", r"trace make results/made-traces\g<rest>", root=False),
    Form(r"trace make docs/examples/traces\b(?P<rest>.*)", r"trace make results/example-traces\g<rest>", root=False),
    Form(r"(validate|topology|schema)\b.*", root=False),
    Form(r"(compare|report) results/[\w-]+( .*)?", root=False),
    Form(rf"(check|report) results/[\w-]+/{RUN}( .*)?", root=False),
    Form(r"sweep \S+ --dry-run", root=False),
    Form(r"sweep docs/examples/studies/policies-by-load.yaml( --limit \d+)?", f"sweep {TINY_STUDY}"),
    Form(r"sweep (docs/examples/studies/[\w-]+\.yaml)", r"sweep \1 --dry-run", root=False),
    Form(r"demo alto\b.*", "demo alto --duration 5"),
    Form(r"demo alto\b.*", "demo alto --duration 5"),
    Form(r"demo\b.*", "demo --duration 5"),
    Form(_RUN.replace(r"(?P<name>[\w-]+)", "first"), r"run docs/examples/first.yaml\g<rest> --set duration_s=2"),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "first-function"),
        r"run docs/examples/first-function.yaml\g<rest> --set duration_s=2",
    ),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "traced-functions"),
        r"run docs/examples/traced-functions.yaml\g<rest> --set duration_s=2",
    ),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "functions-by-alto"),
        r"run docs/examples/functions-by-alto.yaml\g<rest> --set duration_s=3",
    ),
    # It takes a layer, which tests/e2e/test_cameras.py makes.
    Form(_RUN.replace(r"(?P<name>[\w-]+)", "cameras"), "run --help", root=False),
    Form(
        r"run docs/examples/functions-steered.yaml --set 'faults=.*'",
        "run docs/examples/functions-steered.yaml --set duration_s=3 --set warm_up_s=0 "
        "--set 'faults=[{at_s: 1, until_s: 2, kind: cluster_killed, site: west}]'",
    ),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "functions-steered"),
        r"run docs/examples/functions-steered.yaml\g<rest> --set duration_s=3 --set warm_up_s=0",
    ),
    # tests/e2e/test_functions_move.py runs its short form under each policy.
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "function-moves"),
        r"validate docs/examples/function-moves.yaml\g<rest>",
        root=False,
    ),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "faults"),
        r"run docs/examples/faults.yaml\g<rest> --set duration_s=2 --set 'faults=[]'",
    ),
    Form(
        _RUN.replace(r"(?P<name>[\w-]+)", "nginx-wrk"),
        r"run docs/examples/nginx-wrk.yaml\g<rest> --set duration_s=3 --set workloads.1.arrivals={}",
    ),
    Form(_RUN.replace(r"(?P<name>[\w-]+)", "theory"), r"run docs/examples/theory.yaml\g<rest> --set duration_s=3"),
    # Of a run with clusters: tests/e2e/test_functions.py looks into one.
    Form(r"inspect clusters\b.*", "inspect --help", root=False),
    Form(r"(inspect|bindings) chicago\b(.*)", r"\1 east\2", inside_a_run=True),
    Form(r"(inspect|bindings)\b(.*)", inside_a_run=True),
    Form(r"faas\b.*", "faas --help", root=False),  # it serves for ever; test_a_function_is_invoked_by_curl starts one
    Form(r"doctor( --json)?"),
    Form(r"clean( --all)?", "clean"),  # another run may be up on this machine
    Form(r"test\b.*", "test tests/unit/test_errors.py -q"),
    Form(r"bench\b.*--json", "bench decision --quick --json"),
    Form(r"bench\b.*", "bench decision --quick"),
    Form(r"calibrate\b.*", "calibrate --quick", slow=True),
)


def documented() -> dict[str, str]:
    """The commands, without `dyncast`, and where each is shown first."""
    found: dict[str, str] = {}
    for place, line in (*_shown_in_files(), *_shown_in_help()):
        if match := _COMMAND.match(line.replace("<run-id>", RUN)):
            words = shlex.split(match["arguments"], comments=True)
            found.setdefault(shlex.join(words), place)
    return found


def form_of(command: str) -> Form | None:
    """How a command is run, if that is known."""
    return next((form for form in FORMS if re.fullmatch(form.pattern, command)), None)


def short_form(command: str) -> list[str]:
    """The arguments with which the tests run a command."""
    form = form_of(command)
    assert form is not None
    return shlex.split(re.sub(form.pattern, form.short, command, count=1))


def _shown_in_files() -> Iterator[tuple[str, str]]:
    """The lines of all code blocks of README and docs."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        fenced = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if _FENCE.match(line):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                yield str(path.relative_to(ROOT)), line


def _shown_in_help() -> Iterator[tuple[str, str]]:
    """The examples in the help of each command."""
    for name, info in _commands(app):
        for line in str(info.help).splitlines():
            if line.startswith("  "):
                yield f"dyncast {name} --help", line


def _commands(of: Typer, group: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """The commands with their names, those of groups after that of the group."""
    for info in of.registered_commands:
        yield f"{group}{info.name or getattr(info.callback, '__name__', '')}", info
    for inner in of.registered_groups:
        assert inner.typer_instance is not None
        yield from _commands(inner.typer_instance, f"{group}{inner.name} ")
