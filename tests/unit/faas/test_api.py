"""The REST API of a cluster: actions, activations, who is admitted, and what is refused with which status."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.faas.activations.outcome import Failure
from testbed.faas.limits import ClusterLimits
from testbed.faas.orders import Initialize, Run, StartContainer, StopContainer
from tests.faas_samples import ACTIONS, ACTIVATIONS, ECHO, PlayedCluster, archive, base64_of


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster()


def code(**more: Any) -> dict[str, Any]:
    return {"exec": {"kind": "python:3", "code": ECHO, **more}}


def test_an_action_is_shown_as_it_was_created(cluster: PlayedCluster) -> None:
    body = {
        **code(main="handler"),
        "parameters": [{"key": "width", "value": 64}],
        "annotations": [{"key": "final", "value": True}],
        "limits": {"timeout": 1000, "memory": 128},
    }
    created = cluster.answer("PUT", f"{ACTIONS}/thumb", body)
    assert created.status == 200
    shown = cluster.answer("GET", f"{ACTIONS}/thumb").document
    assert shown == created.document
    assert (shown["namespace"], shown["name"], shown["version"]) == ("guest", "thumb", "0.0.1")
    assert shown["exec"] == {"kind": "python:3", "binary": False, "code": ECHO, "main": "handler"}
    assert shown["limits"] == {"timeout": 1000, "memory": 128, "logs": 10, "concurrency": 1}
    assert shown["parameters"] == [{"key": "width", "value": 64}]
    assert {"key": "exec", "value": "python:3"} in shown["annotations"]


def test_code_is_left_out_where_it_is_not_asked_for(cluster: PlayedCluster) -> None:
    cluster.create()
    assert "code" not in cluster.answer("GET", f"{ACTIONS}/echo", code="false").document["exec"]
    assert cluster.answer("GET", ACTIONS).document[0]["exec"] == {"binary": False}


def test_an_action_is_replaced_only_if_that_is_asked_for(cluster: PlayedCluster) -> None:
    assert cluster.answer("PUT", f"{ACTIONS}/echo", code()).status == 200
    assert cluster.answer("PUT", f"{ACTIONS}/echo", code()).status == 409
    changed = cluster.answer("PUT", f"{ACTIONS}/echo", {"limits": {"memory": 64}}, overwrite="true").document
    assert (changed["version"], changed["limits"]["memory"], changed["exec"]["code"]) == ("0.0.2", 64, ECHO)


def test_a_deleted_action_is_gone_and_its_version_does_not_come_back(cluster: PlayedCluster) -> None:
    cluster.create()
    assert cluster.answer("DELETE", f"{ACTIONS}/echo").status == 200
    assert cluster.answer("GET", f"{ACTIONS}/echo").status == 404
    assert cluster.create().document["version"] == "0.0.2"


def test_lists_come_in_pages_the_latest_first(cluster: PlayedCluster) -> None:
    for name in ("a", "b", "c"):
        cluster.create(name)
    assert [item["name"] for item in cluster.answer("GET", ACTIONS, limit="2").document] == ["c", "b"]
    assert [item["name"] for item in cluster.answer("GET", ACTIONS, skip="2").document] == ["a"]
    assert cluster.answer("GET", ACTIONS, count="true").document == {"actions": 3}


def test_a_blocking_request_is_answered_with_the_result(cluster: PlayedCluster) -> None:
    cluster.create(parameters=[{"key": "greeting", "value": "hello"}, {"key": "home", "value": "x", "init": True}])
    number = cluster.invoke(parameters={"name": "edge"})
    (start,) = cluster.take(StartContainer)
    assert (start.kind, start.memory_mb) == ("python:3", 256)
    cluster.started(start.container)
    (init,) = cluster.take(Initialize)
    assert init.document["value"]["code"] == ECHO and init.document["value"]["main"] == "main"
    assert init.document["value"]["env"]["home"] == "x"
    cluster.initialized(start.container)
    (run,) = cluster.take(Run)
    assert run.document["value"] == {"greeting": "hello", "name": "edge"}
    assert run.document["action_name"] == "/guest/echo"
    assert run.document["api_key"] == ""  # of no action that does not ask for it
    assert int(run.document["deadline"]) == 1_000_000_000_000 + 60_000
    assert number not in cluster.answers
    cluster.ran(start.container, {"said": "hello edge"})
    assert cluster.answers[number].document == {"said": "hello edge"}
    assert cluster.answers[number].fields["X-Openwhisk-Activation-Id"] == run.document["activation_id"]


def test_an_activation_is_on_record_with_logs_and_result(cluster: PlayedCluster) -> None:
    cluster.create()
    activation_id = cluster.answer("POST", f"{ACTIONS}/echo", {}).document["activationId"]
    assert cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}").status == 404  # it is not over
    cluster.now_s = 0.05
    cluster.started(1)
    cluster.now_s = 0.3
    cluster.initialized(1)
    cluster.now_s = 1.3
    cluster.ran(1, {"a": 1}, logs=("t stdout: hi",))
    record = cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}").document
    assert record["response"] == {"status": "success", "statusCode": 0, "success": True, "result": {"a": 1}}
    assert (record["duration"], record["logs"]) == (1250, ["t stdout: hi"])
    annotations = {item["key"]: item["value"] for item in record["annotations"]}
    assert (annotations["initTime"], annotations["start"]) == (250, "cold")
    assert (annotations["waitTime"], annotations["startTime"]) == (50, 50), "it waited for its container alone"
    assert cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}/logs").document == {"logs": ["t stdout: hi"]}
    assert cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}/result").document["result"] == {"a": 1}
    listed = cluster.answer("GET", ACTIVATIONS, name="echo").document
    assert [item["activationId"] for item in listed] == [activation_id] and "logs" not in listed[0]
    assert cluster.answer("GET", ACTIVATIONS, since=str(record["start"] + 1)).document == []


@pytest.mark.parametrize(
    ("status", "body", "http", "text"),
    [
        (200, {"error": "no such file"}, 502, "application error"),
        (502, {"error": "raised"}, 502, "action developer error"),
        (500, {}, 502, "action developer error"),
        (200, b'{"a": NaN}', 502, "action developer error"),
        (200, b'{"a": ' + b"[" * 980 + b"]" * 980 + b"}", 502, "action developer error"),
        (200, b"7", 502, "action developer error"),
        (200, {"fine": True}, 200, "success"),
    ],
)
def test_what_a_container_answers_becomes_a_status(
    cluster: PlayedCluster, status: int, body: Any, http: int, text: str
) -> None:
    cluster.create()
    number = cluster.invoke(result="false")
    cluster.started(1)
    cluster.initialized(1)
    cluster.ran(1, body, status=status)
    assert cluster.answers[number].body
    assert cluster.answers[number].status == http
    assert cluster.answers[number].document["response"]["status"] == text


def test_code_that_does_not_load_ends_the_activation_and_its_container(cluster: PlayedCluster) -> None:
    cluster.create()
    number = cluster.invoke()
    cluster.started(1)
    cluster.initialized(1, 502, b'{"error": "SyntaxError"}')
    assert (cluster.answers[number].status, cluster.answers[number].document) == (502, {"error": "SyntaxError"})
    assert [order.container for order in cluster.take(StopContainer)] == [1]


def test_a_container_that_cannot_start_is_the_platform_s_error(cluster: PlayedCluster) -> None:
    cluster.create()
    number = cluster.invoke(result="false")
    cluster.ended(1, Failure.START)
    assert cluster.answers[number].status == 500
    assert cluster.answers[number].document["response"]["status"] == "whisk internal error"


def test_a_blocking_request_becomes_an_accepted_one_when_it_waits_too_long(cluster: PlayedCluster) -> None:
    cluster.create(limits={"timeout": 300_000})
    number = cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    cluster.pass_s(60)
    assert cluster.answers[number].status == 202
    activation_id = cluster.answers[number].document["activationId"]
    cluster.ran(1, {"late": True})
    assert cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}/result").document["result"] == {"late": True}


def test_a_client_that_left_is_not_answered_and_its_activation_is_on_record(cluster: PlayedCluster) -> None:
    cluster.create()
    number = cluster.invoke()
    cluster.core.on_client_gone(number)
    cluster.started(1)
    cluster.initialized(1)
    cluster.ran(1)
    assert number not in cluster.answers
    assert len(cluster.answer("GET", ACTIVATIONS).document) == 1


def test_only_whoever_has_the_key_is_admitted(cluster: PlayedCluster) -> None:
    for authorization in (None, "", "Basic", "Basic !!!", "Basic bWU6d3Jvbmc=", "Bearer x", "Basic \xe4"):
        answer = cluster.answer("GET", ACTIONS, authorization=authorization)
        assert answer.status == 401 and "key" in answer.document["error"]
        assert answer.document["code"] == "t-1"
    assert cluster.answer("GET", "/api/v1", authorization=None).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/namespaces/other/actions", 403),
        ("GET", "/api/v1/namespaces/guest/actions", 200),
        ("GET", "/api/v1/namespaces", 200),
        ("GET", "/api/v1/namespaces/_/limits", 200),
        ("GET", f"{ACTIONS}/none", 404),
        ("POST", f"{ACTIONS}/none", 404),
        ("DELETE", f"{ACTIONS}/none", 404),
        ("PATCH", f"{ACTIONS}/none", 405),
        ("POST", ACTIVATIONS, 405),
        ("GET", f"{ACTIVATIONS}/none", 404),
        ("GET", "/api/v1/namespaces/_/triggers", 200),
        ("PUT", "/api/v1/namespaces/_/triggers/x", 501),
        ("PUT", f"{ACTIONS}/package/name", 501),
        ("GET", "/api/v1/web/guest/default/x", 501),
        ("PUT", f"{ACTIONS}/%20", 400),
    ],
)
def test_each_path_has_its_status(cluster: PlayedCluster, method: str, path: str, status: int) -> None:
    answer = cluster.answer(method, path, {})
    assert answer.status == status
    assert status < 400 or answer.document.keys() == {"error", "code"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"[" * 100_000, "deep"),
        (b'{"exec": {"kind": "python:3", "code": NaN}}', "JSON"),
        ({}, "exec"),
        ({"exec": "x"}, "exec"),
        ({"exec": {"code": ECHO}}, "exec.kind"),
        ({"exec": {"kind": "swift:5", "code": ECHO}}, "swift:5"),
        ({"exec": {"kind": "python:3"}}, "exec.code"),
        ({"exec": {"kind": "python:3", "code": 7}}, "exec.code"),
        ({"exec": {"kind": "python:3", "code": ECHO, "main": "a b"}}, "exec.main"),
        ({"exec": {"kind": "python:3", "code": "!", "binary": True}}, "base64"),
        ({"exec": {"kind": "python:3", "code": base64_of(b"no archive"), "binary": True}}, "zip"),
        ({"exec": {"kind": "python:3", "code": base64_of(archive("other.py")), "binary": True}}, "__main__.py"),
        ({"exec": {"kind": "python:3", "code": base64_of(archive("../x", "__main__.py"))}}, "../x"),
        ({"exec": {"kind": "blackbox"}}, "black box"),
        ({"exec": {"kind": "blackbox", "image": "none"}}, "pillow"),
        ({**code(), "limits": []}, "limits"),
        ({**code(), "limits": {"memory": 1}}, "limits.memory"),
        ({**code(), "limits": {"memory": True}}, "limits.memory"),
        ({**code(), "limits": {"timeout": 10**9}}, "limits.timeout"),
        ({**code(), "limits": {"concurrency": 2}}, "concurrency"),
        ({**code(), "parameters": {"a": 1}}, "parameters"),
        ({**code(), "annotations": [{"value": 1}]}, "annotations"),
        ({**code(), "annotations": [{"key": "layers", "value": ["none"]}]}, "pillow"),
        ({**code(), "publish": "yes"}, "publish"),
    ],
)
def test_a_bad_action_is_refused_by_the_key_that_is_wrong(cluster: PlayedCluster, body: Any, named: str) -> None:
    answer = cluster.answer("PUT", f"{ACTIONS}/bad", body)
    assert answer.status == 400
    assert named in answer.document["error"]
    assert cluster.answer("GET", ACTIONS).document == []


def test_code_beyond_the_limit_is_too_large() -> None:
    cluster = PlayedCluster(limits=ClusterLimits(code_bytes=100))
    for text in ("#" * 101, base64_of(b"PK\x03\x04" + bytes(200))):
        assert cluster.answer("PUT", f"{ACTIONS}/big", {"exec": {"kind": "python:3", "code": text}}).status == 413


def test_layers_of_an_action_are_those_of_its_container(cluster: PlayedCluster) -> None:
    cluster.create(annotations=[{"key": "layers", "value": ["pillow"]}])
    cluster.invoke()
    assert cluster.take(StartContainer)[0].layers == ("pillow",)


def test_too_many_activations_are_refused_until_the_minute_is_over() -> None:
    cluster = PlayedCluster(limits=ClusterLimits(per_minute=2, concurrent=10))
    cluster.create()
    statuses = [cluster.answer("POST", f"{ACTIONS}/echo", {}).status for _ in range(3)]
    assert statuses == [202, 202, 429]
    cluster.now_s = 60.0
    assert cluster.answer("POST", f"{ACTIONS}/echo", {}).status == 202


def test_too_many_activations_at_once_are_refused_until_one_is_over() -> None:
    cluster = PlayedCluster(limits=ClusterLimits(concurrent=1))
    cluster.create()
    cluster.invoke()
    assert cluster.answer("POST", f"{ACTIONS}/echo", {}).status == 429
    cluster.started(1)
    cluster.initialized(1)
    cluster.ran(1)
    assert cluster.answer("POST", f"{ACTIONS}/echo", {}).status == 202


def test_the_key_goes_to_actions_that_ask_for_it(cluster: PlayedCluster) -> None:
    cluster.create(annotations=[{"key": "provide-api-key", "value": True}])
    cluster.invoke()
    cluster.started(1)
    cluster.initialized(1)
    assert cluster.take(Run)[0].document["api_key"] == "me:secret"
