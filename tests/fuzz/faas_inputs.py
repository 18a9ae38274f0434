"""What clients and containers may send to an edge computing cluster, as octets."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from testbed.faas.actions import archive
from testbed.faas.actions.action import PYTHON
from testbed.faas.activations.outcome import Reply
from testbed.faas.api.messages import encoded
from testbed.faas.errors import ApiError
from testbed.faas.limits import ClusterLimits
from testbed.faas.orders import Initialize, Run
from tests.faas_samples import ACTIONS, ACTIVATIONS, ECHO, PlayedCluster, base64_of
from tests.faas_samples import archive as zipped

_LIMITS = ClusterLimits(unpacked_bytes=1 << 20, archive_entries=50)
_ACTION = {
    "exec": {"kind": PYTHON, "code": ECHO, "main": "main"},
    "limits": {"timeout": 1000, "memory": 128, "logs": 1},
    "parameters": [{"key": "a", "value": [1, 2.5, None, True, "\u00e4"]}, {"key": "b", "value": {}, "init": True}],
    "annotations": [{"key": "layers", "value": ["pillow"]}, {"key": "provide-api-key", "value": True}],
    "publish": False,
}
_ZIPPED = {"exec": {"kind": PYTHON, "code": base64_of(zipped("__main__.py", "inner/x.py")), "binary": True}}
BODIES = [json.dumps(document).encode() for document in (_ACTION, _ZIPPED, {"limits": {"memory": 64}})]
ARCHIVES = [zipped("__main__.py"), zipped("__main__.py", *(f"inner/{n}" for n in range(5)), content=bytes(5000))]
REQUESTS = [
    f"PUT {ACTIONS}/x?overwrite=true\n{BODIES[0].decode()}".encode(),
    f'POST {ACTIONS}/echo?blocking=true&result=true&timeout=500\n{{"a": 1}}'.encode(),
    f"GET {ACTIVATIONS}?limit=10&skip=0&since=1&upto=2&docs=true&count=false&name=echo\n".encode(),
    b"DELETE /api/v1/namespaces/guest/actions/echo\n",
    b"GET /api/v1/namespaces/_/activations/0123/logs\n",
]
ANSWERS = [b'{"a": [1, 2]}', b'{"error": "none"}', b"[]", b'{"error": {"statusCode": 404, "body": {}}}']


def body(data: bytes) -> None:
    """A request to create an action is answered at once, and what it created is shown, whatever is in it."""
    cluster = PlayedCluster(limits=_LIMITS)
    answer = cluster.answer("PUT", f"{ACTIONS}/x", data)
    assert answer.status in (200, 400, 413)
    assert answer.body
    if answer.status == 200:
        assert cluster.answer("GET", f"{ACTIONS}/x").document == answer.document
        cluster.invoke("x")


def archived(data: bytes) -> None:
    """An archive is taken or refused."""
    try:
        archive.check(data, PYTHON, _LIMITS)
    except ApiError as error:
        assert error.status in (400, 413)


def request(data: bytes) -> None:
    """Any request has one answer, or waits for a container."""
    line, _, content = data.partition(b"\n")
    method, _, target = line.decode("latin-1").partition(" ")
    path, _, query = target.partition("?")
    cluster = PlayedCluster(limits=_LIMITS)
    cluster.create()
    words = {key: value for key, value in parse_qsl(query) if key not in ("method", "path", "body", "authorization")}
    number = cluster.ask(method, path, content, **words)
    if number not in cluster.answers:
        cluster.pass_s(200.0)
    assert cluster.answers[number].status in range(200, 600)
    assert isinstance(cluster.answers[number].body, bytes)


def answer(data: bytes) -> None:
    """Whatever a container answers, its activation ends with a status."""
    for status in (200, 502, 0):
        cluster = PlayedCluster()
        cluster.create()
        number = cluster.invoke(result="false")
        cluster.started(1)
        cluster.core.on_initialized(1, Reply(status, data), (), 0.0)
        cluster.collect()
        if cluster.take(Initialize) and (runs := cluster.take(Run)):
            assert encoded(runs[0].document)
            cluster.core.on_ran(1, Reply(status, data), (), 0.0)
            cluster.collect()
        assert cluster.answers[number].document["response"]["status"]
        assert cluster.answers[number].body
