"""A cluster client whose functions the network steers users to: what it answers, and what counts as used."""

from __future__ import annotations

from dataclasses import replace

from testbed.faas.cluster_client.actions import Redirect, Remove
from tests.cluster_client_samples import PlayedClient
from tests.placement_samples import DETECT, cluster, path

NEAR, FAR = cluster("near", from_user=path(2)), cluster("far", from_user=path(60))


def test_users_are_sent_to_the_cluster_until_the_network_knows_of_it_and_are_steered_then() -> None:
    client = PlayedClient([NEAR, FAR], announced_after_s={"detect": 3.0})
    client.asked()
    client.orders()
    client.asked()
    assert {(item.chosen.cluster, item.is_steered) for item in client.take(Redirect)} == {("near", False)}
    client.pass_s(3.0)
    client.asked()
    assert [item.is_steered for item in client.take(Redirect)] == [True]


def test_other_functions_are_redirected_as_ever() -> None:
    client = PlayedClient([NEAR], announced_after_s={"thumbnail": 0.0}, held={"detect": ["near"]})
    client.pass_s(100.0)
    client.asked()
    assert [item.is_steered for item in client.take(Redirect)] == [False]


def test_wherever_users_may_be_steered_a_function_counts_as_used() -> None:
    client = PlayedClient([NEAR, FAR], functions=[replace(DETECT, replicas=2)], announced_after_s={"detect": 1.0},
                          unused_s=30.0)  # fmt: skip
    client.asked()
    client.orders()
    for _ in range(10):
        client.pass_s(10.0)
        client.asked()
    assert not client.take(Remove)
