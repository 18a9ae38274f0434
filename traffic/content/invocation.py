"""An invocation of a function over the REST API of Apache OpenWhisk, as octets: what is asked, what the answer says.

Pure; knows no sockets. The platform's figures are whole milliseconds, so parts are true to about one each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from testbed import json_documents
from testbed.net.addresses import Address

_MOST_DIGITS = 10


class Activation(NamedTuple):
    """What a cluster says of an activation; None where it says nothing of it."""

    activation_id: str | None = None
    status: str | None = None
    start: str | None = None
    wait_ms: float | None = None
    start_ms: float | None = None
    init_ms: float | None = None
    run_ms: float | None = None

    @property
    def spent_ms(self) -> float:
        """All parts together."""
        return sum(part for part in (self.wait_ms, self.start_ms, self.init_ms, self.run_ms) if part is not None)


def url(address: Address, port: int, function: str) -> str:
    """Return where a function is invoked so that its activation is the answer."""
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}:{port}/api/v1/namespaces/_/actions/{quote(function, safe='')}?blocking=true"


def with_parameter(body: bytes, name: str, value: float) -> bytes:
    """Return the parameters that `body` has, an object in JSON, and one more."""
    rest = body.lstrip()[1:]
    first = json.dumps({name: value}).encode()[:-1]
    return first + (rest if rest.lstrip().startswith(b"}") else b", " + rest)


def fields(auth: str) -> dict[str, str]:
    """Return the header fields of every invocation; `auth` is `uuid:key`."""
    shown = base64.b64encode(auth.encode()).decode()
    return {"Authorization": f"Basic {shown}", "Content-Type": "application/json"}


def kept_s(cache_control: str) -> float:
    """Return for how long an answer may be kept, by its field Cache-Control; 0 unless it says so (RFC 9111, 5.2.2)."""
    directives = [item.strip().lower() for item in cache_control.split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    ages = (item.removeprefix("max-age=").strip('"') for item in directives if item.startswith("max-age="))
    return next((float(age) for age in ages if age.isascii() and age.isdigit() and len(age) <= _MOST_DIGITS), 0.0)


def read(body: bytes) -> Activation:
    """Return what an answer says; what is no activation says nothing."""
    try:
        document = json_documents.parse(body)
    except ValueError:
        return Activation()
    if not isinstance(document, dict) or not isinstance(document.get("annotations"), list):
        return Activation(_text(document.get("activationId")) if isinstance(document, dict) else None)
    said = {item.get("key"): item.get("value") for item in document["annotations"] if isinstance(item, dict)}
    response = document.get("response")
    init_ms, start_ms = _number(said.get("initTime")) or 0.0, _number(said.get("startTime")) or 0.0
    wait_ms, duration_ms = _number(said.get("waitTime")), _number(document.get("duration"))
    return Activation(
        _text(document.get("activationId")),
        _text(response.get("status")) if isinstance(response, Mapping) else None,
        _text(said.get("start")),
        None if wait_ms is None else wait_ms - start_ms,
        start_ms,
        init_ms,
        None if duration_ms is None else duration_ms - init_ms,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
