"""A client program: one request after another until its time is over; its figures are the last line it prints.

client.py URL DURATION_S
"""

import json
import sys
import time
import urllib.request

url, duration_s = sys.argv[1], float(sys.argv[2])
end_s, took_ms, failed = time.monotonic() + duration_s, [], 0
while time.monotonic() < end_s:
    begun_s = time.monotonic()
    try:
        urllib.request.urlopen(url, timeout=5).read()
    except OSError:
        failed += 1
    else:
        took_ms.append((time.monotonic() - begun_s) * 1e3)
print(json.dumps({"requests": len(took_ms), "failed": failed, "mean_ms": sum(took_ms) / max(1, len(took_ms))}))
