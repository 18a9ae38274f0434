"""The report of a run: complete, self-contained, well formed, escaped; and what goes into its pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from testbed.analysis import html_report
from testbed.analysis.html_report import files
from testbed.analysis.html_report.blocks import tabulate
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.html_report.run import load_figures, network_figure
from testbed.analysis.html_report.run.flow_figures import most_first
from testbed.analysis.html_report.run.signalling_figure import bytes_per_s
from testbed.analysis.measures.columns import THREE_DIGITS
from testbed.analysis.measures.summary import summarise
from testbed.analysis.plots import style as plot_style
from testbed.analysis.run_data.loading import RunDataError, load
from tests.analysis_data import Row, write_run, write_tables
from tests.report_page import ReportPage
from tests.report_runs import DURATION_S, REASON, amend_manifest, write_reported_run

HOSTILE = """</title><script>alert('1')</script>&"<b>$x^2$ -->"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reported_run(tmp_path_factory.mktemp("synthetic") / "r1")


@pytest.fixture(scope="module")
def html(run_dir: Path) -> str:
    path = files.write_run(summarise(load(run_dir)))
    assert path == run_dir / "report.html"
    assert [item.name for item in run_dir.glob("report*")] == ["report.html"], "a part was left behind"
    return path.read_text(encoding="utf-8")


def test_a_report_has_every_part_under_headings_in_order(html: str) -> None:
    page = ReportPage.of(html)
    assert [tag for tag, _ in page.headings] == ["h1"] + ["h2"] * (len(page.headings) - 1)
    titles = [title for _, title in page.headings]
    parts = ["Network", "Requests", "RTP streams", "Load of instances", "Where flows went", "Decisions", "Faults"]
    assert titles[1:] == [*parts, "Signalling", "Checks and fidelity", "Scenario and manifest"]
    assert {reference[1:] for reference in page.references if reference.startswith("#")} >= {"faults", "manifest"}


def test_a_report_says_what_the_verdict_is_and_why(html: str) -> None:
    texts = ReportPage.of(html).texts
    assert "suspect" in texts
    assert REASON in texts


def test_a_report_names_the_processes_that_stood_still_longest_the_worst_first(tmp_path: Path) -> None:
    gaps_ms = {f"render-{number}@east": 2000.0 - number for number in range(30)}
    run_dir = write_reported_run(tmp_path / "r1")
    amend_manifest(run_dir, process_gaps_ms=gaps_ms)
    texts = ReportPage.of(files.write_run(summarise(load(run_dir))).read_text(encoding="utf-8")).texts
    named = [text for text in texts if text in gaps_ms]
    assert named == list(gaps_ms)[:10]


def test_nothing_in_a_report_comes_from_elsewhere(html: str) -> None:
    page = ReportPage.of(html)
    assert all(reference.startswith(("#", "data:")) for reference in page.references), page.references
    assert not {"script", "img", "iframe", "object", "image"} & set(page.elements)
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []


def test_ids_are_unique_and_every_reference_to_one_is_good(html: str) -> None:
    page = ReportPage.of(html)
    assert [name for name, times in page.ids.items() if times > 1] == []
    wanted = set(re.findall(r"url\(#([^)]+)\)", html)) | {item[1:] for item in page.references if item[0] == "#"}
    assert wanted <= set(page.ids)


def test_pictures_are_named_captioned_and_themed(html: str) -> None:
    page = ReportPage.of(html)
    assert page.elements["svg"] == page.elements["figure"] == page.elements["figcaption"] > 8
    assert all(svg["role"] == "img" and svg["aria-label"] and svg["viewbox"] for svg in page.having("svg"))
    pictures = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}\b", pictures) == [], "a colour that no theme knows"
    assert "font-family" not in pictures
    assert "var(--blue)" in pictures


def test_every_colour_of_a_picture_is_one_of_the_style_sheet(html: str) -> None:
    defined = set(re.findall(r"(--[a-z0-9-]+):", html)) | {"--share"}
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", html)) <= defined


def test_tables_have_captions_headings_and_rows_with_names(html: str) -> None:
    page = ReportPage.of(html)
    assert page.elements["table"] == page.elements["caption"] == page.elements["thead"] > 8
    assert {heading["scope"] for heading in page.having("th")} == {"col", "row"}


