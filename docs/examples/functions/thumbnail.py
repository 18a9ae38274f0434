"""A thumbnail of a picture, by Pillow (layer `packages`).

Parameters: `image`, base64 of any format that Pillow reads (left out: a test picture); `width`, `height` of the box
that the thumbnail fits into. Result: the thumbnail as JPEG in base64, its size, and the size of the picture.
"""

import base64
import io

from PIL import Image

MOST_PIXELS = 50_000_000


def main(args):
    """Make one thumbnail."""
    picture = opened(args["image"]) if "image" in args else drawn()
    if picture.width * picture.height > MOST_PIXELS:
        return {"error": f"the picture has more than {MOST_PIXELS} pixels"}
    thumbnail = picture.convert("RGB")
    thumbnail.thumbnail((int(args.get("width", 160)), int(args.get("height", 160))))
    octets = io.BytesIO()
    thumbnail.save(octets, "JPEG", quality=85)
    return {
        "thumbnail": base64.b64encode(octets.getvalue()).decode(),
        "size": list(thumbnail.size),
        "of": list(picture.size),
    }


def opened(text):
    """Return the picture in base64."""
    return Image.open(io.BytesIO(base64.b64decode(text)))


def drawn():
    """Return a picture of 1280 by 720 points."""
    red, green = Image.linear_gradient("L"), Image.radial_gradient("L")
    return Image.merge("RGB", (red, green, red.rotate(90))).resize((1280, 720))
