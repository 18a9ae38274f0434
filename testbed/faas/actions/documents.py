"""Actions as documents of the API: what a request says of one, checked key by key, and how an action is shown.

A request to create or change an action may leave out anything but, for a new one, its `exec`; what it leaves out stays
as it was. Keys that are unknown here are those of other platforms, and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from testbed.faas.actions import archive
from testbed.faas.actions.action import BLACKBOX, LAYERS, Action, Code, Parameter, resolved
from testbed.faas.errors import malformed
from testbed.faas.limits import ActionLimits, ClusterLimits, action_limits

_NAME = re.compile(r"[\w](?:[\w @.-]{0,254}[\w@.-])?", re.ASCII)
_MAIN = re.compile(r"[A-Za-z_$][\w$.]{0,254}", re.ASCII)


@dataclass(frozen=True)
class Offer:
    """What a cluster takes: the kinds whose runtimes it has, the layers that it holds, and its limits."""

    kinds: tuple[str, ...]
    layers: frozenset[str]
    limits: ClusterLimits


def check_name(name: str) -> str:
    """Return a name that an action may have. Raises ApiError."""
    if not _NAME.fullmatch(name):
        raise malformed("a name has 1 to 256 letters, digits, or any of _ @ . - and blanks, and no blank at either end")
    return name


def action_of(document: Mapping[str, Any], former: Action | None, named: Action, offer: Offer) -> Action:
    """Return the action that a request describes, on top of what it was. `named`: its names and number."""
    base = former or named
    if former is None and not document.get("exec"):
        raise malformed("exec is missing: an action needs code, as exec: {kind, code}")
    limits = document.get("limits")
    return replace(
        base,
        number=named.number,
        updated_ms=named.updated_ms,
        code=_code(document["exec"], offer) if document.get("exec") else base.code,
        limits=base.limits if limits is None else action_limits(limits, base.limits, offer.limits),
        parameters=_or_former(document, "parameters", base.parameters, _parameters),
        annotations=_or_former(document, "annotations", base.annotations, partial(_annotations, offer)),
        is_shared=_or_former(document, "publish", base.is_shared, _truth),
    )


def shown(action: Action, *, with_code: bool) -> dict[str, Any]:
    """Return an action as the API shows it."""
    code = action.code
    executed: dict[str, Any] = {"kind": code.kind, "binary": code.is_binary}
    if with_code:
        executed["code"] = code.text
    if code.main:
        executed["main"] = code.main
    if code.image:
        executed["image"] = code.image
    return {
        "namespace": action.namespace,
        "name": action.name,
        "version": action.version,
        "exec": executed,
        "limits": action.limits.document(),
        "parameters": [_shown_parameter(item) for item in action.parameters],
        "annotations": [*pairs(dict(action.annotations)), {"key": "exec", "value": code.kind}],
        "publish": action.is_shared,
        "updated": action.updated_ms,
    }


def listed(action: Action) -> dict[str, Any]:
    """Return an action as it stands in a list."""
    document = shown(action, with_code=False)
    document["exec"] = {"binary": action.code.is_binary}
    del document["parameters"]
    return document


def pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return values by key as the API writes them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def default_limits(limits: ClusterLimits) -> ActionLimits:
    """Return the limits of an action that asks for none: the usual ones, as far as the cluster goes."""
    usual = ActionLimits()
    return replace(
        usual,
        memory_mb=max(limits.memory_mb[0], min(usual.memory_mb, limits.memory_mb[1])),
        timeout_ms=max(limits.timeout_ms[0], min(usual.timeout_ms, limits.timeout_ms[1])),
    )


def _code(document: Any, offer: Offer) -> Code:
    if not isinstance(document, Mapping):
        raise malformed("exec must be an object: {kind, code}")
    kind = resolved(_text(document, "kind"))
    if kind not in offer.kinds:
        raise malformed(f"exec.kind {kind[:100]!r} is not run here; there are: {', '.join(offer.kinds)}")
    text, main, image = (_text(document, key, "") for key in ("code", "main", "image"))
    if main and not _MAIN.fullmatch(main):
        raise malformed("exec.main must be the name of a function")
    if kind == BLACKBOX:
        return _black_box(text, image, offer)
    if not text:
        raise malformed("exec.code is missing")
    binary = _is_archive(document, text)
    _check_code(text, kind, binary, offer.limits)
    return Code(kind, text, main, binary)


def _black_box(text: str, image: str, offer: Offer) -> Code:
    if image and image not in offer.layers:
        raise malformed(f"exec.image {image[:100]!r} is no layer here; {_known(offer)}")
    if not image and not text:
        raise malformed(
            "a black box needs exec.image, the name of a layer, or exec.code, an archive with a program exec"
        )
    if text:
        _check_code(text, BLACKBOX, is_binary=True, limits=offer.limits)
    return Code(BLACKBOX, text, is_binary=bool(text), image=image)


def _is_archive(document: Mapping[str, Any], text: str) -> bool:
    # Clients of the platform leave `binary` out: base64 of a zip archive begins like this, and no source does.
    binary = document.get("binary")
    return binary if isinstance(binary, bool) else text.startswith("UEsDB")


def _check_code(text: str, kind: str, is_binary: bool, limits: ClusterLimits) -> None:
    if is_binary:
        archive.check(archive.octets(text, limits), kind, limits)
    elif (length := len(text.encode("utf-8", errors="surrogatepass"))) > limits.code_bytes:
        raise archive.too_large(length, limits)


def _or_former(document: Mapping[str, Any], key: str, former: Any, read: Any) -> Any:
    value = document.get(key)
    return former if value is None else read(key, value)


def _parameters(key: str, value: Any) -> tuple[Parameter, ...]:
    found = {
        item["key"]: Parameter(item["key"], item.get("value"), item.get("init") is True) for item in _items(key, value)
    }
    return tuple(found.values())


def _annotations(offer: Offer, key: str, value: Any) -> tuple[tuple[str, Any], ...]:
    found = {item["key"]: item.get("value") for item in _items(key, value)}
    layers = found.get(LAYERS, [])
    if not isinstance(layers, list) or not all(isinstance(layer, str) for layer in layers):
        raise malformed("the annotation layers must be a list of names")
    for layer in layers:
        if layer not in offer.layers:
            raise malformed(f"there is no layer {layer[:100]!r} here; {_known(offer)}")
    return tuple(found.items())


def _known(offer: Offer) -> str:
    return f"there are: {', '.join(sorted(offer.layers)) or 'none'}"


def _items(key: str, value: Any) -> Collection[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("key"), str) for item in value
    ):
        raise malformed(f"{key} must be a list of {{key, value}}")
    return value


def _truth(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise malformed(f"{key} must be true or false")
    return value


def _text(document: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = document.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise malformed(f"exec.{key} must be a string")
    return value


def _shown_parameter(item: Parameter) -> dict[str, Any]:
    return {"key": item.key, "value": item.value, **({"init": True} if item.is_initial else {})}
