"""Deliveries: what is fetched, in which order, how often again, and what is said of what went wrong."""

from __future__ import annotations

import pytest

from testbed.faas.delivery.blobs import Role
from testbed.faas.delivery.orders import (
    CreateAction,
    FetchBlob,
    FetchManifest,
    RemoveBlob,
    StopFetch,
    Trouble,
    UnpackLayer,
)
from testbed.faas.errors import ApiError
from tests.delivery_samples import HERE, THERE, PlayedDeliveries, blob, function

CODE, LAYER, OTHER = b"def main(args): return args", b"L" * 5000, b"M" * 3000
ECHO = function("echo", CODE)
DETECT = function("detect", CODE, opencv=LAYER)
LAYER_BLOB, CODE_BLOB = blob(LAYER, Role.LAYER), blob(CODE)


@pytest.fixture
def played() -> PlayedDeliveries:
    return PlayedDeliveries()


def delivered(played: PlayedDeliveries) -> str:
    """Deliver the function with a layer, whole."""
    delivery = played.begun(DETECT)
    played.comes(CODE_BLOB, CODE)
    played.comes(LAYER_BLOB, LAYER)
    return delivery


def test_a_function_is_fetched_checked_unpacked_and_created(played: PlayedDeliveries) -> None:
    delivery = played.begin(DETECT)
    assert played.state(delivery) == "manifest"
    played.manifest_comes(delivery, DETECT.octets)
    assert played.state(delivery) == "blobs"
    assert {order.blob for order in played.ordered(FetchBlob)} == {CODE_BLOB, LAYER_BLOB}
    played.comes(CODE_BLOB, CODE)
    played.comes(LAYER_BLOB, LAYER)
    assert played.state(delivery) == "done"
    assert [order.blob for order in played.ordered(UnpackLayer)] == [LAYER_BLOB]
    assert [order.manifest for order in played.ordered(CreateAction)] == [DETECT]
    assert played.core.functions == {"detect": DETECT.digest}
    (ended,) = played.ended
    assert (ended.octets, ended.held, ended.fetched, ended.resumed) == (len(CODE) + 5000, 0, len(CODE) + 5000, 0)


def test_what_is_held_is_not_sent_again(played: PlayedDeliveries) -> None:
    delivered(played)
    second = played.begun(function("other", OTHER, opencv=LAYER))
    assert [order.blob for order in played.ordered(FetchBlob)][2:] == [blob(OTHER)]
    played.comes(blob(OTHER), OTHER)
    assert played.state(second) == "done"
    assert (played.ended[-1].held, played.ended[-1].fetched) == (5000, 3000)


def test_a_function_that_is_there_already_is_not_fetched_at_all(played: PlayedDeliveries) -> None:
    delivered(played)
    assert played.state(played.begin(DETECT)) == "done"
    assert len(played.ordered(FetchManifest)) == 1


def test_two_deliveries_that_need_the_same_blob_fetch_it_once(played: PlayedDeliveries) -> None:
    first, second = played.begun(DETECT), played.begun(function("other", OTHER, opencv=LAYER), THERE)
    assert sum(order.blob == LAYER_BLOB for order in played.ordered(FetchBlob)) == 1
    played.comes(LAYER_BLOB, LAYER)
    played.comes(CODE_BLOB, CODE)
    played.comes(blob(OTHER), OTHER)
    assert (played.state(first), played.state(second)) == ("done", "done")
    assert sum(item.fetched for item in played.ended) == len(LAYER) + len(CODE) + len(OTHER)


def test_a_broken_connection_goes_on_where_it_was(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE[:7])
    played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
    assert not played.fetches
    played.pass_s(played.settings.pause_s[0])
    assert played.fetches[CODE_BLOB].offset == 7
    played.comes(CODE_BLOB, CODE)
    assert (played.state(delivery), played.core.get(delivery).resumed) == ("done", 1)
    assert played.ended[0].fetched == len(CODE)


def test_an_answer_that_ends_early_is_a_broken_connection(played: PlayedDeliveries) -> None:
    played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE[:7])
    played.fetch_ends(CODE_BLOB)
    played.pass_s(10)
    assert played.fetches[CODE_BLOB].offset == 7


def test_what_is_wrong_is_said_until_it_goes_on(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
    assert played.reason(delivery) == "no"
    played.pass_s(1.0)
    played.octets_come(CODE_BLOB, CODE[:1])
    assert played.reason(delivery) == ""


def test_attempts_in_vain_are_made_less_and_less_often(played: PlayedDeliveries) -> None:
    played.begun(ECHO)
    for pause_s in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
        played.pass_s(pause_s - 0.01)
        assert not played.fetches
        played.pass_s(0.02)
        assert played.fetches
    played.octets_come(CODE_BLOB, CODE[:1])
    played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
    played.pass_s(0.2)
    assert played.fetches, "progress counts"


def test_a_fetch_that_brings_nothing_is_stopped_and_tried_again(played: PlayedDeliveries) -> None:
    played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE[:7])
    played.pass_s(played.settings.stalled_s - 0.1)
    assert not played.ordered(StopFetch)
    played.pass_s(1.0)
    assert [order.blob for order in played.ordered(StopFetch)] == [CODE_BLOB]
    assert played.fetches[CODE_BLOB].offset == 7


