"""Bend figures as if seen from elsewhere: by perspective and waves, alpha with them."""

from __future__ import annotations

import numpy as np

from ..imaging import from_layer, to_layer
from ..words import Array

Generator = np.random.Generator

_PERSPECTIVE = 0.06  # of a side, how far a corner moves at most
_WAVE = 0.02  # of the longer side, standard deviation of the shift
_CELLS = 4  # knots of the waves along a side


def distort(rng: Generator, rgba: Array) -> Array:
    """Shift corners and knots of a grid over H×W×4 uint8, straight, at random → the same size.

    Nothing leaves the canvas: the figure is first made smaller by what it may move.
    """
    from ..opencv import cv2

    height, width = rgba.shape[:2]
    margin = _PERSPECTIVE / 2 + 2 * _WAVE
    target = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    inner = margin + target * (1 - 2 * margin)
    inner += rng.uniform(-_PERSPECTIVE / 2, _PERSPECTIVE / 2, (4, 2))
    scale = np.array([width, height], np.float32)
    matrix = cv2.getPerspectiveTransform(
        (inner * scale).astype(np.float32), (target * scale).astype(np.float32)
    )
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    knots = rng.normal(0, _WAVE * max(height, width), (2, _CELLS, _CELLS)).astype(np.float32)
    waves = [cv2.resize(knot, (width, height), interpolation=cv2.INTER_CUBIC) for knot in knots]
    from_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth + waves[0]
    from_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth + waves[1]
    moved = cv2.remap(
        to_layer(rgba),
        (from_x - 0.5).astype(np.float32),
        (from_y - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return from_layer(moved)
