"""What holds for every YAML document: what was written is read, whether by YAML 1.1 or 1.2; other text is refused."""

from __future__ import annotations

import math

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from testbed import yaml_documents
from testbed.yaml_documents import YamlError

_MARKS = st.text("aeEoxN0127.:-+_~<={}[],&*!|>#'\"%@` \n\t")  # what YAML is made of
_WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")) | _MARKS
_SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | _WORDS
_DOCUMENTS = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=20
)


@given(_DOCUMENTS)
@example(["\x85", "a\x85b", "\u2028", "a\u2029", "a\r\nb", {"a\x85": "\r"}])
def test_what_was_written_is_read(document: object) -> None:
    written = yaml_documents.dump(document)
    assert yaml_documents.parse(written, "x") == document
    assert yaml.safe_load(written) == document


@given(_MARKS | st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        yaml_documents.parse(text, "x.yaml")
    except YamlError as error:
        assert str(error).startswith("x.yaml")
        assert "\n" not in str(error)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(), min_size=1), st.data())
def test_a_key_that_stands_twice_is_always_found(document: dict[str, int], data: st.DataObject) -> None:
    lines = yaml_documents.dump(document).splitlines()
    again = data.draw(st.sampled_from(sorted(document)))
    lines.insert(data.draw(st.integers(0, len(lines))), f"{again}: 1")
    try:
        read = yaml_documents.parse("\n".join(lines), "x.yaml")
    except YamlError as error:
        assert f"the key {again} stands twice" in str(error)
    else:
        raise AssertionError(read)


@given(st.floats(allow_infinity=False, allow_nan=False))
def test_numbers_are_read_as_python_writes_them(number: float) -> None:
    assert yaml_documents.parse(repr(number), "x") == number
    assert not math.isnan(yaml_documents.parse(f"{number:e}", "x"))
