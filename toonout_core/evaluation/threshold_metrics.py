"""F-measure and E-measure: compare a mask at every threshold with the truth's mask.

Curves hold 256 values, for thresholds 255 … 0 of the 8-bit prediction.
"""

from __future__ import annotations

import numpy as np

from ..words import Array
from .matte_pair import MattePair

_TINY = float(np.spacing(1))  # the published ε
_BETA_SQUARED = 0.3


def f_measure(pair: MattePair) -> tuple[Array, float]:
    """Return the curve and the adaptive value of F = (1 + β²)PR / (β²P + R), β² = 0.3 (Achanta
    2009).

    Where nothing is hit it is 0.
    """
    return _f(pair, *pair.counts_above), float(_f(pair, *map(np.array, pair.adaptive_counts)))


def _f(pair: MattePair, hits: Array, misses: Array) -> Array:
    precision = hits / np.maximum(hits + misses, 1)
    recall = hits / max(np.count_nonzero(pair.true_mask), 1)
    below = _BETA_SQUARED * precision + recall
    return (1 + _BETA_SQUARED) * precision * recall / np.where(below == 0, 1, below)


def e_measure(pair: MattePair) -> tuple[Array, float]:
    """Return the curve and the adaptive value of the enhanced alignment (Fan 2018).

    It is divided by N − 1 pixels as published, so that a perfect mask has N / (N − 1).
    """
    return _e(pair, *pair.counts_above), float(_e(pair, *map(np.array, pair.adaptive_counts)))


def _e(pair: MattePair, hits: Array, misses: Array) -> Array:
    pixels, inside = pair.true_mask.size, int(np.count_nonzero(pair.true_mask))
    chosen = hits + misses
    if inside == 0:
        total = (pixels - chosen).astype(float)
    elif inside == pixels:
        total = chosen.astype(float)
    else:
        share, true_share = chosen / pixels, inside / pixels
        total = np.zeros(chosen.shape)
        for count, value, true_value in (
            (hits, 1 - share, 1 - true_share),
            (misses, 1 - share, -true_share),
            (inside - hits, -share, 1 - true_share),
            (pixels - inside - misses, -share, -true_share),
        ):
            aligned = 2 * value * true_value / (value**2 + true_value**2 + _TINY)
            total = total + count * (aligned + 1) ** 2 / 4
    return total / (pixels - 1 + _TINY)
