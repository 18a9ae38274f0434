"""Rows are handed out once, whole, whatever happens to the file meanwhile."""

from __future__ import annotations

from pathlib import Path

from testbed.experiment.live.tail import Tail
from testbed.records.parts import archive_parts
from testbed.records.writer import RecordWriter


def _write(folder: Path, *numbers: int) -> None:
    with RecordWriter(folder, "p") as writer:
        for number in numbers:
            writer.write("faults", {"number": number, "detail": "cut, as planned"})


def _numbers(tail: Tail) -> list[str]:
    return [row["number"] for row in tail.rows()]


def test_a_file_that_is_not_there_yet_has_no_rows(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "faults", "p")
    assert tail.rows() == []
    _write(tmp_path, 1)
    (row,) = tail.rows()
    assert (row["number"], row["detail"]) == ("1", "cut, as planned")
    assert tail.rows() == []


def test_half_a_row_waits_for_its_other_half(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "faults", "p")
    _write(tmp_path, 1)
    with (tmp_path / "faults.p.part.csv").open("a", encoding="utf-8") as stream:
        stream.write("2,,,link_down,a - b,begin,")
        stream.flush()
        assert _numbers(tail) == ["1"]
        stream.write(",,,,\r\n3,")
        stream.flush()
        assert _numbers(tail) == ["2"]


def test_a_successor_of_a_killed_process_is_followed(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "faults", "p")
    _write(tmp_path, 1)
    assert _numbers(tail) == ["1"]
    with (tmp_path / "faults.p.part.csv").open("a", encoding="utf-8") as stream:
        stream.write("2,,,link_down,a - b,begin,,,,,\r\n3,,,li")
    archive_parts(tmp_path, "p")
    assert _numbers(tail) == ["2"]  # written after the last look, before the process was killed
    _write(tmp_path, 4)
    assert _numbers(tail) == ["4"]
    _write_more(tmp_path, 5)
    assert _numbers(tail) == ["5"]


def _write_more(folder: Path, number: int) -> None:
    with (folder / "faults.p.part.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{number},,,link_down,a - b,begin,,,,,\r\n")


def test_both_lives_are_read_if_the_process_came_back_between_two_looks(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "faults", "p")
    _write(tmp_path, 1)
    assert _numbers(tail) == ["1"]
    _write_more(tmp_path, 2)
    archive_parts(tmp_path, "p")
    _write(tmp_path, 3)
    assert _numbers(tail) == ["2", "3"]


def test_a_look_reads_no_more_than_it_may(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "faults", "p", most_bytes=100)
    _write(tmp_path, *range(200))
    seen: list[str] = []
    looks = 0
    while len(seen) < 200:
        looks += 1
        rows = _numbers(tail)
        assert len(rows) <= 5
        seen += rows
        assert looks < 1000
    assert seen == [str(number) for number in range(200)]
    assert looks > 40


def test_rows_of_another_form_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "faults.p.part.csv").write_text("some,thing,else\r\n\r\n", encoding="utf-8")
    _write_more(tmp_path, 7)
    assert _numbers(Tail(tmp_path, "faults", "p")) == ["7"]
