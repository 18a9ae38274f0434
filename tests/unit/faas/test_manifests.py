"""Manifests: what says a function, and what is refused by its key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.blobs import Blob, Role, digest_of
from testbed.faas.delivery.manifest import Bounds, FunctionError
from tests.delivery_samples import function

DIGEST = digest_of(b"x")


def document(**changed: Any) -> dict[str, Any]:
    return {
        "name": "detect",
        "kind": "python:3",
        "limits": {"memory": 256},
        "code": {"digest": DIGEST, "size": 10, "binary": False},
        "layers": [{"name": "opencv", "digest": DIGEST, "size": 10240}],
        **changed,
    }


def refusal(document: object) -> str:
    with pytest.raises(FunctionError) as caught:
        manifests.read(document if isinstance(document, bytes) else json.dumps(document).encode())
    return str(caught.value)


def test_a_function_is_read_as_it_was_written() -> None:
    written = function("detect", b"code", opencv=b"an archive", model=b"another")
    assert manifests.read(written.octets) == written


def test_a_manifest_has_the_same_octets_whenever_it_is_made() -> None:
    assert function("a", b"code", one=b"1").digest == function("a", b"code", one=b"1").digest
    assert function("a", b"code", one=b"1").digest != function("a", b"code", one=b"2").digest


def test_two_layers_with_the_same_content_are_one_blob() -> None:
    assert len(function("a", b"code", one=b"1", two=b"1").blobs) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": 7}, "name"),
        ({"kind": ""}, "kind"),
        ({"main": 1}, "main"),
        ({"limits": {"memory": "much"}}, "limits.memory"),
        ({"limits": {"speed": 1}}, "'speed'"),
        ({"limits": []}, "limits"),
        ({"code": None}, "code"),
        ({"code": {"digest": "md5:0", "size": 1, "binary": False}}, "code.digest"),
        ({"code": {"digest": DIGEST.upper(), "size": 1, "binary": False}}, "code.digest"),
        ({"code": {"digest": DIGEST, "size": 0, "binary": False}}, "code.size"),
        ({"code": {"digest": DIGEST, "size": True, "binary": False}}, "code.size"),
        ({"code": {"digest": DIGEST, "size": 1 << 40, "binary": False}}, "code.size"),
        ({"code": {"digest": DIGEST, "size": 1}}, "code.binary"),
        ({"kind": "blackbox"}, "code.binary"),
        ({"layers": {}}, "layers"),
        ({"layers": [{"name": "../up", "digest": DIGEST, "size": 1}]}, "layers[0].name"),
        ({"layers": [{"name": "a@b", "digest": DIGEST, "size": 1}]}, "layers[0].name"),
        ({"layers": [{"name": "a", "digest": DIGEST, "size": 1}] * 2}, "same name"),
        ({"layers": [{"name": f"l{n}", "digest": DIGEST, "size": 1} for n in range(33)]}, "at most 32"),
        ({"extra": 1}, "'extra'"),
    ],
)
def test_what_is_no_manifest_is_refused_by_its_key(changed: dict[str, Any], said: str) -> None:
    assert said in refusal(document(**changed))


@pytest.mark.parametrize("octets", [b"", b"[]", b"\xff", b"{", b"[" * 1000, b" " * (manifests.MOST_OCTETS + 1)])
def test_what_is_no_document_is_refused(octets: bytes) -> None:
    assert "manifest" in refusal(octets)


def test_sizes_are_bounded() -> None:
    octets = json.dumps(document()).encode()
    for bounds in (Bounds(code_octets=9), Bounds(layer_octets=10239), Bounds(layers=0)):
        with pytest.raises(FunctionError):
            manifests.read(octets, bounds)


def test_a_layer_has_a_name_by_which_its_blob_is_found() -> None:
    (layer,) = function("a", b"code", opencv=b"an archive").layers
    assert manifests.seen_name(layer.full_name) == "opencv"
    assert manifests.blob_of(layer.full_name) == layer.blob
    assert manifests.blob_of("opencv") is None


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda name: name[:-1],
        lambda name: f"x{name}",
        lambda name: name.replace("-10-", "-010-"),
        lambda _name: "",
    ],
)
def test_what_is_no_name_of_a_blob_is_none(change: Callable[[str], str]) -> None:
    blob = Blob(DIGEST, 10, Role.CODE)
    assert Blob.of_file_name(blob.file_name) == blob
    assert Blob.of_file_name(change(blob.file_name)) is None
