"""Merge patches: every example of RFC 7396, and patches made from two documents."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from testbed.alto.updates.patches.merge_patch import NotExpressible, merge, patch_between, same

# RFC 7396, appendix A: original, patch, result.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), EXAMPLES)
def test_the_examples_of_the_rfc_come_out(original: Any, patch: Any, result: Any) -> None:
    assert same(merge(copy.deepcopy(original), patch), result)


def test_the_document_of_section_3_is_patched_as_the_rfc_shows() -> None:
    document = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "This will be unchanged",
    }
    patch = {"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": None}, "tags": ["example"]}
    assert merge(document, patch) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


@pytest.mark.parametrize(("old", "new", "patch"), [
    ({"a": 1}, {"a": 1}, {}),
    ({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2, "d": 4}}, {"b": {"d": 4}}),
    ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
    ({"a": {"b": 1}}, {}, {"a": None}),
    ({"a": 1}, {"a": {}}, {"a": {}}),
    ({}, {"a": {"b": {}}}, {"a": {"b": {}}}),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 1}}, "d": 2}, {"d": 2}),
    ({"a": True}, {"a": 1}, {"a": 1}),
    ({"a": [1, None]}, {"a": [None]}, {"a": [None]}),
    ({"a": None}, {"a": None, "b": 1}, {"b": 1}),
    ([1], {"a": 1}, {"a": 1}),
    ({"a": 1}, None, None),
])  # fmt: skip
def test_a_patch_between_documents_has_what_changed_and_no_more(old: Any, new: Any, patch: Any) -> None:
    assert same(patch_between(old, new), patch)
    assert same(merge(copy.deepcopy(old), patch), new)


@pytest.mark.parametrize(("old", "new"), [
    ({"a": 1}, {"a": None}), ({}, {"a": {"b": None}}), ([], {"a": None}), ({"a": {}}, {"a": {"b": {"c": None}}}),
])  # fmt: skip
def test_a_member_that_becomes_null_cannot_be_said(old: Any, new: Any) -> None:
    with pytest.raises(NotExpressible, match="null"):
        patch_between(old, new)


def test_nesting_of_any_depth_is_followed() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50_000):
        deep = {"a": deep}
    merged = merge({}, deep)
    assert same(merged, deep)
    assert patch_between(merged, deep) == {}
    while deep:  # Python itself would take it apart by recursion
        deep, merged = deep.pop("a"), merged.pop("a")
