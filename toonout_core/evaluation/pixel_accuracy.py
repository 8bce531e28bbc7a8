"""ToonOut's pixel accuracy, as published and as meant."""

from __future__ import annotations

import numpy as np

from .matte_pair import MattePair

_TOLERANCE = 10  # levels of 255
_FORGIVEN = 5  # px: what vanishes under one erosion by this window is not counted


def pixel_accuracy(pair: MattePair) -> float:
    """Return (1 − wrong / size)², where wrong pixels are off by more than 10 levels in areas of
    5×5.

    It is not clipped: where the wrong area is larger than the character, the square makes the value
    grow again, past 1. Infinite, or NaN, for a truth without a character.
    """
    wrong, size = _wrong_and_size(pair)
    if size == 0:
        return float("inf") if wrong else float("nan")
    return (1 - wrong / size) ** 2


def clipped_pixel_accuracy(pair: MattePair) -> float:
    """Return the same, with 0 where it would be negative before it is squared.

    An empty truth has 1 if nothing is wrong, else 0.
    """
    wrong, size = _wrong_and_size(pair)
    return max(1 - wrong / size, 0.0) ** 2 if size else float(wrong == 0)


def _wrong_and_size(pair: MattePair) -> tuple[int, int]:
    from ..opencv import cv2

    off = np.abs(pair.levels.astype(np.int16) - pair.true_levels) > _TOLERANCE
    window = np.ones((_FORGIVEN, _FORGIVEN), np.uint8)
    wrong = cv2.erode(off.astype(np.uint8), window)
    return int(np.count_nonzero(wrong)), int(np.count_nonzero(pair.true_mask))
