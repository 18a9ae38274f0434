"""Code of functions: what a file or folder becomes, and what is refused before anything is touched."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.alto.keys.function import FunctionKeys
from testbed.experiment.systems.alto.launch import function_code
from tests.function_scenarios import ECHO, functions_document, functions_plan

KEYS = functions_document()["functions"]["echo"]


def _refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        function_code.check(functions_plan(folder, functions={"echo": {**KEYS, **changes}}), Path("functions.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_source_goes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    document = function_code.document(FunctionKeys(code="echo.py", memory_mb=64, timeout_s=5), tmp_path)
    assert document["exec"] == {"kind": "python:3", "code": ECHO, "binary": False}
    assert document["limits"] == {"timeout": 5000, "memory": 64}


def test_a_folder_becomes_an_archive_that_follows_from_its_content_alone(tmp_path: Path) -> None:
    archives = []
    for name, time_s in (("a", 1_000_000_000), ("b", 1_500_000_000)):
        folder = tmp_path / name
        (folder / "inner" / "__pycache__").mkdir(parents=True)
        for path, text in (("__main__.py", ECHO), ("inner/help.txt", "help"), ("inner/__pycache__/x.pyc", name)):
            (folder / path).write_text(text)
            os.utime(folder / path, (time_s, time_s))
        archives.append(function_code.document(FunctionKeys(code=name), tmp_path)["exec"])
    assert archives[0] == archives[1]
    assert archives[0]["binary"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archives[0]["code"]))) as archive:
        assert archive.namelist() == ["__main__.py", "inner/help.txt"]


def test_good_code_is_not_refused(tmp_path: Path) -> None:
    for text in (ECHO, "from json import loads as main\n", "try:\n    main = dict\nexcept Exception:\n    pass\n"):
        (tmp_path / "echo.py").write_text(text)
        function_code.check(functions_plan(tmp_path), Path("functions.yaml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def mian(args): return args\n", "functions.echo.code: echo.py has no function main; name another by main"),
        ("def other():\n    def main(): pass\n", "functions.echo.code: echo.py has no function main"),
        ("def main(args:\n", "functions.echo.code: echo.py, line 1 is no Python"),
        ("", "functions.echo.code: exec.code is missing"),
    ],
)
def test_code_without_a_handler_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(text)
    assert words in _refusal(tmp_path)


def test_a_folder_without_its_handler_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.py").write_text(ECHO)
    assert "functions.echo.code: the archive has no handler: python:3 needs __main__.py" in _refusal(
        tmp_path, code="folder"
    )


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert "functions.echo.code: cannot read" in _refusal(tmp_path, code="nowhere.py")
    (tmp_path / "echo.py").write_text(ECHO)
    assert "functions.echo.layers.opencv" in _refusal(tmp_path, layers={"opencv": "nowhere"})


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("__main__.py", ECHO)
        archive.writestr("../outside", "x")
    assert "functions.echo.code: the entry '../outside' of the archive would leave" in _refusal(
        tmp_path, code="bad.zip"
    )


def test_a_black_box_is_a_program_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    assert "must be a folder or zip archive with a program exec" in _refusal(tmp_path, kind="blackbox")
