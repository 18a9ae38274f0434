"""The life that all processes share: what a stranger reads and which exit code when one is started wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.runtime import lifecycle
from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig
from testbed.runtime.lifecycle import ProcessFailure


def do_nothing(config: ProcessConfig) -> None:
    del config


@pytest.fixture(autouse=True)
def _outlive_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    # The signal at the parent's death would be the test runner's own from here on.
    monkeypatch.setattr(lifecycle, "end_with_parent", lambda: None)


def written(folder: Path, document: object) -> str:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is no JSON: "),
        ("[1]", "the file must hold a JSON object"),
        ('{"name": "x"}', "out_dir is missing"),
        ({"name": "x", "out_dir": "/nowhere"}, "out_dir must be a folder that exists, not '/nowhere'"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "is no JSON: "),
    ],
)
def test_a_bad_file_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: object, message: str
) -> None:
    path = written(tmp_path, document)
    assert lifecycle.run(ProcessConfig, do_nothing, ["program", path]) == lifecycle.EXIT_BAD_CONFIG
    error = capsys.readouterr().err
    assert error.startswith(f"{path}: {message}") and error.count("\n") == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lifecycle.run(ProcessConfig, do_nothing, ["program", f"{tmp_path}/no.json"]) == lifecycle.EXIT_BAD_CONFIG
    assert capsys.readouterr().err == f"{tmp_path}/no.json: cannot be read: No such file or directory\n"


def test_a_wrong_command_line_shows_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert lifecycle.run(ProcessConfig, do_nothing, ["program"]) == lifecycle.EXIT_BAD_CONFIG
    assert "CONFIG.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (None, 0, ""),
        (ConfigError("port is taken"), lifecycle.EXIT_BAD_CONFIG, "{path}: port is taken\n"),
        (ProcessFailure("the bridge is gone"), lifecycle.EXIT_FAILED, "x: the bridge is gone\n"),
        (
            OSError(28, "No space left on device", "/run/y.csv"),
            lifecycle.EXIT_FAILED,
            "x: /run/y.csv: No space left on device\n",
        ),
    ],
)
def test_how_main_ends_is_how_the_process_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raised: Exception | None, code: int, message: str
) -> None:
    path = written(tmp_path, {"name": "x", "out_dir": str(tmp_path)})

    def main(config: ProcessConfig) -> None:
        lifecycle.announce_ready(config)
        if raised:
            raise raised

    assert lifecycle.run(ProcessConfig, main, ["program", path]) == code
    assert capsys.readouterr().err == message.format(path=path)
    assert (tmp_path / "x.ready").exists()
