"""The layer of OpenCV is made by the command that docs show.

Here, among the tests that run first and have a network: those that use the layer run in namespaces without one.
"""

from __future__ import annotations

from tests.opencv_layer import opencv_layer


def test_the_documented_command_makes_it() -> None:
    layer = opencv_layer()
    assert {"cv2", "numpy"} <= {path.name for path in layer.iterdir()}
