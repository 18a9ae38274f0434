"""The live page in a browser: it draws the network, moves with the run, and stands on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage

from testbed.experiment.live import documents
from testbed.experiment.live.event_server import Broadcast, EventServer
from testbed.runtime.polling import wait_until
from tests.browser import chromium
from tests.live_sample import SampleRun, demo_plan

pytestmark = pytest.mark.timeout(120)
PLAN = demo_plan()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Watched:
    """A page that is open on a run, and all that it complains of."""

    def __init__(self, browser: Browser, work: Path, plan: Any = PLAN, **context: Any) -> None:
        self.run = SampleRun(plan, work)
        self.broadcast = Broadcast()
        self.publish("network", documents.network(plan))
        self.server = EventServer(self.broadcast)
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url.removeprefix(self.server.url)))

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def publish(self, kind: str, document: dict[str, Any], *, last: bool = False) -> None:
        self.broadcast.publish(kind, documents.event(kind, document), last=last)

    def at(self, elapsed_s: float) -> None:
        self.publish("state", documents.state(self.run.at(elapsed_s)))

    def __enter__(self) -> Watched:
        self.run.__enter__()
        self.server.__enter__()
        self.page.goto(self.server.url)
        return self

    def __exit__(self, *error: Any) -> None:
        self.context.close()
        self.server.__exit__(*error)
        self.run.__exit__(*error)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def wait(self, expression: str) -> None:
        # Asked from here, for the page's policy forbids that it evaluates text by itself.
        wait_until(lambda: self.page.evaluate(expression), 15, expression)


def test_the_page_moves_with_the_run(browser: Browser, tmp_path: Path) -> None:
    with Watched(browser, tmp_path, viewport={"width": 1280, "height": 900}) as watched:
        watched.publish("phase", {"text": "traffic: 7 clients"})
        watched.at(4)
        watched.wait("document.querySelectorAll('#map .site').length === 5 && state !== null")
        titles = watched.page.locator("#map g > title").all_text_contents()
        assert {f"{node.name} ({node.role.name.replace('d_router', 'D-Router')})" for node in PLAN.topology.nodes} == {
            title for title in titles if title.endswith(")")
        }
        assert watched.text("#scenario") == "demo" and watched.text("#phase") == "traffic: 7 clients"
        assert watched.text("#link") == "live"
        rings = (
            "[...document.querySelectorAll('#map .busy')].map((ring) => ring.getAttribute('stroke-dasharray')).join()"
        )
        before = watched.page.evaluate(rings)
        watched.wait("dots.length > 0")  # flows on their way

        watched.at(8.5)
        watched.wait("document.querySelector('#time').textContent.startsWith('8 of 40 s')")
        assert watched.page.evaluate(rings) != before
        assert watched.page.locator("#map .is-cut").count() == 1
        assert "render-1@washington" in watched.text("#instances .is-off")
        assert watched.page.locator("#faults .is-on").count() == 2
        assert "due at 30 s" in watched.text("#faults")
        assert float(watched.text("#steered")) > 20

        watched.at(13)
        watched.wait("document.querySelectorAll('#map .is-cut').length === 0")
        end = {"status": "finished", "error": "", "run_dir": "results/demo/1", "verdict": "valid", "reasons": []}
        watched.publish("end", end, last=True)
        watched.wait("!document.querySelector('#outcome').hidden")
        assert "results/demo/1" in watched.text("#outcome") and watched.text("#link") == "finished: valid"
        assert watched.complaints == []
        assert {url for url in watched.requests if not url.startswith("data:")} == {"", "events"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser: Browser, tmp_path: Path, scheme: str) -> None:
    size = {"width": 360, "height": 740}
    with Watched(browser, tmp_path, viewport=size, color_scheme=scheme, reduced_motion="reduce") as watched:
        watched.publish("phase", {"text": "7.02 s: instance_crash render-1@washington (which is nowhere near the end)"})
        watched.at(8.5)
        watched.wait("state !== null")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
        ground = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground.strip("rgb()").split(","))) < 200) == (scheme == "dark")
        # Who wants no motion sees how many flows a link carries by its width alone.
        watched.wait(
            "Math.max(...[...net.lines.values()].map((line) => parseFloat(line.carries.style.strokeWidth))) > 4"
        )
        assert watched.page.evaluate("dots.length") == 0
        assert watched.complaints == []


def test_names_are_text_whatever_they_hold(browser: Browser, tmp_path: Path) -> None:
    nasty = "<img src=x onerror=alert(1)>\"'&"
    with Watched(browser, tmp_path) as watched:
        network = documents.network(PLAN)
        network |= {"scenario": nasty, "description": nasty, "policy": nasty}
        network["faults"][0]["target"] = nasty
        for node in network["nodes"]:
            node["label"] = nasty
        watched.publish("network", network)
        watched.at(8.5)
        watched.wait("state !== null")
        watched.publish("end", {"status": "failed", "error": nasty, "run_dir": nasty}, last=True)
        watched.wait("!document.querySelector('#outcome').hidden")
        assert nasty in watched.text("#outcome") and watched.text("#scenario") == nasty
        assert watched.page.locator("img").count() == 0
        assert watched.complaints == []