def test_a_delivery_has_a_deadline_and_says_what_it_waited_for() -> None:
    played = PlayedDeliveries(deadline_s=60.0)
    delivery = played.begun(ECHO)
    for _ in range(100):
        if CODE_BLOB in played.fetches:
            played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
        played.pass_s(1.0)
    assert played.state(delivery) == "failed"
    assert played.reason(delivery) == "it took longer than 60 s (no)"
    assert played.ended[0].ended_s == 60.0


def test_a_wrong_digest_discards_the_blob_and_is_tried_again(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.octets_come(CODE_BLOB, b"X" * len(CODE))
    played.fetch_ends(CODE_BLOB)
    played.work()
    assert CODE_BLOB not in played.disk
    played.pass_s(1.0)
    assert played.fetches[CODE_BLOB].offset == 0
    played.comes(CODE_BLOB, CODE)
    assert played.state(delivery) == "done"


def test_a_digest_that_stays_wrong_fails_the_delivery() -> None:
    played = PlayedDeliveries(wrong=1)
    delivery = played.begun(ECHO)
    for _ in range(2):
        played.octets_come(CODE_BLOB, b"X" * len(CODE))
        played.fetch_ends(CODE_BLOB)
        played.work()
        played.pass_s(1.0)
    assert played.state(delivery) == "failed"
    assert "digest" in played.reason(delivery) and "2 times" in played.reason(delivery)
    assert not played.disk and played.core.document()["bytes"] == 0


def test_octets_that_cannot_be_of_the_blob_are_as_a_wrong_digest(played: PlayedDeliveries) -> None:
    played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE[:7])
    played.fetch_ends(CODE_BLOB, Trouble.OTHER)
    played.pass_s(1.0)
    assert played.fetches[CODE_BLOB].offset == 0


@pytest.mark.parametrize("trouble", [Trouble.ABSENT, Trouble.DISK])
def test_what_no_attempt_can_change_fails_at_once(played: PlayedDeliveries, trouble: Trouble) -> None:
    delivery = played.begun(ECHO)
    played.fetch_ends(CODE_BLOB, trouble)
    assert played.state(delivery) == "failed" and played.reason(delivery).startswith("code sha256:")


def test_a_blob_that_one_repository_lacks_comes_from_the_other(played: PlayedDeliveries) -> None:
    first, second = played.begun(ECHO, HERE), played.begun(function("twin", CODE), THERE)
    played.fetch_ends(CODE_BLOB, Trouble.ABSENT)
    assert (played.state(first), played.state(second)) == ("failed", "blobs")
    played.pass_s(1.0)
    assert played.fetches[CODE_BLOB].repository == THERE
    played.comes(CODE_BLOB, CODE)
    assert played.state(second) == "done"


def test_a_repository_that_is_away_is_asked_again_until_it_is_back(played: PlayedDeliveries) -> None:
    delivery = played.begin(ECHO)
    for _ in range(4):
        played.manifest_breaks(delivery)
        played.pass_s(10.0)
    played.manifest_comes(delivery, ECHO.octets)
    played.comes(CODE_BLOB, CODE)
    assert played.state(delivery) == "done"


def test_a_manifest_that_is_another_one_is_refused() -> None:
    played = PlayedDeliveries(wrong=1)
    delivery = played.begin(ECHO)
    for _ in range(2):
        played.manifest_comes(delivery, DETECT.octets)
        played.pass_s(1.0)
    assert played.state(delivery) == "failed" and "digest" in played.reason(delivery)


def test_a_manifest_that_there_is_not_fails_at_once(played: PlayedDeliveries) -> None:
    delivery = played.begin(ECHO)
    played.manifest_breaks(delivery, Trouble.ABSENT)
    assert (played.state(delivery), played.reason(delivery)) == ("failed", "manifest: no")


def test_so_many_blobs_are_fetched_at_once_and_the_others_in_their_order() -> None:
    played = PlayedDeliveries(fetches=2)
    contents = {f"l{number}": bytes([number]) * 100 for number in range(5)}
    played.begun(function("many", CODE, **contents))
    order = [CODE_BLOB, *(blob(content, Role.LAYER) for content in contents.values())]
    assert list(played.fetches) == order[:2]
    played.fetch_ends(CODE_BLOB, Trouble.BROKEN)
    assert list(played.fetches) == order[1:3]


def test_a_delivery_that_is_cancelled_stops_its_fetches_and_keeps_what_came(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE[:7])
    played.cancel(delivery)
    assert played.state(delivery) == "cancelled"
    assert [order.blob for order in played.ordered(StopFetch)] == [CODE_BLOB]
    again = played.begun(ECHO)
    assert played.fetches[CODE_BLOB].offset == 7
    assert played.core.get(again).held == 7
    played.cancel(delivery)
    assert played.state(delivery) == "cancelled" and played.state(again) == "blobs"


