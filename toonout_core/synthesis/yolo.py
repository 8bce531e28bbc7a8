"""Write instance masks as YOLO-seg labels: a text file for each picture, one polygon a line.

A line is `class x1 y1 x2 y2 …` with shares of width and height. The format knows neither holes nor
separate parts: they are joined to the outline by a bridge of no width, there and back. Its readers
fill by the even-odd rule, which leaves the bridge out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..instances import Instances
from ..words import Array

CLASS_NAMES = ("character",)
_TOLERANCE_PX = 0.5  # how far a simplified outline may be from the true one
_LEAST_PART_PX = 12  # smaller parts and holes are left out


def to_yolo(instances: Instances) -> str:
    """Write one line for each instance that has an outline, in their order."""
    lines = [outline(mask) for mask in instances.masks.cpu().numpy()]
    height, width = instances.size_hw
    return "".join(_line(points, width, height) for points in lines if len(points) >= 3)


def data_yaml(splits: Mapping[str, str]) -> str:
    """Write the description that the trainer is given, in the folder of the data set.

    `splits`: name → folder of pictures.
    """
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASS_NAMES))
    folders = "".join(f"{split}: {folder}\n" for split, folder in splits.items())
    return f"# paths are relative to this file\n{folders}names:\n{names}"


def outline(mask: Array) -> Array:
    """Return one closed polygon around all parts and holes of H×W bool: P×2 whole numbers x, y.

    The points are centres of border pixels. It is empty where nothing is large enough.
    """
    from ..opencv import cv2

    found, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return np.zeros((0, 2), np.int32)
    contours = [
        (bool(node[3] >= 0), cv2.approxPolyDP(contour, _TOLERANCE_PX, True)[:, 0])
        for contour, node in zip(found, tree[0], strict=True)
        if cv2.contourArea(contour) >= _LEAST_PART_PX
    ]
    # parts before holes, larger ones first: a hole needs the part that it is cut from
    contours.sort(key=lambda item: (item[0], -cv2.contourArea(item[1])))
    merged = np.zeros((0, 2), np.int32)
    for _, contour in contours:
        merged = _bridged(merged, contour) if len(merged) else contour
    return merged


def _bridged(polygon: Array, contour: Array) -> Array:
    """Insert a visit to `contour` at the nearest point of `polygon`, there and back."""
    apart = ((polygon[:, None].astype(np.float32) - contour[None]) ** 2).sum(-1)
    leave, enter = (int(i) for i in np.unravel_index(int(apart.argmin()), apart.shape))
    tour = np.roll(contour, -enter, axis=0)
    return np.concatenate((polygon[: leave + 1], tour, tour[:1], polygon[leave:]))


def _line(points: Array, width: int, height: int) -> str:
    # readers round down: the middle of a pixel comes back as that pixel
    shares = (points + 0.5) / (width, height)
    return "0 " + " ".join(f"{value:.6f}" for value in shares.ravel()) + "\n"
