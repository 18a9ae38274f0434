"""When what a server serves was changed last, for Last-Modified (RFC 9439, section 6.2).

Pure: times come in. A tag says whether a resource changed. When one is seen for the first time is not known better than
by the last update, which may be later than the change, and never earlier: who has that version keeps it no longer than
it may.
"""

from __future__ import annotations

from email.utils import formatdate


class ChangeTimes:
    """The time of the last update, and those of tags that were seen, by path."""

    def __init__(self, now_s: float) -> None:
        self._updated_s = now_s
        self._seen: dict[str, tuple[str, float]] = {}

    def updated(self, now_s: float) -> None:
        """Something is known now that was not."""
        self._updated_s = now_s

    def changed_s(self, path: str, tag: str | None) -> float:
        """Return when the content of a resource at a path changed last; without a tag, it is made of all there is."""
        if tag is None:
            return self._updated_s
        seen = self._seen.get(path)
        if seen is None or seen[0] != tag:
            seen = self._seen[path] = (tag, self._updated_s)
        return seen[1]

    def header(self, path: str, tag: str | None) -> str:
        """Return it as HTTP has it."""
        return formatdate(self.changed_s(path, tag), usegmt=True)
