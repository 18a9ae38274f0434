"""The cluster client: deliveries, requests that wait for them, moves, replicas, failures and removals."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from testbed.faas.cluster_client.actions import AskClusters, Deliver, Reason, Redirect, Refuse, Remove
from testbed.faas.cluster_client.copies import TRANSITIONS, Event, State
from testbed.faas.cluster_client.lists import ClusterLists
from testbed.faas.cluster_client.loads import Assigned, RequestRate
from testbed.faas.cluster_client.settings import ClientSettings
from tests.cluster_client_samples import THUMBNAIL, PlayedClient
from tests.placement_samples import DETECT, cluster, path

NEAR, FAR = cluster("near", from_user=path(2)), cluster("far", from_user=path(60))
DEGRADED = replace(NEAR, from_user=path(500))


def refusal(client: PlayedClient) -> Refuse:
    """The one refusal there is."""
    (refused,) = client.take(Refuse)
    return refused


# -- steps 2 to 4 ----------------------------------------------------------------------------------


def test_a_request_asks_for_clusters_has_its_function_delivered_and_is_sent_there() -> None:
    client = PlayedClient([NEAR, FAR])
    number = client.ask()
    assert client.take(AskClusters) == [AskClusters("east")] and not client.actions
    client.listed()
    (order,) = client.take(Deliver)
    assert (order.function, order.cluster) == ("detect", "near") and not client.actions
    client.now_s += 3
    client.delivered(order.order)
    (sent,) = client.take(Redirect)
    assert (sent.request, sent.function, sent.site, sent.chosen.cluster) == (number, "detect", "east", "near")
    assert sent.waited_s == 3 and sent.chosen.known_s == 100.0 and sent.chosen.time.run_ms == 50.0


def test_requests_for_a_function_that_is_being_delivered_wait_for_one_delivery() -> None:
    client = PlayedClient([NEAR, FAR])
    numbers = [client.asked() for _ in range(5)]
    (order,) = client.take(Deliver)
    client.delivered(order.order)
    assert client.redirected() == dict.fromkeys(numbers, "near")


def test_a_function_that_is_held_is_not_delivered_again() -> None:
    client = PlayedClient([NEAR, FAR])
    client.asked()
    client.orders()
    number = client.asked()
    assert client.redirected()[number] == "near" and not client.take(Deliver)


def test_a_list_is_asked_for_again_when_it_is_old_and_the_old_one_counts_meanwhile() -> None:
    client = PlayedClient([NEAR, FAR], refresh_s=1.0)
    client.asked()
    client.orders()
    client.now_s += 0.5
    client.ask()
    assert not client.take(AskClusters)
    client.now_s += 0.6
    number = client.ask()
    assert client.take(AskClusters) and client.redirected()[number] == "near"
    client.ask()
    assert not client.take(AskClusters), "one question at a time"


def test_functions_that_were_put_there_by_other_means_need_no_delivery() -> None:
    client = PlayedClient([NEAR, FAR], held={"detect": ["far"]})
    number = client.asked()
    assert client.redirected() == {number: "far"}


def test_a_cluster_that_reports_a_function_holds_it() -> None:
    client = PlayedClient([NEAR, FAR])
    client.held.add(("detect", "far"))
    number = client.asked()
    assert client.redirected() == {number: "far"}


def test_a_cluster_that_reports_a_function_no_more_has_it_delivered_again() -> None:
    client = PlayedClient([NEAR])
    client.asked()
    client.orders()
    client.now_s += 2
    client.held.clear()  # it was started again, and reports that it is empty
    client.asked()
    assert client.orders() == [("detect", "near")]


def test_a_report_that_was_measured_before_a_delivery_ended_says_nothing_against_it() -> None:
    client = PlayedClient([NEAR])
    client.asked()
    (order,) = client.take(Deliver)
    client.now_s += 5
    client.delivered(order.order)
    client.core.on_clusters("east", [replace(NEAR, known_s=104.0)], client.now_s)
    client.collect()
    assert client.copies() == {("detect", "near"): "held"}


def test_what_a_list_says_is_held_may_lag_behind_what_was_done() -> None:
    client = PlayedClient([NEAR], report_lag_s=5.0)
    client.asked()
    client.orders()
    for passed_s, state in ((4.0, "held"), (2.0, None)):
        client.held.clear()
        client.now_s += passed_s
        client.core.on_clusters("east", [replace(NEAR, known_s=client.now_s)], client.now_s)
        assert client.copies().get(("detect", "near")) == state


# -- answers that it cannot be ---------------------------------------------------------------------


def test_a_function_that_is_none_is_refused_with_those_there_are() -> None:
    client = PlayedClient([NEAR])
    client.ask("detct")
    refused = refusal(client)
    assert refused.reason is Reason.UNKNOWN_FUNCTION
    assert refused.detail == "there is no function 'detct'; there are: detect, thumbnail"


def test_what_no_cluster_can_hold_is_refused_at_once() -> None:
    client = PlayedClient([replace(NEAR, memory_mb=128), cluster("other", kinds=frozenset({"blackbox"}))])
    client.asked()
    refused = refusal(client)
    assert refused.reason is Reason.NO_CLUSTER
    assert refused.detail.startswith("detect needs 256 MB and python:3; of the clusters (near, other) none can hold it")


def test_waiting_has_a_bound_and_its_answer_says_what_was_waited_for() -> None:
    client = PlayedClient([NEAR], wait_s=10.0)
    client.asked()
    client.take(Deliver)
    client.pass_s(9.9)
    assert not client.take(Refuse)
    client.pass_s(0.2)
    refused = refusal(client)
    assert refused.reason is Reason.NOT_IN_TIME and refused.retry_after_s == 1.0
    assert refused.detail == "waited 10.0 s: detect is delivering at near for 10.0 s"


def test_without_a_list_a_request_waits_and_the_list_is_asked_for_again_after_growing_pauses() -> None:
    client = PlayedClient([NEAR], wait_s=10.0, pause_s=1.0, list_s=2.0)
    client.ask()
    asked_s = []
    for _ in range(100):
        if client.take(AskClusters):
            asked_s.append(client.now_s - 100)
            client.core.on_no_clusters("east", "connection refused", client.now_s)
        client.pass_s(0.5)
    assert asked_s == [0, 1, 3, 7]
    assert refusal(client).detail == "waited 10.0 s: there is no list of clusters yet (connection refused)"


def test_an_alto_client_that_does_not_answer_is_asked_again() -> None:
    client = PlayedClient([NEAR], list_s=2.0, pause_s=1.0)
    client.ask()
    client.take(AskClusters)
    client.pass_s(3.0)
    assert client.take(AskClusters)


def test_too_many_requests_do_not_wait() -> None:
    client = PlayedClient([NEAR], most_waiting=2)
    for _ in range(3):
        client.ask()
    assert refusal(client).reason is Reason.TOO_MANY


def test_a_user_that_is_gone_is_not_answered_and_its_delivery_goes_on() -> None:
    client = PlayedClient([NEAR])
    client.core.on_client_gone(client.asked())
    assert client.orders() == [("detect", "near")]
    assert client.redirected() == {} and client.copies() == {("detect", "near"): "held"}


def test_a_client_that_is_stopped_refuses_what_waits_and_what_comes() -> None:
    client = PlayedClient([NEAR])
    client.ask()
    client.core.close(client.now_s)
    client.ask()
    assert [refused.reason for refused in client.take(Refuse)] == [Reason.STOPPED] * 2


# -- failures --------------------------------------------------------------------------------------


def test_after_a_failed_delivery_the_next_best_cluster_gets_the_function() -> None:
    client = PlayedClient([NEAR, FAR])
    number = client.asked()
    client.not_delivered(client.take(Deliver)[0].order)
    assert client.orders() == [("detect", "far")]
    assert client.redirected() == {number: "far"}


def test_a_lone_cluster_is_tried_again_after_growing_pauses() -> None:
    client = PlayedClient([NEAR], wait_s=60.0, pause_s=1.0)
    client.asked()
    tried_s = []
    for _ in range(40):
        for order in client.take(Deliver):
            tried_s.append(client.now_s - 100)
            client.not_delivered(order.order)
        client.pass_s(0.5)
    assert tried_s == [0, 1, 3, 7, 15]


def test_a_delivery_of_which_nothing_is_reported_is_given_up_and_its_late_report_counts_for_nothing() -> None:
    client = PlayedClient([NEAR, FAR], delivery_s=5.0, wait_s=60.0)
    client.asked()
    (lost,) = client.take(Deliver)
    client.pass_s(5.5)
    assert client.copies()["detect", "near"] == "failed"
    assert client.orders() == [("detect", "far")]
    client.delivered(lost.order)
    assert client.copies()["detect", "near"] == "failed"


def test_a_silent_cluster_is_left_and_a_function_that_was_there_is_delivered_elsewhere() -> None:
    client = PlayedClient([NEAR, FAR], silent_after_s=5.0)
    client.asked()
    client.orders()
    client.now_s += 10
    client.ask()
    client.take(AskClusters)
    client.core.on_clusters("east", [replace(NEAR, known_s=101.0), replace(FAR, known_s=110.0)], client.now_s)
    client.collect()
    assert client.orders() == [("detect", "far")]
    assert client.clusters() == ["far"]


# -- moves -----------------------------------------------------------------------------------------


def busy(client: PlayedClient, requests: int = 50) -> None:
    """Have users ask ten times a second."""
    for _ in range(requests):
        client.now_s += 0.1
        client.asked()
        client.redirected()


def test_a_function_moves_when_another_place_is_better_by_more_than_the_move_costs() -> None:
    client = PlayedClient([NEAR, FAR], refresh_s=0.5)
    client.asked()
    client.orders()
    client.views = [DEGRADED, FAR]
    busy(client)
    (order,) = client.take(Deliver)
    assert order.cluster == "far"
    number = client.asked()
    assert client.redirected()[number] == "near", "until the function is there, users go where it was"
    client.delivered(order.order)
    number = client.asked()
    assert client.redirected()[number] == "far" and client.clusters() == ["far"]


def test_a_function_for_which_hardly_anybody_asks_does_not_move() -> None:
    client = PlayedClient([NEAR, FAR], expected_per_s=0.01)
    client.asked()
    first = client.orders()[0][1]
    client.views = [replace(view, from_user=path(200 if view.name == first else 20)) for view in (NEAR, FAR)]
    for _ in range(5):
        client.now_s += 100
        client.asked()
    assert not client.take(Deliver)


def test_a_function_does_not_move_to_and_fro_with_small_changes() -> None:
    client = PlayedClient([NEAR, replace(FAR, from_user=path(3))], refresh_s=0.1)
    client.asked()
    client.orders()
    for step in range(100):
        rtt_ms = 2.0 + step % 3
        client.views = [
            replace(view, from_user=path(rtt_ms if view.name == "near" else 5 - rtt_ms)) for view in client.views
        ]
        client.now_s += 0.1
        client.asked()
    assert not client.take(Deliver)


def test_a_move_that_fails_leaves_the_function_where_it_is() -> None:
    client = PlayedClient([NEAR, FAR], refresh_s=0.5)
    client.asked()
    client.orders()
    client.views = [DEGRADED, FAR]
    busy(client, 10)
    client.not_delivered(client.take(Deliver)[0].order)
    number = client.asked()
    assert client.redirected()[number] == "near" and client.clusters() == ["near"]


def test_with_nearest_nothing_moves_when_the_path_degrades() -> None:
    views = [replace(NEAR, from_user=path(2, hops=1)), replace(FAR, from_user=path(60, hops=3))]
    client = PlayedClient(views, "nearest", refresh_s=0.5)
    client.asked()
    client.orders()
    client.views = [replace(views[0], from_user=path(500, hops=1)), views[1]]
    busy(client)
    assert not client.take(Deliver) and client.clusters() == ["near"]


def test_a_site_that_asks_later_is_served_by_the_copies_there_are_while_its_own_is_under_way() -> None:
    client = PlayedClient([replace(NEAR, from_user=path(40)), replace(FAR, from_user=path(900))], expected_per_s=50.0)
    client.asked(site="east")
    assert client.orders() == [("detect", "near")]
    client.now_s += 2
    client.views = [replace(NEAR, from_user=path(900)), replace(FAR, from_user=path(40))]
    number = client.asked(site="west")
    (order,) = client.take(Deliver)
    assert order.cluster == "far" and client.redirected()[number] == "near"
    client.delivered(order.order)
    west = client.asked(site="west")
    client.views = [replace(NEAR, from_user=path(40)), replace(FAR, from_user=path(900))]
    east = client.asked(site="east")
    sent = client.redirected()
    assert (sent[east], sent[west]) == ("near", "far")
    assert (client.clusters(site="east"), client.clusters(site="west")) == (["near"], ["far"])


# -- replicas, everywhere, removal -----------------------------------------------------------------


def test_a_function_with_replicas_is_at_so_many_clusters() -> None:
    client = PlayedClient([NEAR, FAR, cluster("third", from_user=path(200))], functions=[replace(DETECT, replicas=2)])
    client.asked()
    assert client.orders() == [("detect", "near"), ("detect", "far")]
    assert sorted(client.clusters()) == ["far", "near"]


def test_everywhere_delivers_to_all_that_can_hold_the_function() -> None:
    client = PlayedClient([NEAR, FAR, cluster("small", memory_mb=64)], "everywhere")
    client.asked()
    assert sorted(client.orders()) == [("detect", "far"), ("detect", "near")]


def test_random_stays_where_it_was_drawn() -> None:
    client = PlayedClient([NEAR, FAR, cluster("third")], "random")
    client.asked()
    ((_, drawn),) = client.orders()
    numbers = []
    for _ in range(20):
        client.now_s += 1
        numbers.append(client.asked())
    sent = client.redirected()
    assert {sent[number] for number in numbers} == {drawn} and not client.take(Deliver)


def test_a_function_that_nobody_uses_is_removed_and_delivered_again_when_somebody_asks() -> None:
    client = PlayedClient([NEAR], unused_s=30.0)
    client.asked()
    client.orders()
    client.redirected()
    client.pass_s(29.0)
    assert not client.take(Remove)
    client.pass_s(2.0)
    (order,) = client.take(Remove)
    assert (order.function, order.cluster) == ("detect", "near")
    client.removed(order.order)
    assert not client.take(Deliver), "nobody asked"
    client.asked()
    assert client.orders() == [("detect", "near")]


def test_a_function_that_is_used_or_was_put_there_by_other_means_is_not_removed() -> None:
    client = PlayedClient([NEAR, FAR], functions=[replace(DETECT, replicas=2), THUMBNAIL], unused_s=30.0,
                          held={"thumbnail": ["far"]})  # fmt: skip
    client.asked()
    client.orders()
    for _ in range(20):
        client.pass_s(10.0)
        client.asked()
    assert not client.take(Remove)
    client.pass_s(100.0)
    assert {(order.function, order.cluster) for order in client.take(Remove)} == {("detect", "near"), ("detect", "far")}


def test_a_removal_that_fails_keeps_users_away_until_the_cluster_says_what_it_holds() -> None:
    client = PlayedClient([NEAR, FAR], unused_s=30.0)
    client.asked()
    client.orders()
    client.pass_s(31.0)
    (order,) = client.take(Remove)
    client.core.on_not_removed(order.order, "connection refused", client.now_s)
    assert client.copies()["detect", "near"] == "failed"
    client.now_s += 0.5
    number = client.asked()
    assert client.redirected()[number] == "near"


# -- parts -----------------------------------------------------------------------------------------


def test_every_state_can_be_left_and_every_order_can_end_well_or_not() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) == set(TRANSITIONS.values())
    assert {event for _, event in TRANSITIONS} == set(Event)
    for state, ends in (
        (State.DELIVERING, {"DELIVERED", "NOT_DELIVERED"}),
        (State.REMOVING, {"REMOVED", "NOT_REMOVED"}),
    ):
        assert {event.name for event in Event if (state, event) in TRANSITIONS} == ends
    orders = set(product(State, (Event.DELIVER, Event.REMOVE))) & set(TRANSITIONS)
    assert orders == {(State.ABSENT, Event.DELIVER), (State.HELD, Event.REMOVE)}


def test_pauses_double_up_to_a_bound() -> None:
    settings = ClientSettings(pause_s=1.0, most_pause_s=10.0)
    assert [settings.pause_after_s(failures) for failures in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]


def test_assigned_requests_count_until_they_are_over_or_the_cluster_has_seen_them() -> None:
    assigned = Assigned()
    for sent_s in (1.0, 2.0, 3.0):
        assigned.add("near", sent_s, takes_ms=5000)
    assert assigned.since("near", None, 4.0) == 3
    assert assigned.since("near", 2.0, 4.0) == 1
    assert assigned.since("near", 2.0, 8.5) == 0
    assert assigned.since("far", None, 4.0) == 0


def test_a_request_that_is_still_on_its_way_is_not_in_what_a_cluster_says() -> None:
    assigned = Assigned()
    assigned.add("near", 1.0, takes_ms=500, arrives_ms=100)
    assert assigned.since("near", 1.05, 1.05) == 1
    assert assigned.since("near", 1.2, 1.2) == 0


def test_a_rate_goes_from_what_was_expected_to_what_comes() -> None:
    rate = RequestRate(1.0, 10.0, 0.0)
    assert rate.per_s(0.0) == 1.0
    for step in range(1000):
        rate.add(step / 10)
    assert rate.per_s(100.0) == pytest.approx(10, rel=0.02)
    assert rate.per_s(1000.0) < 1e-9


def test_what_is_known_of_sites_is_bounded() -> None:
    client = PlayedClient([NEAR], most_sites=10)
    for number in range(100):
        client.asked(site=f"site{number}")
    client.orders()
    for number in range(100, 200):
        client.asked(site=f"site{number}")
    assert len(client.core.state()["placements"]) <= 10 + 100  # those that still wait are kept


def test_a_list_for_a_site_that_was_forgotten_is_dropped() -> None:
    lists = ClusterLists(ClientSettings())
    assert not lists.put("east", [], 0.0)
    lists.fail("east", "refused", 0.0)
    assert lists.find("east") is None
