"""Reports of a run and of a study in a real browser: on phone and desktop, light and dark, and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from testbed.analysis.html_report import files
from testbed.analysis.measures.summary import summarise
from testbed.analysis.run_data.loading import load
from tests.browser import Complaints, chromium, overflow_px
from tests.report_runs import write_reported_run
from tests.study_runs import rated, verdict, write_study_run

_GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}
_TEXTS_OUTSIDE = """() => [...document.querySelectorAll("svg.picture")].flatMap(picture => {
    const box = picture.getBoundingClientRect();
    return [...picture.querySelectorAll("text")].filter(text => {
        const own = text.getBoundingClientRect();
        const across = own.left < box.left - 2 || own.right > box.right + 2;
        return across || own.top < box.top - 2 || own.bottom > box.bottom + 2;
    }).map(text => text.textContent);
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    run_dir = write_reported_run(folder / "run")
    study = folder / "study"
    for seed in (1, 2, 3):
        for policy in ("closest", "dyncast"):
            for rate_per_s in (45, 90):
                completions_ms = [10.0 * seed, 20.0 + rate_per_s, 60.0]
                run = study / "runs" / f"{policy}-{rate_per_s}-{seed}"
                said = verdict("suspect", "late by 4 ms") if seed == 3 else {}
                write_study_run(run, policy, seed, completions_ms, scenario=rated(rate_per_s), manifest=said)
    figures = files.read_study(study)
    files.write_runs(figures)
    return {"run": files.write_run(summarise(load(run_dir))), "study": files.write_study(study, figures)}


@pytest.mark.parametrize("what", ["run", "study"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 1280])
def test_a_report_shows_without_complaint(
    browser: Browser, reports: dict[str, Path], what: str, scheme: str, width_px: int
) -> None:
    page = browser.new_page(viewport={"width": width_px, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    complaints = Complaints.of(page)
    page.goto(reports[what].as_uri())
    assert complaints.wrong == []
    assert [url for url in complaints.requested if not url.startswith("data:")] == [reports[what].as_uri()]
    assert overflow_px(page) <= 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == _GROUNDS[scheme]
    assert page.evaluate(_TEXTS_OUTSIDE) == []
    page.close()


def test_a_study_leads_to_the_reports_of_its_runs(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(reports["study"].as_uri())
    assert page.locator("#runs table a").count() == 12
    page.locator("#runs table a").first.click()
    assert page.locator("h1").inner_text() == "hand: closest"
    page.close()


@pytest.mark.parametrize("what", ["run", "study"])
def test_a_report_can_be_printed(browser: Browser, reports: dict[str, Path], what: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(reports[what].as_uri())
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 1
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == _GROUNDS["light"], "dark ink on paper"
    page.close()
