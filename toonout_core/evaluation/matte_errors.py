"""Measure errors of a soft matte against a soft truth, after Rhemann 2009; nothing is binarised.

Neither matte is stretched to [0, 1] first, as some programs do: an empty matte stays empty.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..ops.regions import label_regions
from ..words import Array
from .matte_pair import MattePair

_SIGMA_PX = 1.4
_LEVELS = 10  # of connectedness
_IGNORED = 0.15  # of a disconnection


def absolute_error(pair: MattePair) -> float:
    """Return SAD: Σ |α − α*| in thousands of pixels."""
    return pair.alpha_scores.mae * pair.truth.numel() / 1000


def squared_error(pair: MattePair) -> float:
    """Return the mean of (α − α*)²."""
    return float(((pair.alpha - pair.true_alpha) ** 2).mean())


def gradient_error(pair: MattePair) -> float:
    """Return Σ (|∇α| − |∇α*|)² in thousands, with gradients by derivatives of a Gaussian
    of 1.4 px.
    """
    difference = _gradient(pair.alpha) - _gradient(pair.true_alpha)
    return float((difference**2).sum()) / 1000


def _gradient(alpha: Array) -> Array:
    from ..opencv import cv2

    smooth, slope = _filters()
    across, down = (
        cv2.sepFilter2D(alpha, cv2.CV_64F, x, y, borderType=cv2.BORDER_REPLICATE)
        for x, y in ((slope, smooth), (smooth, slope))
    )
    return np.hypot(across, down)


@cache
def _filters() -> tuple[Array, Array]:
    """Return the Gaussian and its derivative where it is above 1 %, together of length 1."""
    density = 1 / (math.sqrt(2 * math.pi) * _SIGMA_PX)
    reach = math.ceil(_SIGMA_PX * math.sqrt(-2 * math.log(0.01 / density)))
    x = np.arange(-reach, reach + 1.0)
    smooth = density * np.exp(-(x**2) / (2 * _SIGMA_PX**2))
    slope = -x / _SIGMA_PX**2 * smooth
    length = math.sqrt(float((smooth**2).sum() * (slope**2).sum()))
    return smooth, slope / length


def connectivity_error(pair: MattePair) -> float:
    """Return Σ |φ − φ*| in thousands: how far parts of each matte hang loose from the common
    region.

    The common region is, for each tenth of opacity, the largest region that both mattes share. A
    pixel is connected up to the last tenth at which it belongs to it, and φ = 1 − (α − that tenth),
    unless that difference is below 0.15.
    """
    connected = np.ones(pair.alpha.shape)
    loose = np.zeros(pair.alpha.shape, bool)
    common = np.minimum(pair.alpha, pair.true_alpha)
    for step in range(1, _LEVELS + 1):
        lost = ~_largest_region(common >= step / _LEVELS) & ~loose
        connected[lost] = (step - 1) / _LEVELS
        loose |= lost
    error = _connectedness(pair.alpha, connected) - _connectedness(pair.true_alpha, connected)
    return float(np.abs(error).sum()) / 1000


def _largest_region(mask: Array) -> Array:
    labels, _, areas = label_regions(mask, 4)
    return labels == 1 + int(areas.argmax()) if areas.size else np.zeros(mask.shape, bool)


def _connectedness(alpha: Array, connected: Array) -> Array:
    apart = alpha - connected
    return 1 - np.where(apart >= _IGNORED, apart, 0.0)
