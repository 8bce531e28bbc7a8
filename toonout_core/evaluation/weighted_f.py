"""Weighted F-measure (Margolin 2014): errors count by where they are."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..words import Array
from .matte_pair import MattePair

_TINY = float(np.spacing(1))  # the published ε
_REACH = 3  # half of the 7×7 window, px


def weighted_f(pair: MattePair) -> float:
    """Return the weighted F-measure with β = 1; 0 where the truth has no character."""
    mask = pair.true_mask
    if not mask.any():
        return 0.0
    error = np.abs(pair.shares - mask)
    inside = np.minimum(error[mask], _spread_error(error, mask)[mask])
    outside = float((error * _weight(mask))[~mask].sum())
    size = inside.size
    found = size - float(inside.sum())
    recall = 1 - float(inside.mean())
    precision = found / (found + outside + _TINY)
    return 2 * recall * precision / (recall + precision + _TINY)


def _weight(mask: Array) -> Array:
    """Weigh errors by 2 − ½^(d / 5 px): those far from the character count up to twice."""
    from ..opencv import cv2

    background = np.logical_not(mask).view(np.uint8)
    distance = cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # squares of true distances are whole numbers: the single precision goes with the rounding
    exact = np.sqrt((distance.astype(np.float64) ** 2).round())
    return 2 - np.exp(math.log(0.5) / 5 * exact)


def _spread_error(error: Array, mask: Array) -> Array:
    """Return the Gaussian mean of the error; background pixels have that of the nearest
    pixel of the character.
    """
    from ..opencv import cv2

    taps = np.exp(-(np.arange(-_REACH, _REACH + 1.0) ** 2) / (2 * 5.0**2))
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    return cv2.filter2D(_continued(error, mask), cv2.CV_64F, kernel, borderType=cv2.BORDER_CONSTANT)


def _continued(error: Array, mask: Array) -> Array:
    """Continue the error of the character into the background, from the nearest pixel in a window.

    Among equally near ones it is the leftmost, then the uppermost, as in SciPy's feature transform.
    """
    height, width = mask.shape
    framed_mask = np.pad(mask, _REACH + 1)
    framed = np.pad(np.where(mask, error, 0.0), _REACH + 1)
    row_px = width + 2 * (_REACH + 1)
    flat_mask, flat = framed_mask.ravel(), framed.ravel()
    open_places = np.flatnonzero(_near(mask, row_px))
    for dx, dy in _offsets():
        source = open_places + dy * row_px + dx
        found = flat_mask[source]
        flat[open_places[found]] = flat[source[found]]
        open_places = open_places[~found]
    inner = slice(_REACH + 1, _REACH + 1 + height), slice(_REACH + 1, _REACH + 1 + width)
    return np.ascontiguousarray(flat.reshape(framed.shape)[inner])


def _near(mask: Array, row_px: int) -> Array:
    """Find the background pixels in a window of a pixel of the character, in the framed layout."""
    from ..opencv import cv2

    window = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    near = cv2.dilate(mask.astype(np.uint8), window).astype(bool) & ~mask
    framed = np.pad(near, _REACH + 1)
    assert framed.shape[1] == row_px
    return framed


@cache
def _offsets() -> tuple[tuple[int, int], ...]:
    """Return the (dx, dy) that can be nearest, nearest first: up to the window's corner,
    3√2 px away.
    """
    reach = range(-_REACH - 1, _REACH + 2)
    near = [(x, y) for x in reach for y in reach if 0 < x * x + y * y <= 2 * _REACH**2]
    return tuple(sorted(near, key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, *offset)))
