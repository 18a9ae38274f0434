"""A process that is ready at once and ends well when asked: `python -m tests.obedient_process FOLDER/NAME.json`."""

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Path(sys.argv[1]).with_suffix(".ready").touch()
    while True:
        signal.pause()
