"""The socket for probes of a D-Router: the key `probes` of its control process (docs/processes.md).

Apart from other messages, for probes need no answer at once: the kernel says when each came, and what it waited here is
said in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.runtime.document import Document
from testbed.runtime.forms import Port, Size


@dataclass(frozen=True)
class ProbesConfig(Document):
    """Where probes go through."""

    fd: Size
    """A bound UDP socket of the D-Router's namespace."""
    port: Port
    """The port at which the others have theirs."""
