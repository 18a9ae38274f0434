"""docs/processes.md: its tables are those of the dataclasses, and its examples are documents that processes read."""

from __future__ import annotations

import json
import re

import pytest

from tests import key_tables
from tests.process_configs import PROCESSES

_PAGE = key_tables.PAGE.read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)


def test_the_tables_say_what_processes_read() -> None:
    assert key_tables.written(_PAGE) == _PAGE, "write them again: python -m tests.key_tables"


@pytest.mark.parametrize("name", [*PROCESSES, "CFN Dispatcher"])
def test_the_example_of_a_process_is_one_that_it_reads(name: str) -> None:
    example = _EXAMPLE.search(_PAGE, _PAGE.index(f"## {name}\n"))
    assert example is not None
    kind = PROCESSES["D-Router control" if name == "CFN Dispatcher" else name]
    config = kind.from_document(json.loads(example[1]))
    assert kind.from_document(config.to_document()) == config
