"""What ALTO answers, as tables of a terminal."""

from __future__ import annotations

from testbed.alto.client.answers import Properties
from testbed.cli.alto import tables


def shown(known: Properties) -> dict[str, list[object]]:
    return {str(column.header): list(column.cells) for column in tables.properties(known).columns}


def test_a_property_of_any_form_is_shown_as_json_has_it_and_a_text_as_it_is() -> None:
    of_a = {".name": "a", ".priv:slots": 3, ".priv:functions": {"f": {"warm": 2}}}
    assert shown(Properties({".ane:a": of_a, ".ane:b": {".name": None}})) == {
        "of": [".ane:a", ".ane:b"],
        ".name": ["a", ""],
        ".priv:slots": ["3", ""],
        ".priv:functions": ['{"f":{"warm":2}}', ""],
    }


def test_many_properties_have_a_line_each() -> None:
    values = {f".p{number}": str(number) for number in range(7)}
    assert shown(Properties({".ane:a": values})) == {
        "of": [".ane:a", *[""] * 6],
        "property": list(values),
        "value": list(values.values()),
    }
