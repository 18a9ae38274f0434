"""Deliveries by the REST API of a cluster: asked for, shown, cancelled; the actions that they become."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.faas.delivery.blobs import digest_of
from testbed.faas.delivery.orders import CheckBlob, CreateAction, FetchBlob, FetchManifest, UnpackLayer
from testbed.faas.orders import Initialize, StartContainer
from tests.delivery_samples import HERE, function
from tests.faas_samples import ACTIONS, PlayedCluster

PATH = "/api/v1/cluster/deliveries"
CODE, LAYER = b"def main(args): return args", b"an archive"
DETECT = function("detect", CODE, opencv=LAYER)


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster()


def begun(cluster: PlayedCluster, digest: str = DETECT.digest) -> str:
    answer = cluster.answer("POST", PATH, {"function": digest, "repository": HERE})
    assert (answer.status, answer.document["state"]) == (202, "manifest")
    assert answer.fields["Location"] == f"{PATH}/{answer.document['id']}"
    return str(answer.document["id"])


def shown(cluster: PlayedCluster, delivery: str) -> dict[str, Any]:
    document: dict[str, Any] = cluster.answer("GET", f"{PATH}/{delivery}").document
    return document


def deliver(cluster: PlayedCluster, code: bytes = CODE) -> str:
    """Have a function delivered, up to its action; `code`: what its file has."""
    delivery = begun(cluster)
    deliveries = cluster.core.deliveries
    (order,) = cluster.take(FetchManifest)
    deliveries.on_manifest(delivery, order.attempt, DETECT.octets, cluster.now_s)
    cluster.collect()
    for fetch in cluster.take(FetchBlob):
        deliveries.on_octets(fetch.blob, fetch.attempt, fetch.blob.octets, cluster.now_s)
        deliveries.on_fetched(fetch.blob, fetch.attempt, None, cluster.now_s)
        cluster.collect()
    for check in cluster.take(CheckBlob):
        deliveries.on_checked(check.blob, check.blob.digest, cluster.now_s)
        cluster.collect()
    for unpack in cluster.take(UnpackLayer):
        deliveries.on_unpacked(unpack.blob, cluster.now_s)
        cluster.collect()
    for create in cluster.take(CreateAction):
        cluster.core.on_code(create.delivery, code, cluster.now_s)
        cluster.collect()
    return delivery


def test_a_delivered_function_is_an_action_with_its_layers(cluster: PlayedCluster) -> None:
    delivery = deliver(cluster)
    document = shown(cluster, delivery)
    assert (document["state"], document["bytes"], document["bytes_come"]) == ("done", 37, 37)
    action = cluster.answer("GET", f"{ACTIONS}/detect").document
    annotations = {item["key"]: item["value"] for item in action["annotations"]}
    assert annotations["manifest"] == DETECT.digest
    assert action["exec"]["code"] == CODE.decode()
    cluster.invoke("detect")
    (start,) = cluster.take(StartContainer)
    assert start.layers == (DETECT.layers[0].full_name,)
    cluster.started(start.container)
    (init,) = cluster.take(Initialize)
    assert init.document["value"]["code"] == CODE.decode()
    assert cluster.state["functions"] == {"detect": DETECT.digest}
    assert cluster.state["store"]["bytes_used"] == 37


def test_a_new_version_is_a_new_revision(cluster: PlayedCluster) -> None:
    cluster.create("detect")
    deliver(cluster)
    assert cluster.answer("GET", f"{ACTIONS}/detect").document["version"] == "0.0.2"


def test_a_deleted_function_frees_its_blobs(cluster: PlayedCluster) -> None:
    deliver(cluster)
    assert cluster.answer("DELETE", f"{ACTIONS}/detect").status == 200
    assert cluster.state["store"]["bytes_used"] == 0 and cluster.state["functions"] == {}


def test_a_function_that_a_request_changes_keeps_its_layers(cluster: PlayedCluster) -> None:
    deliver(cluster)
    body = {"exec": {"kind": "python:3", "code": "def main(args): return {}"}}
    assert cluster.answer("PUT", f"{ACTIONS}/detect", body, overwrite="true").status == 200
    assert cluster.state["store"]["bytes_used"] == len(LAYER) and cluster.state["functions"] == {}


def test_code_that_is_no_text_fails_the_delivery(cluster: PlayedCluster) -> None:
    document = shown(cluster, deliver(cluster, b"\xff\xfe" * 13))
    assert document["state"] == "failed" and "UTF-8" in document["reason"]
    assert cluster.answer("GET", f"{ACTIONS}/detect").status == 404


def test_a_function_of_another_runtime_is_refused_before_its_blobs_are_fetched(cluster: PlayedCluster) -> None:
    octets = DETECT.octets.replace(b"python:3", b"cobol:85")
    delivery = begun(cluster, digest_of(octets))
    (order,) = cluster.take(FetchManifest)
    cluster.core.deliveries.on_manifest(delivery, order.attempt, octets, 0.0)
    cluster.collect()
    assert "cobol:85" in shown(cluster, delivery)["reason"]
    assert not cluster.take(FetchBlob)


def test_a_function_that_wants_too_much_memory_is_refused(cluster: PlayedCluster) -> None:
    octets = DETECT.octets.replace(b'"code"', b'"limits":{"memory":1000000},"code"')
    delivery = begun(cluster, digest_of(octets))
    (order,) = cluster.take(FetchManifest)
    cluster.core.deliveries.on_manifest(delivery, order.attempt, octets, 0.0)
    cluster.collect()
    assert "limits.memory" in shown(cluster, delivery)["reason"]


def test_a_delivery_is_cancelled_and_listed(cluster: PlayedCluster) -> None:
    first, second = begun(cluster), begun(cluster, digest_of(b"another"))
    assert cluster.answer("DELETE", f"{PATH}/{first}").document["state"] == "cancelled"
    listed = cluster.answer("GET", PATH).document
    assert [(item["id"], item["state"]) for item in listed] == [(second, "manifest"), (first, "cancelled")]
    assert listed[1]["end"] >= listed[1]["start"]


def test_who_waits_for_the_end_of_a_delivery_is_answered_at_its_end(cluster: PlayedCluster) -> None:
    delivery = begun(cluster)
    waiting = cluster.ask("GET", f"{PATH}/{delivery}", blocking="true")
    gone = cluster.ask("GET", f"{PATH}/{delivery}", blocking="true")
    cluster.core.on_client_gone(gone)
    assert waiting not in cluster.answers
    cluster.answer("DELETE", f"{PATH}/{delivery}")
    assert cluster.answers[waiting].document["state"] == "cancelled" and gone not in cluster.answers
    assert cluster.answer("GET", f"{PATH}/{delivery}", blocking="true").document["state"] == "cancelled"


def test_who_waits_too_long_is_answered_how_far_it_is(cluster: PlayedCluster) -> None:
    delivery = begun(cluster)
    waiting = cluster.ask("GET", f"{PATH}/{delivery}", blocking="true", timeout="500")
    cluster.pass_s(0.4)
    assert waiting not in cluster.answers
    cluster.pass_s(0.2)
    assert (cluster.answers[waiting].status, cluster.answers[waiting].document["state"]) == (200, "manifest")


def test_the_deadline_is_kept_by_the_one_timer(cluster: PlayedCluster) -> None:
    delivery = begun(cluster)
    cluster.pass_s(10_000.0)
    assert shown(cluster, delivery)["state"] == "failed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "function"),
        ({"function": "sha256:12", "repository": HERE}, "function"),
        ({"function": DETECT.digest}, "repository"),
        ({"function": DETECT.digest, "repository": 7}, "repository"),
        *(
            ({"function": DETECT.digest, "repository": url}, "repository")
            for url in (
                "ftp://h",
                "http://",
                "h:80",
                "http://u:p@h",
                "http://h:99999",
                "http://h/?q",
                "http://h/#f",
                "http://h /x",
            )
        ),
        ({"function": DETECT.digest, "repository": "http://h/" + "x" * 2000}, "repository"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_its_key(
    cluster: PlayedCluster, body: dict[str, Any], said: str
) -> None:
    answer = cluster.answer("POST", PATH, body)
    assert answer.status == 400 and answer.document["error"].startswith(said)


def test_only_who_has_the_key_may_deliver(cluster: PlayedCluster) -> None:
    body = {"function": DETECT.digest, "repository": HERE}
    assert cluster.answer("POST", PATH, body, authorization=None).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", f"{PATH}/none", 404), ("DELETE", f"{PATH}/none", 404), ("PUT", PATH, 405), ("POST", f"{PATH}/x", 405)],
)
def test_what_is_not_there_is_refused(cluster: PlayedCluster, method: str, path: str, status: int) -> None:
    assert cluster.answer(method, path).status == status
