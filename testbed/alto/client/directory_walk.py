"""From a root directory to all resources that it leads to, over linked directories (RFC 7285, 8.3.1 and 9.2.4).

It asks for one directory after the other and ends, however they are linked: each URI is asked for once, and no more
than `most_directories` are. What is wrong with the root is an error; a linked one that is of no use is noted.
"""

from __future__ import annotations

from collections import deque
from urllib.parse import urldefrag, urljoin, urlsplit

from testbed.alto import media_types
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Closure, Resource
from testbed.alto.client.contents import content
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.directory.reading import read_directory
from testbed.alto.errors import AltoDataError
from testbed.alto.service.exchange import Answer, Request

LARGEST_DIRECTORY = 1 << 22
MOST_DIRECTORIES = 32
_SCHEMES = ("http", "https")


class DirectoryWalk:
    """Ask `next_request` and hand its answer to `take`, until there is none."""

    def __init__(self, root_uri: str, most_directories: int = MOST_DIRECTORIES) -> None:
        """Begin at a root directory; raises AltoDataError if that is no URI of one."""
        self.closure = Closure()
        self._root = root_uri
        self._most = most_directories
        self._due: deque[str] = deque()
        self._seen: set[str] = set()
        if not self._add(root_uri):
            raise AltoDataError(f"{root_uri!r} is no http or https URI")

    def next_request(self) -> Request | None:
        """Return the request for the next directory, or None when all have been taken."""
        if not self._due:
            return None
        accept = f"{media_types.DIRECTORY},{media_types.ERROR}"
        return Request("GET", self._due[0], {"Accept": accept})

    def take(self, answer: Answer) -> None:
        """Take the answer to the request that was due. Raises AltoAnswerError if the root is of no use."""
        uri = self._due.popleft()
        try:
            directory = self._read(uri, answer)
        except AltoAnswerError as error:
            if uri == self._root:
                raise
            self.closure.problems.append(str(error))
            return
        if uri == self._root:
            self.closure.default_network_map = directory.default_network_map
        for entry in directory.entries:
            self._enter(uri, directory, entry)

    def _read(self, uri: str, answer: Answer) -> Directory:
        try:
            return read_directory(content(uri, answer, media_types.DIRECTORY, LARGEST_DIRECTORY))
        except AltoDataError as error:
            raise AltoAnswerError(uri, str(error)) from None

    def _enter(self, base: str, directory: Directory, entry: ResourceEntry) -> None:
        uri = _resolved(base, entry.uri)
        if uri is None:
            self.closure.problems.append(f"{base}: resources/{entry.resource_id}/uri is no URI: {entry.uri!r}")
        elif not entry.is_directory:
            offered = directory.offered(entry.capabilities.cost_type_names)
            testable = directory.offered(entry.capabilities.testable_cost_type_names)
            self.closure.add(Resource(entry, uri, tuple(offered), tuple(testable)))
        elif not self._add(uri):
            self.closure.problems.append(
                f"{base}: {uri} is not followed: no http URI, or the {self._most} first are enough"
            )

    def _add(self, uri: str) -> bool:
        """Note that a directory is due, if it has not been; return whether it may be."""
        if uri in self._seen:
            return True
        if len(self._seen) >= self._most or _resolved(uri, "") is None:
            return False
        self._seen.add(uri)
        self._due.append(uri)
        return True


def _resolved(base: str, uri: str) -> str | None:
    """Return an absolute URI (RFC 3986, section 5), or None if that is none of HTTP."""
    try:
        absolute = urldefrag(urljoin(base, uri)).url
        parts = urlsplit(absolute)
        is_good = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return None
    return absolute if is_good and absolute.isascii() and absolute.isprintable() else None
