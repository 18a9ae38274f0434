"""The command line as a whole: version, help, mistyped words, exit codes, completion, a reader that has gone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from inspect import getmodule

import pytest
from typer.testing import CliRunner

from testbed import __version__
from testbed.cli import app as command_line
from testbed.cli.app import app, run_command
from testbed.emulation.netns.namespaces import NamespaceError
from testbed.errors import InputError, TestbedError
from testbed.experiment.demonstration import demonstrations

COMMANDS = {str(info.callback.__name__): info for info in app.registered_commands if info.callback}


def help_of(name: str) -> str:
    return str(CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output)


def test_a_command_has_a_file_of_its_name() -> None:
    for name, info in COMMANDS.items():
        assert str(getmodule(info.callback).__name__).rpartition(".")[2] == name  # type: ignore[union-attr]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_in_a_sentence_what_a_command_does_and_shows_examples(name: str) -> None:
    text = str(COMMANDS[name].help)
    first = text.partition("\n\n")[0].replace("`", "")
    assert re.match(r"[A-Z][a-z]+ .*[.:)]", first), first
    assert "\b\nExamples:\n" in text
    shown = help_of(name)
    examples = re.findall(r"^  (?:sudo \./)?dyncast .*$", text, re.MULTILINE)
    assert any(f"dyncast {name}" in example for example in examples)
    for example in examples:
        assert f" {example.strip()} " in shown, "the example is cut on a terminal of 80 columns"


def test_the_help_of_demo_names_all_that_there_are() -> None:
    shown = " ".join(help_of("demo").split())
    for name, item in demonstrations().items():
        assert f"{name}: " in shown and item.about.split()[0] in shown


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"dyncast {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'? see dyncast --help"),
        (["compare", "x", "--basline", "closest"], "--basline"),
        (["run"], "Missing argument 'SCENARIO'; see dyncast run --help"),
        (["demo", "nobody"], "there is no demo 'nobody'; there are: dyncast, alto"),
        (["bench", "stalenes"], "there is no benchmark 'stalenes'; there are: alto, binding_table,"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err and err.startswith("dyncast: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TestbedError("it broke"), 1, "dyncast: it broke"),
        (InputError("first.yaml: no such key"), 2, "dyncast: first.yaml: no such key"),
        (NamespaceError("namespace of 1: gone"), 1, "dyncast: namespace of 1: gone"),
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), 1, "dyncast: [Errno 2] No such file"),
        (KeyboardInterrupt(), 130, "dyncast: interrupted; everything was removed"),
    ],
)
def test_an_expected_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "app", broken)
    assert run_command([]) == code
    assert capsys.readouterr().err.startswith(said)


def test_a_fault_of_ours_shows_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(command_line, "app", broken)
    with pytest.raises(KeyError):
        run_command([])


@pytest.mark.parametrize("arguments", [["topology"], ["schema"], ["--help"]])
def test_a_reader_that_has_gone_ends_it_quietly(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "testbed.cli", *arguments]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141  # as of a program that SIGPIPE has ended


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dyncast re", {"report"}),
        ("dyncast bench sta", {"staleness", "startup"}),
        ("dyncast topology sndlib/germ", {"sndlib/germany50"}),
        ("dyncast inspect we", {"weights"}),
        ("dyncast run --se", {"--set", "--seed", "--serve"}),
        ("dyncast run docs/exam", set()),  # the shell completes names of files
    ],
)
def test_a_shell_is_offered_what_fits(words: str, offered: set[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_DYNCAST_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "testbed.cli"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False)
    assert set(done.stdout.split()) == offered
