"""When resources were changed, as far as their tags say."""

from __future__ import annotations

from testbed.agents.alto_server.change_times import ChangeTimes


def test_a_resource_has_the_time_of_the_update_that_changed_it() -> None:
    times = ChangeTimes(1000.0)
    assert times.changed_s("/a", "1") == times.changed_s("/b", "1") == 1000.0
    times.updated(1010.0)
    assert times.changed_s("/a", "2") == 1010.0, "another tag: it is what the update changed"
    assert times.changed_s("/b", "1") == 1000.0, "the same tag: it did not change"
    times.updated(1020.0)
    assert times.changed_s("/a", "2") == 1010.0


def test_an_answer_without_a_tag_is_as_old_as_what_is_known() -> None:
    times = ChangeTimes(1000.0)
    times.updated(1010.0)
    assert times.changed_s("/filtered", None) == 1010.0


def test_a_time_is_written_as_http_has_it() -> None:
    assert ChangeTimes(784111777.9).header("/a", None) == "Sun, 06 Nov 1994 08:49:37 GMT"
