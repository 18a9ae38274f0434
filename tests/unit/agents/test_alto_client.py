"""The ALTO client without its sockets: which resources it follows, what it makes of them, the list of clusters."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from testbed.agents.alto_client import cluster_list
from testbed.agents.alto_client.cluster_list import WITHIN_PID_MBPS, Known
from testbed.agents.alto_client.copies import Copies
from testbed.agents.alto_client.follower import Pace
from testbed.agents.alto_client.resources import Wanted, wanted
from testbed.alto import json_octets, media_types
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Closure
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.reports.messages import HeldBlob, HeldFunction, Runtime
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.service.service import Service
from tests import alto_reports
from tests.alto_reports import CLUSTER, DIGEST, EAST, RESOURCES, WEST, arrived, cluster_report, network_report, path

URL = "http://alto.test/directory"
USER, REPOSITORY = ip_address("10.2.0.10"), ip_address("10.3.0.10")
FUNCTION = f"sha256:{DIGEST.hex()}"


def served(*reports: Any) -> Service:
    """A server of three sites in a row, that was reported to."""
    known = alto_reports.knowing()
    for report in reports:
        arrived(known, report)
    return Service(known.knowledge, {"/directory": known.directory})


def closure(server: Service) -> Closure:
    """What a client finds there."""
    walk = DirectoryWalk(URL)
    while (request := walk.next_request()) is not None:
        walk.take(asked(server, request))
    return walk.closure


def asked(server: Service, request: Request) -> Answer:
    return server.answer(Request(request.method, request.path.removeprefix("http://alto.test"), request.headers))


def followed(server: Service, now_s: float = 100.0) -> Known:
    """What a client knows that fetched everything."""
    known = Known()
    copies = Copies(wanted(URL, closure(server)), known)
    for resource in copies.wanted.all:
        copies.take(resource.resource_id, asked(server, Request("GET", resource.uri)), now_s)
    return known


def listed(known: Known, *functions: str, now_s: float = 100.0) -> dict[str, Any]:
    return cluster_list.document(known, USER, REPOSITORY, functions, now_s)


def test_the_network_map_numerical_costs_and_the_clusters_are_followed_by_the_stream() -> None:
    found = wanted(URL, closure(served()))
    assert found.network.resource_id == "net"
    assert {metric: resource.resource_id for metric, resource in found.costs.items()} == {
        metric: f"{metric}-numerical"
        for metric in ("delay-ow", "delay-rt", "bw-available", "bw-residual", "lossrate", "hopcount", "routingcost")
    }
    assert found.clusters is not None and found.clusters.resource_id == "clusters"
    assert found.stream is not None and found.followed == found.all


def test_a_server_without_a_network_map_is_of_no_use() -> None:
    with pytest.raises(AltoAnswerError, match="directory: the server has no network map"):
        wanted(URL, Closure())


def test_the_list_has_resources_and_both_paths_in_the_testbeds_units() -> None:
    held = (Runtime("python:3", 2), HeldFunction(DIGEST, 1, 0.25), HeldBlob(DIGEST))
    document = listed(followed(served(network_report(path()), cluster_report(RESOURCES, *held))), now_s=101.5)
    assert (document["pid"], document["repository_pid"], document["age_s"]) == (WEST, "mid", 1.5)
    (cluster,) = document["clusters"]
    assert (cluster["cluster"], cluster["addresses"], cluster["pid"]) == (CLUSTER, ["10.1.0.12"], EAST)
    assert (cluster["age_s"], cluster["cpus"], cluster["cpus_free"]) == (1.5, 4.0, 2.5)
    assert (cluster["memory_mb"], cluster["memory_free_mb"], cluster["slots"], cluster["slots_free"]) == (
        2048,
        1536,
        8,
        6,
    )
    assert (cluster["queue"], cluster["waiting"], cluster["runtimes"]) == (100, 0, {"python:3": 2})
    assert cluster["functions"] == {FUNCTION: {"warm": 1, "run_ms": 250.0}} and cluster["blobs"] == [FUNCTION]
    assert cluster["from_user"]["delay_rt_ms"] == pytest.approx(6.0)  # as east measured it, to west
    assert cluster["from_user"]["bandwidth_mbps"] == pytest.approx(8.0)
    assert cluster["from_user"]["hops"] == 2 and cluster["from_user"]["loss_percent"] == 0
    assert "delay_rt_ms" not in cluster["from_repository"], "nobody measured that path"


def test_a_list_may_be_of_some_functions_only() -> None:
    known = followed(served(cluster_report(RESOURCES, HeldFunction(DIGEST))))
    assert listed(known, "sha256:other")["clusters"][0]["functions"] == {}
    assert list(listed(known, FUNCTION)["clusters"][0]["functions"]) == [FUNCTION]


def test_within_a_pid_a_path_takes_no_time() -> None:
    known = followed(served(cluster_report()))
    document = cluster_list.document(known, ip_address("10.1.0.77"), None, (), 100.0)
    found = document["clusters"][0]["from_user"]
    assert (found["delay_rt_ms"], found["loss_percent"], found["hops"]) == (0, 0, 0)
    assert found["bandwidth_mbps"] == WITHIN_PID_MBPS
    assert document["clusters"][0]["from_repository"] == {}


def test_the_worse_direction_of_a_path_counts() -> None:
    costs = {"delay-rt": {"a": {"b": 1000}, "b": {"a": 9000}}, "bw-available": {"a": {"b": 10**6}, "b": {"a": 10**7}}}
    known = Known(NetworkMap("net", {"a": {"ipv4": ["10.1.0.0/16"]}, "b": {"ipv4": ["0.0.0.0/0"]}}), costs)
    known.entities = {".ane:c": {".priv:addresses": ["10.1.0.1"]}}
    found = listed(known)["clusters"][0]["from_user"]
    assert found == {"delay_rt_ms": 9.0, "bandwidth_mbps": 8.0}


def test_a_cluster_that_fell_silent_is_as_old_as_the_last_word_of_it() -> None:
    server = served(cluster_report())
    known = followed(server, now_s=100.0)
    known.entities = {entity: {".priv:addresses": ["10.1.0.12"]} for entity in known.entities}
    known.confirm(130.0)
    (cluster,) = listed(known, now_s=131.0)["clusters"]
    assert cluster["age_s"] == 31.0 and "slots" not in cluster
    assert listed(known, now_s=131.0)["age_s"] == 1.0


def test_what_a_server_says_wrongly_is_left_out() -> None:
    odd: Any = {"delay-rt": {"all": 7}}
    known = Known(NetworkMap("net", {"all": {"ipv4": ["0.0.0.0/0"]}}), odd)
    said: Any = {
        ".priv:addresses": ["10.0.0.1", "nonsense", 7], ".priv:slots": "many", ".priv:waiting": -1,
        ".priv:memory-mb": True, ".priv:runtimes": [], ".priv:functions": {"x": 3}, ".priv:blobs": [1, "b"],
    }  # fmt: skip
    nothing: Any = "nothing"
    known.entities = {".ane:a": said, ".ane:b": {".priv:addresses": []}, ".ane:c": nothing}
    (cluster,) = listed(known)["clusters"]
    assert (cluster["cluster"], cluster["addresses"]) == ("a", ["10.0.0.1"])
    assert cluster["functions"] == {"x": {"warm": 0}} and cluster["blobs"] == ["b"]
    assert not {"slots", "waiting", "memory_mb", "runtimes"} & cluster.keys()


def test_a_network_map_that_is_wrong_is_an_error_that_names_its_url() -> None:
    copies = Copies(wanted(URL, closure(served())), Known())
    answer = Answer(200, {"Content-Type": media_types.NETWORK_MAP}, json_octets.encode({"network-map": 3}))
    with pytest.raises(AltoAnswerError, match=r"http://alto.test/net: "):
        copies.take("net", answer, 0.0)


def test_costs_of_another_version_of_the_network_are_not_believed() -> None:
    server = served(network_report(path()), cluster_report())
    found: Wanted = wanted(URL, closure(server))
    known = Known()
    copies = Copies(found, known)
    for resource in found.all:
        document = json_octets.parse(asked(server, Request("GET", resource.uri)).body)
        copies.updates.copies[resource.resource_id].hold(document)
    copies._leave_out_what_is_stale()
    assert known.costs["hopcount"]
    changed = copies.updates.copies["net"].document
    assert changed is not None
    changed["meta"]["vtag"]["tag"] = "another"  # type: ignore[index, call-overload]
    copies._leave_out_what_is_stale()
    assert known.costs["hopcount"] == {}


def test_pauses_grow_up_to_the_time_between_polls() -> None:
    assert [Pace(1.0, 0.2).pause_after_s(failures) for failures in (1, 2, 3, 4, 1000)] == [0.2, 0.4, 0.8, 1.0, 1.0]
