"""The live page: one HTML document that needs nothing from elsewhere, put together of its markup, style and script.

Owns the policy by which a browser runs this script and no other.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

_STYLE, _SCRIPT = "/* live.css */", "/* live.js */"


@dataclass(frozen=True)
class Page:
    """The document, and its Content-Security-Policy."""

    html: bytes
    policy: str


def assembled() -> Page:
    """Return the page."""
    folder = resources.files(__package__) / "assets"
    style, script = (f"\n{(folder / name).read_text(encoding='utf-8')}" for name in ("live.css", "live.js"))
    html = (folder / "live.html").read_text(encoding="utf-8").replace(_STYLE, style).replace(_SCRIPT, script)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
