"""The register of runs: unique tags, owners told apart from reused process ids, whole files only."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.emulation import run_tag
from testbed.emulation.run_owner import Life, RunOwner
from testbed.emulation.run_tag import RunTag, RunTagError


@pytest.mark.parametrize("value", ["", "12", "12345", "ABCD", "12g4", "../a", "1234\n"])
def test_a_tag_is_four_lower_case_hex_digits(value: str) -> None:
    with pytest.raises(ValueError, match="four lower-case hex digits"):
        RunTag(value)
    assert RunTag.parse(value) is None


def test_names_fit_the_kernel_and_lead_back_to_the_tag() -> None:
    tag = RunTag("0af9")
    for name in (tag.port(99999), tag.bridge(99999)):
        assert len(name) <= 15
        assert RunTag.of_interface(name) == tag


@pytest.mark.parametrize(
    "name", ["dy0af9", "dy0af9-", "dy0af9-p", "dynamic0", "xdy0af9-p1", "dy0af9-p1x", "dy0AF9-p1", "br0"]
)
def test_a_stranger_s_interface_belongs_to_no_run(name: str) -> None:
    assert RunTag.of_interface(name) is None


def test_a_claim_is_registered_with_its_live_owner(tmp_path: Path) -> None:
    tag = run_tag.claim("abilene", register=tmp_path)
    registration = run_tag.registrations(tmp_path)[tag]
    assert registration is not None
    assert (registration.owner, registration.scenario) == (RunOwner.this_process(), "abilene")
    assert registration.owner.life(tag.value) is Life.ALIVE
    assert run_tag.release(tag, register=tmp_path)
    assert not run_tag.release(tag, register=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def drawn() -> str:  # other tests at the same time draw others: a sign is seen in the whole network namespace
    return secrets.token_hex(2)


def test_a_taken_tag_is_not_assigned_again(tmp_path: Path, drawn: str) -> None:
    first = run_tag.claim("one", register=tmp_path, draw=lambda: drawn)
    draws: Iterator[str] = iter([drawn, drawn, *(secrets.token_hex(2) for _ in range(100))])
    second = run_tag.claim("two", register=tmp_path, draw=lambda: next(draws))
    assert first == RunTag(drawn) != second
    registration = run_tag.registrations(tmp_path)[first]
    assert registration is not None and registration.scenario == "one"


def test_a_tag_is_held_by_one_run_in_the_network_namespace_whatever_registers_there_are(
    tmp_path: Path, drawn: str
) -> None:
    tag = run_tag.claim("one", register=tmp_path / "a", draw=lambda: drawn)
    with pytest.raises(RunTagError, match="dyncast clean"):
        run_tag.claim("two", register=tmp_path / "b", draw=lambda: drawn)
    run_tag.release(tag, register=tmp_path / "a")
    assert run_tag.claim("two", register=tmp_path / "b", draw=lambda: drawn) == tag


def test_no_free_tag_is_an_error_that_names_the_way_out(tmp_path: Path, drawn: str) -> None:
    run_tag.claim("one", register=tmp_path, draw=lambda: drawn)
    with pytest.raises(RunTagError, match="dyncast clean"):
        run_tag.claim("two", register=tmp_path, draw=lambda: drawn)


def test_threads_that_claim_at_once_get_different_tags(tmp_path: Path) -> None:
    tags: list[RunTag] = []
    first = secrets.randbelow(0xF000)
    numbers = iter(range(3 * first, 3 * first + 1000))
    lock = threading.Lock()

    def draw() -> str:  # each value is drawn three times in a row, so that claims do meet
        with lock:
            return f"{next(numbers) // 3:04x}"

    threads = [
        threading.Thread(target=lambda: tags.append(run_tag.claim("x", register=tmp_path, draw=draw)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tags) == len(set(tags)) == 20
    assert len(list(tmp_path.iterdir())) == 20


def test_a_register_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(RunTagError, match=r"cannot register the run in .*; run as root"):
        run_tag.claim("x", register=blocker / "register")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tag": "00aa"}', '{"bridges": 3}'])
def test_an_unreadable_registration_counts_as_dead(tmp_path: Path, content: str) -> None:
    (tmp_path / "00aa.json").write_text(content)
    (tmp_path / "notes.json").write_text("someone else's")
    assert run_tag.registrations(tmp_path) == {RunTag("00aa"): None}


def test_bridges_are_noted_without_losing_the_owner(tmp_path: Path) -> None:
    tag = run_tag.claim("x", register=tmp_path)
    run_tag.record_bridges(tag, [tag.bridge(0), tag.bridge(1)], register=tmp_path)
    registration = run_tag.registrations(tmp_path)[tag]
    assert registration is not None
    assert registration.owner == RunOwner.this_process()
    assert registration.bridges == (tag.bridge(0), tag.bridge(1))


def test_half_written_files_of_dead_processes_go_and_those_of_live_ones_stay(tmp_path: Path) -> None:
    own = RunOwner.this_process()
    live = tmp_path / f".{own.pid_namespace}-{own.pid}-{own.start_ticks}-00.partial"
    elsewhere = tmp_path / f".{own.pid_namespace + 1}-{own.pid}-1-00.partial"
    for path in (live, elsewhere, tmp_path / f".{own.pid_namespace}-{own.pid}-1-00.partial"):
        path.write_text("")
    run_tag.remove_partial_files(tmp_path)
    assert {*tmp_path.iterdir()} == {live, elsewhere}


def test_a_tag_is_released_if_the_block_fails_and_kept_if_it_does_not(tmp_path: Path) -> None:
    kept, lost = (run_tag.claim("demo", register=tmp_path) for _ in range(2))
    with run_tag.released_on_error(kept, register=tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), run_tag.released_on_error(lost, register=tmp_path):
        1 / 0  # noqa: B018
    assert [*run_tag.registrations(tmp_path)] == [kept]
