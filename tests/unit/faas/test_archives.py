"""Archives of code: what is refused before anything is unpacked."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from testbed.faas.actions import archive
from testbed.faas.actions.action import BLACKBOX, NODE, PYTHON
from testbed.faas.errors import ApiError
from testbed.faas.limits import ClusterLimits
from tests.faas_samples import archive as zipped

LIMITS = ClusterLimits(unpacked_bytes=1 << 20, archive_entries=100)


def refusal(octets: bytes, kind: str = PYTHON, limits: ClusterLimits = LIMITS) -> str:
    with pytest.raises(ApiError) as caught:
        archive.check(octets, kind, limits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"), [(PYTHON, "__main__.py"), (NODE, "package.json"), (NODE, "index.js"), (BLACKBOX, "exec")]
)
def test_an_archive_with_its_handler_at_the_top_is_taken(kind: str, name: str) -> None:
    archive.check(zipped(name, "lib/other.py", "folder/"), kind, LIMITS)


def test_an_archive_without_a_handler_is_refused_by_what_it_needs() -> None:
    assert "__main__.py" in refusal(zipped("lib/__main__.py"))
    assert "package.json or index.js" in refusal(zipped("__main__.py"), NODE)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up", "..\\up", "a/.."])
def test_an_entry_that_would_leave_the_folder_is_refused_by_name(name: str) -> None:
    assert repr(name) in refusal(zipped("__main__.py", name))


def test_a_link_is_refused() -> None:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as opened:
        opened.writestr("__main__.py", "")
        link = zipfile.ZipInfo("way-out")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc")
    assert "way-out" in refusal(octets.getvalue())


def test_a_bomb_is_refused_unread() -> None:
    bomb = zipped("__main__.py", "zeros", content=bytes(2 << 20))
    assert len(bomb) < 10_000
    assert "unpacks to 4 MB" in refusal(bomb)


def test_too_many_entries_are_refused() -> None:
    assert "entries" in refusal(zipped("__main__.py", *(f"f{n}" for n in range(100))))
    assert "entries" in refusal(zipped("__main__.py", *(f"f{n}" for n in range(500))))


def test_an_entry_that_stands_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        octets = zipped("__main__.py", "__main__.py")
    assert "twice" in refusal(octets)


def test_what_is_no_archive_is_refused() -> None:
    whole = zipped("__main__.py")
    for octets in (b"", b"PK", b"PK\x03\x04" + bytes(100), whole[:-10], whole[:-30]):
        assert "zip" in refusal(octets)
