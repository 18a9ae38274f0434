"""A lookup in a database that is elsewhere: it waits, and takes next to no processor.

Parameter: `wait_ms`, 80 unless said otherwise. Result: for how long it waited.
"""

import time

MOST_MS = 10_000


def main(args):
    """Wait once."""
    wait_ms = min(MOST_MS, max(0, args.get("wait_ms", 80)))
    time.sleep(wait_ms / 1000)
    return {"waited_ms": wait_ms}
