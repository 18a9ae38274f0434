"""JSON of others: whatever it says, there is one kind of error."""

from __future__ import annotations

import pytest

from testbed import json_documents


def test_a_document_is_what_it_says() -> None:
    assert json_documents.parse(b'{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "NaN", '{"a": -Infinity}', "[" * 100_000, '{"a":' * 100_000, "9" * 5000, b"\xff\xfe", "\ud800"],
    ids=lambda text: repr(text[:12]),
)
def test_what_cannot_be_used_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        json_documents.parse(text)


def test_how_deep_is_too_deep_does_not_depend_on_the_python() -> None:
    for levels in (1, json_documents.DEEPEST):
        assert json_documents.parse("[" * levels + "]" * levels) is not None
        assert json_documents.parse('{"a":' * levels + "1" + "}" * levels)
    for levels in (json_documents.DEEPEST + 1, 900, 5000, 90_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            json_documents.parse("[" * levels + "]" * levels)
        with pytest.raises(ValueError, match="nested too deeply"):
            json_documents.parse('{"a":' * levels + "1" + "}" * levels)
