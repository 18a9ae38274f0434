"""Names of files that stand for names: of one name alone, and in no other folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.records.file_names import file_name, part_path
from topologies import catalogue

_NAMES = st.text(st.characters(blacklist_categories=[])) | st.text("./%~ab\0\n-é")


@given(_NAMES)
def test_it_is_the_name_of_one_file_in_the_folder(name: str) -> None:
    found = file_name(name)
    assert found and not found.startswith(".") and found.isprintable()
    assert Path("/folder", found).name == found
    assert len(found.encode()) < 200


@given(_NAMES, _NAMES)
def test_no_two_names_have_one(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(_NAMES, st.integers(1, 99), _NAMES)
def test_an_earlier_life_is_no_other_process(process: str, life: int, other: str) -> None:
    assert part_path(Path("f"), "flows", process, life) != part_path(Path("f"), "flows", other)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("control@St Paul", "control@St Paul"),
        ("Minneapolis/St Paul", "Minneapolis%2FSt Paul"),
        (".hidden", "%2Ehidden"),
        ("..", "%2E."),
        ("-rf", "-rf"),
        ("Köln [1]", "Köln [1]"),
        ("100%", "100%25"),
    ],
)
def test_what_can_stand_there_does(name: str, expected: str) -> None:
    assert file_name(name) == expected


def test_long_names_keep_their_begin() -> None:
    names = [f"{'ä' * 80}{number}" for number in range(100)]
    found = {file_name(name) for name in names}
    assert len(found) == 100
    assert all(name.startswith("ä" * 40) for name in found)


def test_nodes_of_the_whole_catalogue_have_files_of_their_own() -> None:
    for names in catalogue.names().values():
        for topology in map(catalogue.load, names):
            found = {file_name(node.name) for node in topology.nodes}
            assert len(found) == len(topology.nodes)
            assert not any("/" in name or name.startswith(".") for name in found)
