from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from testbed.analysis.flows.attribution import directory, seen_flows, served_flows
from testbed.analysis.plots import style
from testbed.analysis.plots.placement_plot import NOBODY, flow_counts
from testbed.analysis.plots.plots import all_pictures, compare, pictures, report
from testbed.analysis.run_data.loading import RunData, load
from testbed.dyncast.policies import POLICIES
from testbed.records.manifest import FidelityEntry
from tests.analysis_data import Row, write_run, write_tables

OF_FUNCTIONS = ("response_parts.png", "invocations_over_time.png")  # which these runs have none of


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("synthetic") / "r1", duration_s=20.0, calls=10)


@pytest.fixture(scope="module")
def run(run_dir: Path) -> RunData:
    return load(run_dir)


@pytest.fixture(scope="module")
def drawn(run_dir: Path) -> list[Path]:
    settings = dict(mpl.rcParams)
    paths = report(run_dir)
    assert dict(mpl.rcParams) == settings, "drawing changed matplotlib's settings"
    return paths


def _is_picture(path: Path) -> bool:
    pixels = matplotlib.image.imread(path)
    return path.stat().st_size > 10_000 and float(pixels[..., :3].std()) > 0.01


def test_a_report_draws_every_picture_from_files(run_dir: Path, drawn: list[Path]) -> None:
    assert [path.name for path in drawn] == [name for name in all_pictures() if name not in OF_FUNCTIONS]
    assert all(path.parent == run_dir and _is_picture(path) for path in drawn)


def test_an_empty_run_leaves_every_picture_out_and_says_why(tmp_path: Path) -> None:
    run = load(write_tables(tmp_path / "run", {}, {}))
    (tmp_path / "rtp_quality.png").write_bytes(b"of an earlier report")
    drawn = pictures(run, tmp_path)
    assert [picture.path for picture in drawn] == [None] * len(all_pictures())
    assert all(picture.note.startswith(f"{picture.name} left out: ") for picture in drawn)
    assert not list(tmp_path.glob("*.png"))
    assert report(run.run_dir) == []


def test_pictures_without_data_are_left_out_alone(tmp_path: Path) -> None:
    row: Row = {"flow_id": "f", "kind": "http", "service": "web", "client": "c", "due_s": 1.0, "outcome": "timeout"}
    run = load(write_tables(tmp_path / "run", {"flows": [row]}, {}))
    drawn = {picture.name: picture for picture in pictures(run, tmp_path)}
    assert drawn["completion_cdf.png"].note == "completion_cdf.png left out: no request was answered"
    assert drawn["where_flows_went.png"].path is not None
    assert drawn["rtp_quality.png"].note == "rtp_quality.png left out: there were no RTP streams"


def test_few_instances_are_drawn_too(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"time_s": 1.0 + step, "instance": "a", "service": "web", "site": "x", "utilisation": 0.5, "queue_length": step}
        for step in range(5)
    ]
    run = load(write_tables(tmp_path / "run", {"instances": rows}, {}))
    drawn = {picture.name: picture.path for picture in pictures(run, tmp_path)}
    assert drawn["instance_load.png"] is not None
    assert _is_picture(drawn["instance_load.png"])


def test_runs_are_compared_in_one_picture(run: RunData, tmp_path: Path) -> None:
    reasons = ["the relay was late by 9 ms"] * 40
    invalid = {"verdict": "invalid", "reasons": reasons}
    other = write_run(tmp_path / "r2", policy="dyncast", duration_s=20.0, calls=0, fidelity=invalid)
    empty = write_tables(tmp_path / "r3", {}, {"policy": "a_policy_of_my_own"})
    path = compare([run, load(other), load(empty)], tmp_path / "compare.png")
    assert _is_picture(path)
    compare([load(empty)], tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="no runs to compare"):
        compare([], tmp_path / "none.png")


def _red_pixels(path: Path) -> int:
    pixels = matplotlib.image.imread(path)
    channels = enumerate((0xB0 / 255, 0x00 / 255, 0x20 / 255))  # one at a time: so numpy is several times as fast
    return int(np.logical_and.reduce([abs(pixels[..., number] - wanted) < 0.02 for number, wanted in channels]).sum())


def test_an_unfaithful_run_is_marked_visibly(run: RunData, drawn: list[Path], tmp_path: Path) -> None:
    """The mark is red, and a picture of a valid run has nothing of that red."""
    suspect = replace(run, manifest=replace(run.manifest, fidelity=FidelityEntry("suspect", ("late",))))
    assert [_red_pixels(path) for path in drawn] == [0] * (len(all_pictures()) - len(OF_FUNCTIONS))
    assert all(_red_pixels(picture.path) > 100 for picture in pictures(suspect, tmp_path) if picture.path)


def test_policies_keep_their_colours_and_have_each_its_own() -> None:
    assert style.policy_colours(["dyncast", "closest"])["dyncast"] == style.policy_colours(["dyncast", "x"])["dyncast"]
    ours = [
        "closest",
        "dns_ttl",
        "dyncast",
        "least_loaded",
        "oracle",
        "power_of_two",
        "random",
        "round_robin",
        "static",
    ]
    many = style.policy_colours([*ours, "weighted", "mine"])
    assert len(set(many.values())) == len(many) == 11
    assert {name: style.policy_colours([name])[name] for name in ours}.items() < many.items()


def test_more_policies_than_colours_are_drawn_all_the_same() -> None:
    names = [*POLICIES, "dns_ttl", *(f"mine-{number}" for number in range(20))]
    assert style.policy_colours(names).keys() == set(names)


@pytest.fixture
def placed(run: RunData) -> tuple[RunData, pd.DataFrame]:
    return run, served_flows(run, seen_flows(run))


def test_flow_counts_add_up(placed: tuple[RunData, pd.DataFrame]) -> None:
    run, flows = placed
    counts = flow_counts("render", flows, directory(run))
    assert counts.to_numpy().sum() == (run.flows["service"] == "render").sum()
    at_home = (run.flows["service"] == "render") & (run.flows["ingress"] == "newyork")
    assert counts.at["newyork", "render-1@newyork"] == at_home.sum()
    assert NOBODY not in counts.columns


def test_flows_nobody_served_have_a_column(placed: tuple[RunData, pd.DataFrame]) -> None:
    run, flows = placed
    flows.loc[flows.index[:3], "instance"] = None
    service = str(flows["service"].iloc[0])
    assert flow_counts(service, flows, directory(run))[NOBODY].sum() == 3
