from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.analysis.run_data.loading import RunDataError, load
from testbed.records.tables import catalogue
from tests.analysis_data import START_S, write_run, write_tables


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "synthetic" / "r1", duration_s=20.0, requests_per_s=10.0, calls=3)


def _edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def test_tables_have_their_columns_and_types(run_dir: Path) -> None:
    run = load(run_dir)
    for table, described in catalogue().items():
        assert tuple(getattr(run, table).columns) == described.names
    assert (run.policy, run.scenario, run.run_id, run.mark) == ("closest", "synthetic", "r1", None)
    assert (run.start_s, run.end_s) == (START_S, START_S + 20.0)
    assert str(run.flows["src_port"].dtype) == "Int64"
    assert str(run.flows["service"].dtype) == "category"
    assert str(run.flows["completion_ms"].dtype) == "float64"


def test_every_row_is_read(run_dir: Path) -> None:
    run = load(run_dir)
    for table in catalogue():
        lines = (run_dir / f"{table}.csv").read_text(encoding="utf-8").splitlines()
        assert len(getattr(run, table)) == len(lines) - 1


def test_words_that_look_absent_are_names(tmp_path: Path) -> None:
    row = {"time_s": 1.0, "instance": "nan", "site": "NA", "service": "null", "utilisation": 0.5, "queue_length": 0}
    run = load(write_tables(tmp_path / "run", {"instances": [row]}, {}))
    assert run.instances[["instance", "site", "service"]].iloc[0].tolist() == ["nan", "NA", "null"]


def test_a_bare_manifest_is_made_up_for_by_the_tables(run_dir: Path) -> None:
    (run_dir / "manifest.json").write_text("{}", encoding="utf-8")
    run = load(run_dir)
    assert (run.scenario, run.policy) == ("synthetic", "closest")
    assert run.start_s == min(run.flows["due_s"].min(), run.instances["time_s"].min())
    assert run.end_s == max(run.flows["finished_s"].max(), run.instances["time_s"].max())
    assert run.mark == "UNCHECKED: the manifest gives no fidelity verdict"


def test_an_empty_run_has_a_time_span(tmp_path: Path) -> None:
    run = load(write_tables(tmp_path / "run", {}, {}))
    assert (run.start_s, run.end_s, run.policy) == (0.0, 0.0, "unknown policy")


def test_the_mark_names_verdict_and_reasons(tmp_path: Path) -> None:
    manifest = {"fidelity": {"verdict": "suspect", "reasons": ["relay late", "CPU busy"]}}
    assert load(write_tables(tmp_path / "run", {}, manifest)).mark == "SUSPECT: relay late; CPU busy"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("flows.csv", None, "flows.csv is missing: the run is not complete"),
        ("manifest.json", None, "manifest.json is missing: the run did not finish"),
        ("manifest.json", lambda text: text[: len(text) // 2], "manifest.json cannot be read"),
        ("manifest.json", lambda _: "[]", "manifest.json is not a JSON object"),
        ("manifest.json", lambda _: '{"start_s": "soon"}', "start_s is 'soon'"),
        ("manifest.json", lambda _: '{"instances": [{"site": "x"}]}', "instances holds"),
        ("rtp.csv", lambda _: "", "rtp.csv is empty"),
        ("flows.csv", lambda text: text[:-7], "flows.csv is half written"),
        ("flows.csv", lambda text: text.replace("due_s", "dew_s", 1), "lacks due_s and has unknown dew_s"),
        ("flows.csv", lambda text: text.replace("due_s", "service", 1), "lacks due_s"),
        ("flows.csv", lambda text: text.replace("tcp,", "tcp,x,", 1), "flows.csv is corrupt"),
        ("control.csv", lambda text: text.replace(",any,", ",any,lots", 1), "control.csv is corrupt: line 3, messages"),
        ("affinity.csv", lambda text: text.replace(",80,", ",80.5,", 1), "dst_port: '80.5' is not a whole number"),
        ("instances.csv", lambda text: text + "5001.0,render-1\n", "line 354 has no queue_length"),
        ("flows.csv", lambda text: text.replace(",jobs,", ',"jobs,', 1), "flows.csv is corrupt"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run_dir: Path, name: str, change: Callable[[str], str] | None, said: str
) -> None:
    if change is None:
        (run_dir / name).unlink()
    else:
        _edit(run_dir / name, change)
    with pytest.raises(RunDataError) as failure:
        load(run_dir)
    message = str(failure.value)
    assert said in message
    assert str(run_dir / name) in message
    assert "again" in message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_reported(run_dir: Path) -> None:
    path = run_dir / "affinity.csv"
    path.write_bytes(path.read_bytes().replace(b"render", b"rend\xffr", 1))
    with pytest.raises(RunDataError, match=r"affinity\.csv is corrupt"):
        load(run_dir)


def test_unmerged_parts_tell_of_an_interrupted_run(run_dir: Path) -> None:
    (run_dir / "work").mkdir()
    (run_dir / "flows.csv").rename(run_dir / "work" / "flows.client-1.part.csv")
    with pytest.raises(RunDataError, match="its parts were never merged, so the run did not finish"):
        load(run_dir)


def test_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunDataError, match="does not exist; name a run folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(RunDataError, match="is not a folder"):
        load(tmp_path / "file")