def test_text_from_files_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", duration_s=15.0, calls=2)
    manifest = json.loads((run_dir / "manifest.json").read_text())
    for name in ("instances", "flows", "affinity", "faults"):
        table = run_dir / f"{name}.csv"
        quoted = '"' + HOSTILE.replace('"', '""') + '"'
        table.write_text(table.read_text().replace("render-1@newyork", quoted).replace("newyork-chicago", quoted))
    told = {"verdict": HOSTILE, "reasons": [HOSTILE]}
    amend_manifest(run_dir, scenario=HOSTILE, policy=HOSTILE, description=HOSTILE, topology=HOSTILE, fidelity=told)
    amend_manifest(run_dir, instances=[*manifest["instances"], {"name": HOSTILE, "service": "render", "site": HOSTILE}])
    (run_dir / "scenario.yaml").write_text(HOSTILE)
    html = files.write_run(summarise(load(run_dir))).read_text(encoding="utf-8")
    page = ReportPage.of(html)
    assert not page.elements["script"]
    assert not page.elements["b"]
    assert page.headings[0] == ("h1", f"{HOSTILE}: {HOSTILE}")
    assert HOSTILE in page.texts, "the name of an instance or a site is drawn and listed as it is"


def test_a_run_in_which_nothing_happened_has_a_report_too(tmp_path: Path) -> None:
    run = load(write_tables(tmp_path / "run", {}, {}))
    page = ReportPage.of(files.write_run(summarise(run)).read_text(encoding="utf-8"))
    assert [title for _, title in page.headings[1:]] == ["Checks and fidelity", "Scenario and manifest"]
    assert "unchecked" in page.texts


