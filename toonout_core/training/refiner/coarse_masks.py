"""Masks as wrong as those that a refiner is shown, made from true ones.

After arXiv:2312.01943, whose refiner saw stored results of its detector, filled boxes and true
masks, grown or shrunk; the results of a detector are imitated here.
"""

from __future__ import annotations

import numpy as np

from ...words import Array
from ..instance_config import RefinerConfig

Generator = np.random.Generator

_DETECTOR_PX, _STRIDE = 640, 8  # of the detector's input, of its maps
_HALF = 0.5
_UNSURE = 0.12  # standard deviation of what its maps are wrong by
_CANVAS_PX, _RADII_PX = 720, (1, 3, 5, 7)  # of that canvas


def draw_coarse(rng: Generator, mask: Array, config: RefinerConfig) -> Array:
    """H×W uint8, 0 or 1 → the same with the errors of a first stage; empty stays empty."""
    if not mask.any():
        return mask
    coarse = mask
    if rng.random() < config.boxes:
        coarse = filled_box(mask)
    elif rng.random() < config.worn:
        coarse = as_detected(rng, mask)
    return grown_or_shrunk(rng, coarse) if rng.random() < config.grown else coarse


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 close around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def filled_box(mask: Array) -> Array:
    """The box of a mask, filled."""
    left, top, right, bottom = box_of(mask)
    box = np.zeros_like(mask)
    box[top:bottom, left:right] = 1
    return box


def as_detected(rng: Generator, mask: Array) -> Array:
    """As enlarged from a detector's map: thin parts are lost, edges wander."""
    from ...opencv import cv2

    height, width = mask.shape
    cell = _STRIDE * max(height, width) / _DETECTOR_PX
    size_wh = (max(round(width / cell), 1), max(round(height / cell), 1))
    small = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    small += rng.normal(0, _UNSURE, small.shape).astype(np.float32) * (small > 0)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) > _HALF
    # a detector finds nobody who is smaller than its cells
    return large.astype(np.uint8) if large.any() else mask


def grown_or_shrunk(rng: Generator, mask: Array) -> Array:
    """By an ellipse, either with equal chance; who would vanish stays."""
    from ...opencv import cv2

    radius = int(rng.choice(_RADII_PX)) * max(mask.shape) / _CANVAS_PX
    side = 2 * max(round(radius), 1) + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    changed = (cv2.dilate if rng.random() < 0.5 else cv2.erode)(mask, ellipse)
    return changed if changed.any() else mask
