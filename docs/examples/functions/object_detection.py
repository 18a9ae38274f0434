"""People on a camera's frame, by OpenCV's own detector (layer `opencv`).

It is the detector of Dalal and Triggs (2005): histograms of oriented gradients, weighed by a linear support vector
machine that OpenCV comes with, trained on pedestrians. It needs no model file. It finds who stands or walks, whole, at
least 100 points tall or so; its boxes leave a margin around them.

Parameters: `image`, base64 of a frame in any format that OpenCV reads; `least_score`, what a box must score to count.
Result: `people`, how many; `boxes`, the best first, each with `box` (left, top, width, height in points) and `score`;
the `size` of the frame.
"""

import base64
import binascii

import cv2
import numpy

MOST_PIXELS = 12_000_000
WINDOW = (64, 128)  # what the detector was trained on

cv2.setNumThreads(1)  # a container has one processor
detector = cv2.HOGDescriptor()
detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())


def main(args):
    """Look at one frame."""
    frame = opened(args.get("image", ""))
    if frame is None:
        return {"error": "image must be a picture in base64"}
    height, width = frame.shape[:2]
    if width * height > MOST_PIXELS:
        return {"error": f"the frame has more than {MOST_PIXELS} pixels"}
    boxes = found(frame, float(args.get("least_score", 0.5)))
    return {"people": len(boxes), "boxes": boxes, "size": [width, height]}


def opened(text):
    """Return the picture in base64; None for what is none."""
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None
    return cv2.imdecode(numpy.frombuffer(octets, numpy.uint8), cv2.IMREAD_COLOR) if octets else None


def found(frame, least_score):
    """Return the boxes around people, the best first."""
    if frame.shape[1] < WINDOW[0] or frame.shape[0] < WINDOW[1]:
        return []
    boxes, scores = detector.detectMultiScale(frame, winStride=(8, 8), scale=1.05)
    ranked = sorted(zip(numpy.ravel(scores), boxes, strict=True), key=lambda item: -item[0])
    return [
        {"box": [int(side) for side in box], "score": round(float(score), 3)}
        for score, box in ranked
        if score >= least_score
    ]
