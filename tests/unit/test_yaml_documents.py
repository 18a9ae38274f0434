"""YAML documents: what is read is what is written, all else is refused with its line, and no document is costly."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import yaml_documents
from testbed.yaml_documents import YamlError

_ROOT = Path(__file__).parents[2]
_MOST_MIB = 1024  # that reading any document may take, the interpreter included


def _read(text: str) -> Any:
    return yaml_documents.parse(text, "x.yaml")


@pytest.mark.parametrize(
    "word", ["NO", "no", "yes", "Off", "on", "y", "12:30", "190:20:30", "1_000", "2026-01-02", "="]
)
def test_a_word_that_yaml_1_1_takes_for_something_else_is_a_word(word: str) -> None:
    assert _read(f"at: {word}") == {"at": word}
    assert _read(f"[{word}]") == [word]
    assert _read(f"{word}: 1") == {word: 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-1", 0.1), ("1E3", 1000.0), (".5", 0.5), ("1.", 1.0), (".inf", math.inf), ("-.Inf", -math.inf),
        ("+7", 7), ("-0", 0), ("010", 10), ("0x1F", 31), ("0o17", 15),
        ("~", None), ("", None), ("Null", None), ("TRUE", True), ("false", False),
        ('"1"', "1"), ("'true'", "true"), ("!!str 1", "1"), ("! 1", "1"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = _read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(_read(".NaN"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", ["line 3", "the key a stands twice", "first in line 1"]),
        ("s:\n  - t: {k: 1}\n  - t:\n      k: 5\n      k: 500", ["line 5", "s[1].t: the key k stands twice", "line 4"]),
        ('a: 1\n"a": 2', ["line 2", "the key a stands twice"]),
        ("a: {<<: {b: 1}, <<: {c: 1}}", ["line 1", "the key << stands twice"]),
        ("1: x", ["line 1", "the key 1 is no word", "put it in quotes"]),
        ("a:\n  true: x", ["line 2", "a: the key true is no word", "put it in quotes"]),
        ("? \n: x", ["line 1", "(nothing) is no word"]),
        ("? [a]\n: x", ["a key must be a word"]),
        ("<<: 3", ["line 1", "<< merges mappings"]),
        ("a: *b", ["line 1", "*b stands for nothing before it"]),
        ("a: &b\n  - *b", ["line 2", "*b stands within itself"]),
        ("--- a\n--- b", ["line 2", "a second document"]),
        ("a: !!python/object/apply:os.system [id]", ["line 1", "tag", "is not known"]),
        ("a: !!binary aGk=", ["line 1", "is not known"]),
        ("a: [", ["line 1", "is no YAML"]),
        ("a:\n\t- b", ["line 2", "is no YAML"]),
        ("a: \x00", ["is no YAML"]),
        ('a: "\\0"', ["line 1", "a NUL character"]),
        ("a: \ud800", ["is no YAML"]),
        (f"a: {'9' * 5000}", ["line 1", "a number of 5000 digits"]),
        ('"a\\nb": 1\n"a\\nb": 2', ["line 2", r"the key 'a\nb' stands twice"]),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_in_a_line_that_says_where(text: str, words: list[str]) -> None:
    with pytest.raises(YamlError) as caught:
        _read(text)
    message = str(caught.value)
    assert message.startswith("x.yaml")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_merge_keys_give_what_a_mapping_has_not_itself() -> None:
    read = _read("a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc: {q: 3, <<: [*a, *b]}\nd: {'<<': 4}")
    assert read["c"] == {"p": 1, "q": 3, "r": 2}
    assert read["d"] == {"<<": 4}


def test_what_aliases_stand_for_are_copies() -> None:
    read = _read("a: &a {b: [1]}\nc: *a")
    read["c"]["b"].append(2)
    assert read["a"] == {"b": [1]}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert yaml_documents.read(path) == {"name": "a"}


@pytest.mark.parametrize(
    ("octets", "words"), [(b"name: \xff", "is no text file"), (b"#" * ((16 << 20) + 1), "is larger than 16 MiB")]
)
def test_a_file_that_holds_no_document(octets: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(octets)
    with pytest.raises(YamlError, match=words):
        yaml_documents.read(path)


_LAUGHS = r"""
"a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20))
"""
_MERGED = r"""
"a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{x: {{<<: *a{i - 1}}}, y: *a{i - 1}}}\n" for i in range(1, 50))
"""
_HOSTILE = {
    "deep lists": '"[" * 1_000_000',
    "deep mappings": '"{a: " * 1_000_000',
    "deep blocks": '"- " * 1_000_000 + "a"',
    "laughs": _LAUGHS,
    "merged laughs": _MERGED,
    "deep aliases": r'"a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 5000))',
    "many values": '"[" + "0," * 7_000_000 + "0]"',
    "many empty lists": '"[" + "[]," * 5_000_000 + "0]"',
    "many digits": '"a: " + "9" * 10_000_000',
}


@pytest.mark.parametrize("made_by", _HOSTILE.values(), ids=_HOSTILE)
def test_no_document_costs_more_than_its_size(made_by: str) -> None:
    program = f"""
import resource, sys
from testbed.yaml_documents import YamlError, parse
text = {made_by.strip()}
limit = {_MOST_MIB} << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
try:
    parse(text, "x.yaml")
except YamlError as error:
    sys.exit(f"refused: {{error}}")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("refused: x.yaml"), done.stderr[-500:]
    assert len(done.stderr) < 300


def test_only_one_module_reads_and_writes_yaml() -> None:
    users = [
        str(path.relative_to(_ROOT))
        for package in ("testbed", "topologies", "traffic", "ryu_apps")
        for path in (_ROOT / package).rglob("*.py")
        if any(line.startswith(("import yaml", "from yaml")) for line in path.read_text(encoding="utf-8").splitlines())
    ]
    assert users == ["testbed/yaml_documents.py"]


@pytest.mark.parametrize(
    "word", ["NO", "12:30", "1e-1", "0o17", "0x1f", "7", "1_000", "true", "~", "", "<<", "=", "2026-01-02"]
)
def test_what_is_written_every_reader_reads_as_it_was(word: str) -> None:
    written = yaml_documents.dump({"a": word, word: [word]})
    for found in (_read(written), yaml.safe_load(written)):
        assert found == {"a": word, word: [word]}
