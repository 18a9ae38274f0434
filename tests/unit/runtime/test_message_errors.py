"""An error in one message: counted each time, said once."""

from __future__ import annotations

from collections import Counter

from testbed.runtime.message_errors import MessageErrors


def handle(errors: MessageErrors, kind: str, message: str) -> None:
    try:
        int(message) if message else [][0]
    except (ValueError, IndexError) as error:
        errors.note(kind, error)


def test_all_errors_are_counted_by_the_kind_of_message_and_the_first_of_each_sort_is_said_with_its_trace() -> None:
    counters: Counter[str] = Counter()
    said: list[str] = []
    errors = MessageErrors(counters, said.append)
    for number in range(1000):
        handle(errors, "in_band", f"no number {number}")
    assert counters == {"unhandled_in_band": 1000}
    (text,) = said
    assert text.startswith("in_band: a message could not be handled and is dropped")
    assert "ValueError: invalid literal for int() with base 10: 'no number 0'" in text
    assert __file__ in text


def test_another_error_or_another_kind_of_message_is_another_sort() -> None:
    said: list[str] = []
    errors = MessageErrors(Counter(), said.append)
    for _ in range(3):
        handle(errors, "in_band", "x")
        handle(errors, "in_band", "")
        handle(errors, "packet_in", "x")
    assert len(said) == 3
