"""Every command that README, docs and help show is one that the front-door tests know how to run."""

from __future__ import annotations

import pytest

from testbed.cli.app import app
from tests.documented_commands import documented, form_of, short_form

COMMANDS = documented()


def test_the_usual_ones_are_found() -> None:
    assert {"demo", "test", "run docs/examples/first.yaml", "compare results/policies-by-load"} <= set(COMMANDS)
    assert "compare results/sites --baseline 'variant=two sites'" in COMMANDS
    assert COMMANDS["demo"] == "README.md"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_has_a_short_form(command: str) -> None:
    assert form_of(command), f"{COMMANDS[command]} shows `dyncast {command}`, which tests/documented_commands.py lacks"
    assert short_form(command)


def test_every_command_there_is_is_shown_somewhere() -> None:
    names = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    assert names - {command.partition(" ")[0] for command in COMMANDS} == set()


@pytest.mark.parametrize(
    ("command", "short"),
    [
        ("run docs/examples/first.yaml --seed 2", "run docs/examples/first.yaml --seed 2 --set duration_s=2"),
        ("bench staleness link --json", "bench decision --quick --json"),
        ("bench --quick", "bench decision --quick"),
        ("sweep docs/examples/studies/sites.yaml", "sweep docs/examples/studies/sites.yaml --dry-run"),
    ],
)
def test_a_short_form_keeps_what_a_command_shows(command: str, short: str) -> None:
    assert short_form(command) == short.split()
