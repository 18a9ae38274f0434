"""Names of peers by which messages are counted. Of unknown addresses, which anybody can make up, there are few."""

from __future__ import annotations

_MOST = 100
OTHERS = "others"


class PeerNames:
    """Unknown peers: the first hundred by their address, the rest together."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def name(self, address: str) -> str:
        """Return the name to count an unknown peer by."""
        if address not in self._seen:
            if len(self._seen) >= _MOST:
                return OTHERS
            self._seen.add(address)
        return address
