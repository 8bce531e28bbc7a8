"""Find the colour of a chroma-key screen, by the distribution of hues, and how it is lit.

The data set of arXiv:2312.01943 takes the key from the hue distribution of a frame, without saying
how. Here it is the mode among saturated pixels of the frame's border, where the screen is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BadInput
from ..words import Array

_BINS = 180
_BORDER = 0.06  # of the shorter side
_LEAST_CHROMA = 0.12
_PEAK_DEG = 20.0  # to each side of the mode: counts as the screen
_LEAST_SHARE = 0.3  # of the border
_WIDEST_DEG = 9.0  # standard deviation of the screen's hue


@dataclass(frozen=True)
class Key:
    """A screen's hue. `spread_deg`: its standard deviation; `share`: of the border that has it."""

    hue_deg: float
    spread_deg: float
    share: float


def chroma_of(planes: Array) -> tuple[Array, Array]:
    """Convert 3×H×W to two coordinates H×W in the plane of colour without brightness.

    Hue is their angle: red 0°, green 120°, blue 240°.
    """
    red, green, blue = planes
    return red - (green + blue) / 2, (green - blue) * np.float32(3**0.5 / 2)


def hue_of(planes: Array) -> tuple[Array, Array]:
    """Return hue in degrees [0, 360) and chroma, each H×W, of 3×H×W in [0, 1]."""
    first, second = chroma_of(planes)
    return np.degrees(np.arctan2(second, first)) % 360, np.hypot(first, second)


def hue_histogram(planes: Array) -> tuple[Array, int]:
    """Count pixels of the border by hue (bins of 2°) without grey ones, and how many the
    border has.
    """
    inner = np.ones(planes.shape[1:], np.bool_)
    width = max(round(min(inner.shape) * _BORDER), 1)
    inner[width:-width, width:-width] = False
    hue, chroma = hue_of(planes)
    bins = (hue[inner & (chroma > _LEAST_CHROMA)] * _BINS / 360).astype(np.int64) % _BINS
    return np.bincount(bins, minlength=_BINS).astype(np.float64), int(inner.sum())


def key_of(histogram: Array, pixels: int) -> Key:
    """Return the mode of the sum of `hue_histogram` over the frames of a clip.

    Raises BadInput where no hue is common enough, or the most common one is spread too widely.
    """
    turned = np.arange(_BINS)
    # a Gaussian of 2 bins around the circle
    away = np.minimum(turned, _BINS - turned)
    kernel = np.exp(-(away**2) / 8.0)
    smooth = np.array([float((histogram * np.roll(kernel, shift)).sum()) for shift in turned])
    mode = int(smooth.argmax())
    offset_deg = ((turned - mode + _BINS // 2) % _BINS - _BINS // 2) * (360 / _BINS)
    peak = np.where(np.abs(offset_deg) <= _PEAK_DEG, histogram, 0)
    count = float(peak.sum())
    share = count / max(pixels, 1)
    if share < _LEAST_SHARE:
        raise BadInput(
            f"a key colour must fill {_LEAST_SHARE:.0%} of the frame's border",
            f"{share:.0%} at hue {mode * 360 / _BINS:.0f}°",
            "If there is a screen, crop the frame to it, or give its hue.",
        )
    mean = float((peak * offset_deg).sum() / count)
    spread = float(np.sqrt((peak * (offset_deg - mean) ** 2).sum() / count))
    if spread > _WIDEST_DEG:
        raise BadInput(
            f"a screen's hue must vary by {_WIDEST_DEG:.0f}° at most",
            f"{spread:.1f}°",
            "Give the hue of the screen.",
        )
    # a bin is named by its first degree: its middle is half a bin further
    hue = ((mode + 0.5) * 360 / _BINS + mean) % 360
    return Key(hue, max(spread, 1.0), share)


def screen_mask(planes: Array, key: Key) -> Array:
    """Tell which pixels are surely screen, by hue and by a chroma not far from the
    usual; H×W bool.
    """
    hue, chroma = hue_of(planes)
    off = np.abs((hue - key.hue_deg + 180) % 360 - 180)
    near = (off < max(3 * key.spread_deg, 6.0)) & (chroma > _LEAST_CHROMA)
    if not near.any():
        return near
    return near & (chroma > 0.7 * np.median(chroma[near]))


def screen_colours(planes: Array, mask: Array) -> Array:
    """Return 3×H×W, the screen as if nobody stood before it.

    It is a quadric through the colours in `mask`, fitted again without those that are 2.5 standard
    deviations away (shadows, bits of figure). Raises BadInput if `mask` is all but empty.
    """
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if len(rows) < 100:
        raise BadInput(
            "a frame must show its screen",
            f"{len(rows)} pixels of it",
            "Give the hue of the screen, or leave this frame out.",
        )
    step = max(len(rows) // 20000, 1)
    rows, columns = rows[::step], columns[::step]
    terms = _quadric(columns / width, rows / height)
    colours = planes[:, rows, columns].T.astype(np.float64)
    kept = np.ones(len(rows), np.bool_)
    weights = np.zeros((6, 3))
    for _ in range(3):
        weights = np.linalg.lstsq(terms[kept], colours[kept], rcond=None)[0]
        off = np.abs(colours - terms @ weights).max(1)
        kept = off < max(2.5 * float(np.sqrt((off[kept] ** 2).mean())), 0.01)
    y, x = np.mgrid[0:height, 0:width]
    every = _quadric((x / width).ravel(), (y / height).ravel())
    return (every @ weights).T.reshape(3, height, width).clip(0, 1).astype(np.float32)


def _quadric(x: Array, y: Array) -> Array:
    return np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), 1)
