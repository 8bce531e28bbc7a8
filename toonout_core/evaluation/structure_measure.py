"""S-measure: how alike the character is as an object, and in its four quarters (Fan 2017)."""

from __future__ import annotations

import numpy as np

from ..words import Array
from .matte_pair import MattePair

_TINY = float(np.spacing(1))  # the published ε


def s_measure(pair: MattePair) -> float:
    """Return half the object score and half the region score, at least 0.

    A truth without a character, or without background, is compared by the mean alone.
    """
    shares, mask = pair.shares, pair.true_mask
    inside = float(mask.mean())
    if inside == 0:
        return 1 - float(shares.mean())
    if inside == 1:
        return float(shares.mean())
    objects = inside * _object_score(shares[mask])
    objects += (1 - inside) * _object_score(1 - shares[~mask])
    return max(0.0, 0.5 * objects + 0.5 * _region_score(shares, mask))


def _object_score(values: Array) -> float:
    """Score how close to 1, and how even, the prediction is on its side of the truth."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + spread + _TINY)


def _region_score(shares: Array, mask: Array) -> float:
    """Score the quarters around the truth's centroid, weighted by their areas."""
    height, width = mask.shape
    row, column = (int(value) + 1 for value in np.argwhere(mask).mean(0).round())
    return sum(
        _likeness(shares[rows, columns], mask[rows, columns])
        * (mask[rows, columns].size / (height * width))
        for rows in (slice(row), slice(row, None))
        for columns in (slice(column), slice(column, None))
        if mask[rows, columns].size
    )


def _likeness(shares: Array, mask: Array) -> float:
    """Return 4·x̄·ȳ·σxy / ((x̄² + ȳ²)(σx² + σy²)); 1 where both are flat and alike in that."""
    x, y = float(shares.mean()), float(mask.mean())
    freedom = max(shares.size - 1, 1)
    difference, true_difference = shares - x, mask - y
    spread = float((difference**2).sum() + (true_difference**2).sum()) / freedom
    above = 4 * x * y * float((difference * true_difference).sum()) / freedom
    below = (x**2 + y**2) * spread
    if above != 0:
        return above / (below + _TINY)
    return 1.0 if below == 0 else 0.0
