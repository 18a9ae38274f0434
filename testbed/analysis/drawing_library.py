"""matplotlib, imported so that it reads nothing of the folder one stands in: it would take a `matplotlibrc` from there.

To be imported before it, by each package that draws.
"""

from __future__ import annotations

import os

_here = os.open(".", os.O_PATH)
try:
    os.chdir("/")
    import matplotlib  # noqa: F401
finally:
    os.fchdir(_here)
    os.close(_here)
