"""The distribution's Chromium, headless, for tests of pages; a test is skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("capability chromium is missing: install it, or run `sudo ./dyncast test`")
    with sync_playwright() as playwright:
        # Root may not use Chromium's sandbox, and a container's /dev/shm is small; the pages are our own.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Complaints:
    """What a page asked for, and what it or the browser found wrong with it."""

    requested: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page) -> Complaints:
        """Listen to a page from now on."""
        heard = cls()
        page.on("request", lambda request: heard.requested.append(request.url))
        page.on("requestfailed", lambda request: heard.wrong.append(f"failed: {request.url}"))
        page.on("console", lambda message: heard.wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.wrong.append(str(error)))
        return heard


def overflow_px(page: Page) -> int:
    """Return by how much the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
