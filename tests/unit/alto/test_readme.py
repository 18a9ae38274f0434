"""docs/alto/README.md: its server runs, and says what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/alto/README.md"


def test_the_server_in_a_few_lines_answers(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(program, str(PAGE), "exec"), {})
    answer = json.loads(capsys.readouterr().out)
    assert answer["cost-map"] == {"edge": {"rest": 9}}
