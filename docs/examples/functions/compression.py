"""Compression of data by an algorithm of Python's standard library.

Parameters: `data` in base64, or `text`; `algorithm`: zlib, bz2 or lzma. Result: sizes before and after, their ratio,
and the compressed data in base64 where it is short enough to send back.
"""

import base64
import bz2
import lzma
import zlib

ALGORITHMS = {"zlib": zlib.compress, "bz2": bz2.compress, "lzma": lzma.compress}
MOST_SENT_BACK = 512 * 1024


def main(args):
    """Compress once."""
    algorithm = args.get("algorithm", "zlib")
    if algorithm not in ALGORITHMS:
        return {"error": f"algorithm must be one of {', '.join(ALGORITHMS)}"}
    data = base64.b64decode(args["data"]) if "data" in args else args.get("text", "edge " * 20_000).encode()
    compressed = ALGORITHMS[algorithm](data)
    result = {"bytes": len(data), "compressed_bytes": len(compressed), "ratio": len(compressed) / max(1, len(data))}
    if len(compressed) <= MOST_SENT_BACK:
        result["compressed"] = base64.b64encode(compressed).decode()
    return result
