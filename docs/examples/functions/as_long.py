"""Takes as long as its invocation says: a stand-in for a function of which only its durations are known.

Parameter: `duration_ms`, how long it takes; it waits, as for an answer from elsewhere. Result: how long it took.
"""

import time


def main(args):
    """Take as long as is asked for."""
    begun_s = time.perf_counter()
    time.sleep(max(0.0, float(args.get("duration_ms", 0))) / 1000)
    return {"took_ms": 1000 * (time.perf_counter() - begun_s)}
