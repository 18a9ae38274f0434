"""A function of the demo: takes noise from a camera's frame by a median filter of Pillow.

Parameters: `image`, a frame in base64; `wait_ms`, for how long the container is taken beyond the work, as by an
accelerator that works beside it. Result: the frame without noise, as JPEG in base64, and its size.
"""

import base64
import io
import sys
import time
from typing import Any

sys.path.insert(0, "/layers")  # its layers are the packages themselves, by their names

from PIL import Image, ImageFilter


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Take the noise from one frame."""
    frame = Image.open(io.BytesIO(base64.b64decode(args["image"]))).convert("RGB").filter(ImageFilter.MedianFilter(3))
    octets = io.BytesIO()
    frame.save(octets, "JPEG", quality=85)
    time.sleep(float(args.get("wait_ms", 0)) / 1e3)
    return {"image": base64.b64encode(octets.getvalue()).decode(), "size": list(frame.size)}
