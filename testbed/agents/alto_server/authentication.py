"""Who may ask: HTTP's Digest (RFC 7616; SHA-256 first, MD5 for old clients) and Basic (RFC 7617).

Pure: the time and random octets come in. A nonce carries its time and a code that only this server can make, so that
nonces that nobody used cost nothing; a use of one counts once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.request import parse_http_list, parse_keqv_list

REALM = "dyncast-alto"
_ALGORITHMS: Mapping[str, Callable[[bytes], str]] = {  # in the order in which they are offered
    "SHA-256": lambda octets: hashlib.sha256(octets).hexdigest(),
    "MD5": lambda octets: hashlib.md5(octets, usedforsecurity=False).hexdigest(),
}
_NONCE_S = 300.0
_MOST_NONCES, _MOST_USES = 1000, 4096
_CODE_OCTETS = 16


@dataclass(frozen=True)
class Verdict:
    """Whether a request may be answered; if not, the challenges, the best first."""

    is_good: bool
    challenges: tuple[str, ...] = ()


class Authentication:
    """The users of a server, with their passwords."""

    def __init__(self, users: Mapping[str, str], secret: bytes) -> None:
        self._users, self._secret = dict(users), secret
        self._uses: OrderedDict[str, set[int]] = OrderedDict()
        self._forgotten_ms = -1

    def check(self, authorization: str | None, method: str, target: str, now_s: float) -> Verdict:
        """Return whether a request with this header is from one of the users."""
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            return Verdict(True) if self._is_basic(credentials.strip()) else self._refused(now_s)
        if scheme.lower() == "digest":
            return self._digest(credentials, method, target, now_s)
        return self._refused(now_s)

    def _refused(self, now_s: float, is_stale: bool = False) -> Verdict:
        nonce, stale = self._nonce(now_s), ", stale=true" if is_stale else ""
        digests = (
            f'Digest realm="{REALM}", qop="auth", algorithm={name}, nonce="{nonce}", charset=UTF-8{stale}'
            for name in _ALGORITHMS
        )
        return Verdict(False, (*digests, f'Basic realm="{REALM}", charset="UTF-8"'))

    def _is_basic(self, credentials: str) -> bool:
        try:
            user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        known = self._users.get(user)
        # Compared in any case, so that the time says nothing of which users there are.
        is_right = hmac.compare_digest(password.encode(), (known or "").encode())
        return bool(colon) and known is not None and is_right

    def _digest(self, credentials: str, method: str, target: str, now_s: float) -> Verdict:
        try:
            said = parse_keqv_list(parse_http_list(credentials))
            count = int(said.get("nc", ""), 16)
        except (ValueError, IndexError):
            return self._refused(now_s)
        algorithm = _ALGORITHMS.get(said.get("algorithm", "MD5").upper())
        password = self._users.get(said.get("username", ""))
        is_ours = (said.get("realm"), said.get("qop"), said.get("uri")) == (REALM, "auth", target)
        if algorithm is None or not is_ours:
            return self._refused(now_s)
        right = _response(algorithm, said, password or "", method)
        if password is None or not hmac.compare_digest(right.encode(), said.get("response", "").encode()):
            return self._refused(now_s)
        if not self._is_fresh(said.get("nonce", ""), count, now_s):
            return self._refused(now_s, is_stale=True)
        return Verdict(True)

    def _nonce(self, now_s: float) -> str:
        time = f"{int(now_s * 1000):x}"
        return f"{time}-{self._code(time)}"

    def _code(self, time: str) -> str:
        return hmac.new(self._secret, time.encode(), hashlib.sha256).hexdigest()[: 2 * _CODE_OCTETS]

    def _is_fresh(self, nonce: str, count: int, now_s: float) -> bool:
        """Return whether a nonce is ours, not old, and not used with this count before."""
        time, _, code = nonce.partition("-")
        if not hmac.compare_digest(code.encode(), self._code(time).encode()):
            return False
        made_ms = int(time, 16)
        uses = self._uses.get(nonce, set())
        if (
            now_s - made_ms / 1000 > _NONCE_S
            or made_ms <= self._forgotten_ms
            or count in uses
            or len(uses) >= _MOST_USES
        ):
            return False
        self._uses.setdefault(nonce, uses).add(count)
        if len(self._uses) > _MOST_NONCES:
            forgotten, _ = self._uses.popitem(last=False)
            self._forgotten_ms = int(forgotten.partition("-")[0], 16)  # all of that time are stale: uses are not known
        return True


def _response(algorithm: Callable[[bytes], str], said: Mapping[str, str], password: str, method: str) -> str:
    def hashed(*parts: str) -> str:
        return algorithm(":".join(parts).encode())

    user = hashed(said.get("username", ""), REALM, password)
    request = hashed(method, said.get("uri", ""))
    nonces = (said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    return hashed(user, *nonces, request)
