"""Who takes gzip (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import pytest

from testbed.agents.alto_server.compression import takes_gzip


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("br", False),
        ("identity;q=1, x-gzip", True),
    ],
)
def test_gzip_is_taken_by_those_who_say_so(header: str | None, takes: bool) -> None:
    assert takes_gzip(header) is takes
