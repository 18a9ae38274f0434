"""The update stream in an information resource directory (RFC 8895, sections 6.1 to 6.4)."""

from __future__ import annotations

from collections.abc import Iterable

from testbed.alto.directory.entries import Capabilities, ResourceEntry
from testbed.alto.media_types import MERGE_PATCH, UPDATE_STREAM, UPDATE_STREAM_PARAMS
from testbed.alto.names import ResourceID


def stream_entry(
    resource_id: ResourceID, uri: str, uses: Iterable[ResourceID], whole_only: Iterable[ResourceID] = ()
) -> ResourceEntry:
    """Return the entry of an update stream of some resources; those of `whole_only` are never sent as patches.

    The control of streams has no entry: each stream names its own URI. What the resources use should be among them.
    """
    resources, without = tuple(uses), frozenset(whole_only)
    capabilities = {
        "incremental-change-media-types": {name: MERGE_PATCH for name in resources if name not in without},
        "support-stream-control": True,
    }
    return ResourceEntry(resource_id, uri, UPDATE_STREAM, UPDATE_STREAM_PARAMS, Capabilities(capabilities), resources)
