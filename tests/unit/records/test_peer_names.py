"""Unknown peers are counted one by one as long as they are few."""

from __future__ import annotations

from testbed.records.peer_names import PeerNames


def test_the_first_hundred_have_their_own_name_and_the_rest_one_together() -> None:
    names = PeerNames()
    counted = [names.name(f"10.0.0.{number}") for number in range(250)]
    assert counted == [f"10.0.0.{number}" for number in range(100)] + ["others"] * 150
    assert names.name("10.0.0.7") == "10.0.0.7"
