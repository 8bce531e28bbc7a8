"""Add what one sees through to a figure: veils, ribbons and wings of gauze, and light around it.

All of it belongs to the figure, with an alpha below 1.
"""

from __future__ import annotations

import numpy as np

from ..imaging import join_layers, unit_floats
from ..words import Array
from .paper import smooth_noise

Generator = np.random.Generator

_POINTS = 28  # along a veil
_GLASSY = 0.2, 0.75  # alpha of a veil: between nearly nothing and milk


def veil(rng: Generator, layer: Array) -> Array:
    """Hang a veil from the figure, before or behind it: a layer as `place` makes it → another."""
    cloth = _cloth(rng, layer)
    return join_layers(cloth, layer) if rng.random() < 0.5 else join_layers(layer, cloth)


def glow(rng: Generator, layer: Array) -> Array:
    """Put light around the figure that fades outwards: a layer as `place` makes it → another."""
    from ..opencv import cv2

    cover = unit_floats(layer[..., 3])
    reach = float(rng.uniform(0.008, 0.05) * len(layer))
    soft = cv2.GaussianBlur(cover, (0, 0), reach)
    # half of the blur is left at a straight edge: twice as much begins there as whole light
    light = (2 * soft).clip(0, 1) * np.float32(rng.uniform(0.3, 0.9))
    return join_layers(layer, _filled(rng, light))


def _cloth(rng: Generator, layer: Array) -> Array:
    """Draw a strip that widens and waves, from a place of the figure, with folds."""
    from ..opencv import cv2

    size_px = len(layer)
    taken = np.argwhere(layer[..., 3] > 200)
    if not len(taken):
        return np.zeros_like(layer)
    start = taken[int(rng.integers(len(taken)))][::-1].astype(np.float64)
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.15, _POINTS))
    ways = np.stack((np.cos(turns), np.sin(turns)), 1)
    path = start + np.cumsum(ways, 0) * (size_px * rng.uniform(0.2, 0.6) / _POINTS)
    widths = np.linspace(rng.uniform(0.01, 0.05), rng.uniform(0.05, 0.2), _POINTS) * size_px
    across = np.stack((-ways[:, 1], ways[:, 0]), 1) * widths[:, None]
    outline = np.concatenate((path + across, (path - across)[::-1]))
    sheet = np.zeros((size_px, size_px), np.uint8)
    # 1/16 px
    cv2.fillPoly(sheet, [(outline * 16).round().astype(np.int32)], 255, cv2.LINE_AA, 4)
    folds = 1 + 0.4 * smooth_noise(rng, size_px, int(rng.integers(4, 24)))[..., 0]
    opacity = np.float32(rng.uniform(*_GLASSY)) * folds
    return _filled(rng, unit_floats(sheet) * opacity.clip(0.05, 0.95))


def _filled(rng: Generator, alpha: Array) -> Array:
    """Give H×W of alpha one colour, most often a pale one: a layer."""
    colour = rng.uniform(170, 255, 3) if rng.random() < 0.7 else rng.uniform(0, 255, 3)
    solid = np.append(colour, 255).astype(np.float32)
    return (alpha[..., None] * solid).astype(np.float32)
