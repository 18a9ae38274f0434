"""Every locked package has its licence in docs/licences.md, as its own metadata say."""

from __future__ import annotations

from tests.licences import PAGE, page, rows
from tests.locks import RUN, TEST


def test_the_page_has_every_package_with_the_licence_of_its_metadata():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.licences"


def test_every_licence_is_known():
    unknown = [row for lock in (RUN, TEST) for row in rows(lock).values() if "?" in row]
    assert not unknown


def test_what_is_copyleft_is_said_apart():
    copyleft = {name for lock in (RUN, TEST) for name, row in rows(lock).items() if "GPL" in row.split("|")[2]}
    assert copyleft == {"scapy"}
