"""Measure what is right along the outline: boundary IoU and mean boundary accuracy."""

from __future__ import annotations

import numpy as np

from ..words import Array
from .matte_pair import MIDDLE, MattePair, count_above

_WIDTH = 0.02  # of the diagonal
_BANDS = 5


def boundary_iou(pair: MattePair) -> Array:
    """Return a curve over thresholds 255 … 0 (Cheng 2021, applied to a grey prediction as
    published).

    A band of grey levels that fall towards the outline is compared with a binary one. So a soft
    matte scores low against itself; `soft_boundary_iou` is the sound metric.
    """
    band = _band(pair.levels)
    true_band = _band(np.where(pair.true_mask, np.uint8(255), np.uint8(0))) > MIDDLE
    hits, misses = count_above(band, true_band)
    return hits / (max(np.count_nonzero(true_band), 1) + misses)


def soft_boundary_iou(pair: MattePair) -> float:
    """Return Σ min / Σ max of the bands of both mattes, neither binarised: 1 if and only if they
    agree.

    Two empty mattes agree.
    """
    band, true_band = _band(pair.levels), _band(pair.true_levels)
    union = int(np.maximum(band, true_band).sum(dtype=np.int64))
    return int(np.minimum(band, true_band).sum(dtype=np.int64)) / union if union else 1.0


def _band(levels: Array) -> Array:
    """Return what erosion by 2 % of the diagonal takes away; outside of the picture is
    background.
    """
    from ..opencv import cv2

    height, width = levels.shape
    depth = max(round(_WIDTH * float(np.hypot(height, width))), 1)
    window = np.ones((3, 3), np.uint8)
    core = cv2.erode(np.pad(levels, 1), window, iterations=depth)[1:-1, 1:-1]
    return levels - core


def boundary_accuracy(pair: MattePair) -> float:
    """Return the share of right pixels around the outline, in the mean over five widths.

    Both mattes are taken as masks. NaN where the truth has no outline.
    """
    from ..opencv import cv2

    mask = pair.true_mask.view(np.uint8)
    right = (pair.levels > MIDDLE) == pair.true_mask
    widest = sum(mask.shape) / 300
    shares: list[float] = []
    for index in range(_BANDS):
        radius = 1 + int((widest - 1) / _BANDS * index)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        around = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, disk) > 0
        if not around.any():
            return float("nan")
        shares.append(float(right[around].mean()))
    return sum(shares) / _BANDS
