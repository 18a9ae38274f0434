"""What makes the quick tests quick."""

from __future__ import annotations

import gc

# With it come eventlet's locks. Imported after `http.server`, as the order of folders has it, a test's server hangs.
from ryu_apps.openflow import framework  # noqa: F401


def pytest_collection_finish() -> None:
    """Spare the garbage collector what imports and collection made, or it takes a tenth of the time looking at it."""
    gc.freeze()
