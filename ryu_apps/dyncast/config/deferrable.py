"""The socket for deferrable messages of a D-Router: the key `deferrable` of its control process (docs/processes.md).

Apart from other messages, for there is nothing to do about them at once: the kernel says when each came.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.runtime.document import Document
from testbed.runtime.forms import Port, Size


@dataclass(frozen=True)
class DeferrableConfig(Document):
    """What deferrable messages go through."""

    fd: Size
    """A bound UDP socket of the D-Router's namespace."""
    port: Port
    """The port at which the others have theirs."""