def test_cancelling_one_of_two_lets_the_other_go_on(played: PlayedDeliveries) -> None:
    first, second = played.begun(ECHO), played.begun(function("twin", CODE))
    played.cancel(first)
    assert not played.ordered(StopFetch)
    played.comes(CODE_BLOB, CODE)
    assert played.state(second) == "done"


def test_a_function_that_cannot_be_created_fails_with_the_reason(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.octets_come(CODE_BLOB, CODE)
    played.fetch_ends(CODE_BLOB)
    played.work_once()
    assert played.state(delivery) == "creating"
    played.work_once("the archive has no handler")
    assert (played.state(delivery), played.reason(delivery)) == ("failed", "the archive has no handler")


def test_a_layer_that_does_not_unpack_fails_and_nothing_of_it_is_kept(played: PlayedDeliveries) -> None:
    delivery = played.begun(DETECT)
    played.octets_come(LAYER_BLOB, LAYER)
    played.fetch_ends(LAYER_BLOB)
    played.work_once()
    played.work_once("it would leave its folder")
    assert played.state(delivery) == "failed" and "leave its folder" in played.reason(delivery)
    assert LAYER_BLOB not in played.disk


def test_functions_that_do_not_fit_are_refused_before_anything_is_fetched() -> None:
    played = PlayedDeliveries(most_octets=4000)
    delivery = played.begun(DETECT)
    assert played.state(delivery) == "failed" and "no room" in played.reason(delivery)
    assert not played.ordered(FetchBlob)


def test_a_function_that_is_deleted_makes_room_for_another() -> None:
    played = PlayedDeliveries(most_octets=6000)
    delivered(played)
    other = function("other", OTHER)
    assert played.state(played.begun(other)) == "failed"
    played.core.on_action("detect")
    second = played.begun(other)
    assert {order.blob for order in played.ordered(RemoveBlob)} >= {LAYER_BLOB}
    played.comes(blob(OTHER), OTHER)
    assert played.state(second) == "done"


def test_a_layer_stays_while_a_container_has_it() -> None:
    played = PlayedDeliveries(most_octets=6000)
    delivered(played)
    played.core.on_action("detect")
    played.layers_in_use.add(DETECT.layers[0].full_name)
    assert played.state(played.begun(function("other", OTHER))) == "failed"
    assert LAYER_BLOB in played.unpacked


def test_a_changed_action_keeps_the_layers_that_it_still_has() -> None:
    played = PlayedDeliveries(most_octets=6000)
    delivered(played)
    played.core.on_action("detect", [DETECT.layers[0].full_name])
    assert played.core.document()["bytes_used"] == len(LAYER)
    assert "detect" not in played.core.functions


def test_a_new_version_frees_what_it_does_not_need(played: PlayedDeliveries) -> None:
    delivered(played)
    played.begun(function("detect", OTHER))
    played.comes(blob(OTHER), OTHER)
    assert played.core.document()["bytes_used"] == len(OTHER)


def test_what_was_there_before_is_checked_and_not_sent_again() -> None:
    played = PlayedDeliveries()
    played.disk = {CODE_BLOB: CODE}
    played.core.found({CODE_BLOB: len(CODE)}, [LAYER_BLOB])
    delivery = played.begun(DETECT)
    assert not played.fetches
    played.work()
    assert played.state(delivery) == "done"
    assert (played.ended[0].held, played.ended[0].fetched) == (len(CODE) + len(LAYER), 0)


def test_what_was_there_in_part_goes_on_where_it_was() -> None:
    played = PlayedDeliveries()
    played.disk = {CODE_BLOB: CODE[:9]}
    played.core.found({CODE_BLOB: 9}, [])
    played.begun(ECHO)
    assert played.fetches[CODE_BLOB].offset == 9


def test_too_many_deliveries_at_once_are_refused() -> None:
    played = PlayedDeliveries(at_once=2)
    first = played.begin(ECHO)
    played.begin(DETECT)
    with pytest.raises(ApiError) as caught:
        played.begin(function("third"))
    assert caught.value.status == 503
    played.cancel(first)
    played.begin(function("third"))


def test_deliveries_that_are_over_are_kept_as_long_as_there_is_room_for_them() -> None:
    played = PlayedDeliveries(kept=2)
    ids = [played.begin(function(f"f{number}")) for number in range(4)]
    for delivery in ids:
        played.cancel(delivery)
    with pytest.raises(ApiError):
        played.core.get(ids[0])
    assert [item.delivery_id for item in played.core.all()] == [ids[3], ids[2]]


def test_the_end_of_a_cluster_ends_its_deliveries(played: PlayedDeliveries) -> None:
    delivery = played.begun(ECHO)
    played.core.close(played.now_s)
    played.collect()
    assert (played.state(delivery), played.reason(delivery)) == ("cancelled", "the cluster was stopped")
    assert not played.fetches and played.core.next_timer_s() is None