def test_a_corrupt_topology_is_an_error_of_one_line(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", duration_s=13.0, calls=1)
    (run_dir / "topology.yaml").write_text("nodes: [")
    with pytest.raises(RunDataError, match=r"topology\.yaml.*run the scenario again") as caught:
        files.write_run(summarise(load(run_dir)))
    assert "\n" not in str(caught.value)
    assert not list(run_dir.glob("report*"))


# -- contrast --------------------------------------------------------------------------------------------


def _themes() -> dict[str, dict[str, str]]:
    style = (Path(html_report.__file__).with_name("templates") / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark, printed = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": dark, "print": printed}


def _luminance(colour: str) -> float:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(first: str, second: str) -> float:
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_colours_can_be_read_in_every_theme(theme: str) -> None:
    colours = _themes()[theme]
    assert set(colours) == set(_themes()["light"])
    for text in ("ink", "faint", "link", "good", "doubt", "bad"):
        for ground in ("ground", "raised"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("blue", "orange", "green", "vermilion", "purple", "sky", "grey"):
        assert _contrast(colours[line], colours["ground"]) >= 3.0, line


# -- what is drawn ---------------------------------------------------------------------------------------


def test_a_curve_of_a_million_values_is_thinned_without_changing_its_shape() -> None:
    values = np.random.default_rng(1).lognormal(3, 1.5, 1_000_000)
    axes = Canvas().add_subplot()
    plot_style.share_curve(axes, values, 2 * len(values), 1e6)
    x, share = axes.lines[0].get_xdata(), axes.lines[0].get_ydata()
    assert len(x) < 2000
    looked_at = np.quantile(values, np.linspace(0.0, 1.0, 5001))
    drawn = np.asarray(share)[np.searchsorted(x, looked_at, side="right") - 1]
    true = np.searchsorted(np.sort(values), looked_at, side="right") / (2 * len(values))
    assert np.abs(drawn - true).max() < 1e-3


def test_a_picture_stays_small_however_much_is_drawn() -> None:
    values = np.random.default_rng(1).lognormal(3, 1.5, 200_000)
    figure = Sketchbook().draw(
        "t", "n", lambda canvas: plot_style.share_curve(canvas.add_subplot(), values, 200_000, 1e4)
    )
    assert len(figure.svg) < 60_000


def test_neighbours_of_one_shade_are_one_rectangle() -> None:
    axes = Canvas().add_subplot()
    shares = pd.DataFrame([[0.0, 0.01, 1.0, np.nan], [1.0, 1.0, 1.0, 1.0]], index=["a", "b"])
    load_figures._shaded_rows(axes, shares, np.arange(5.0))
    drawn = {patch.get_facecolor()[:3]: len(patch.get_path().vertices) // 5 for patch in axes.patches}
    assert sorted(drawn.values()) == [1, 2], "one for a's two idle steps; one each for a and b when busy"


def test_bytes_are_counted_in_the_step_in_which_a_counter_grew() -> None:
    control = pd.DataFrame(
        [
            (0.5, "a", "sent", "b", "report", 100.0),
            (1.5, "a", "sent", "b", "report", 300.0),
            (3.5, "a", "sent", "b", "report", 340.0),
            (1.6, "b", "sent", "a", "report", 50.0),
            (3.6, "b", "sent", "a", "report", 10.0),  # it began anew
            (1.7, "b", "received", "a", "report", 1e9),
            (1.8, "b", "sent", "a", "probe", 7.0),
        ],
        columns=["time_s", "node", "direction", "peer", "kind", "bytes"],
    )
    rates = bytes_per_s(control, np.array([0.0, 2.0, 4.0]))
    assert rates["report"].tolist() == [(100 + 200 + 50) / 2, (40 + 10) / 2]
    assert rates["probe"].tolist() == [3.5, 0.0]


def test_links_have_their_load_and_what_of_their_rate_it_is(run_dir: Path) -> None:
    run = load(run_dir)
    links = network_figure.link_loads(run, network_figure.read_topology(run)).set_index("direction")
    there, back = links.loc["core → chicago"], links.loc["chicago → core"]
    assert there["mbps"] == pytest.approx(25e6 * 8e-6 / DURATION_S)
    assert (there["used"], there["lost_random"], there["lateness_p99_ms"]) == (pytest.approx(0.1), 3, 0.5)
    assert np.isnan(back["lost_random"]), "what the backend does not count is not nought"


@pytest.mark.parametrize(("duration_s", "step_s"), [(20.0, 0.5), (60.0, 0.5), (600.0, 5.0), (86_400.0, 600.0)])
def test_steps_of_time_are_round_and_as_many_as_can_be_shown(duration_s: float, step_s: float) -> None:
    time = TimeAxis(1000.0, 1000.0 + duration_s, pd.DataFrame())
    edges_s = time.edges_s()
    assert np.diff(edges_s).min() == pytest.approx(step_s)
    assert edges_s[-1] >= duration_s
    assert len(edges_s) <= 241
    times_s = pd.Series([999.9, 1000.0, 1000.0 + duration_s - 1e-6, np.nan, 1e9])
    assert time.steps(times_s, edges_s).tolist() == [-1, 0, len(edges_s) - 2, -1, -1]


def test_what_is_beyond_the_most_is_taken_together() -> None:
    amounts = pd.DataFrame({"a": [1, 1], "b": [5, 5], "c": [3, 0], "d": [2, 0]})
    assert most_first(amounts, 4).columns.tolist() == ["b", "c", "a", "d"]
    shown = most_first(amounts, 3)
    assert shown.columns.tolist() == ["b", "c", "2 others"]
    assert shown["2 others"].tolist() == [3, 1]


def test_figures_of_all_sorts_have_three_digits() -> None:
    shown = {0.0: "0", 0.01234: "0.0123", 12.615: "12.6", 995_600.4: "995,600", float("nan"): "-"}
    assert [tabulate.cell(value, THREE_DIGITS).text for value in shown] == list(shown.values())


def test_absent_figures_are_shown_as_such_and_long_tables_are_cut() -> None:
    frame = pd.DataFrame({"name": ["x"] * 300, "value": [float("nan"), *range(299)]})
    table = tabulate.table("t", frame, {"name": ("name", ""), "value": ("value", ",d")}, file="values.csv")
    assert [cell.text for cell in table.rows[0]] == ["x", "-"]
    assert len(table.rows) == 250
    assert table.note == "50 more rows in values.csv."


# -- whose folder it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "is_study"),
    [
        (["manifest.json"], False),
        (["scenario.yaml", "work/flows.part.csv"], False),
        (["flows.csv"], False),
        (["study.yaml"], True),
        (["20260101-000000/manifest.json", "report.html"], True),
        (["runs/a-1/20260101-000000/manifest.json", "comparison/runs.csv"], True),
    ],
)
def test_a_study_is_told_from_a_run(tmp_path: Path, made: list[str], is_study: bool) -> None:
    for name in made:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files.is_study(tmp_path) is is_study


def test_a_folder_without_any_run_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(RunDataError, match="is no run, and there is none below; name results/"):
        files.is_study(tmp_path)


def test_a_study_of_which_no_run_can_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{")
    with pytest.raises(
        RunDataError, match=r"there is no finished run below: .*manifest\.json cannot be read"
    ) as caught:
        files.read_study(tmp_path)
    assert "\n" not in str(caught.value)


def test_commands_at_clients_are_listed(tmp_path: Path) -> None:
    command: Row = {"workload": "load", "client": "c", "argv": "wrk -d 10", "outcome": "failed", "exit_code": 3}
    run = load(write_tables(tmp_path / "run", {"commands": [command]}, {}))
    texts = ReportPage.of(files.write_run(summarise(run)).read_text(encoding="utf-8")).texts
    row = texts.index("load", texts.index("what it said"))
    assert texts[row : row + 5] == ["load", "c", "wrk -d 10", "failed", "3"]
