"""Answers of our HTTP servers that are JSON documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web


def json_answer(status: int, document: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer that is a document, with these header fields beside."""
    body = json.dumps(document).encode()
    return web.Response(status=status, body=body, headers=fields, content_type="application/json")
