"""Turn a painted figure into a drawing in pencil or ink that nobody has filled in.

Lines are differences of Gaussians (after XDoG, Winnemöller et al. 2012) and the outline. Inside of
them is paper, and all of the figure belongs to it.
"""

from __future__ import annotations

import numpy as np

from ..imaging import split_layer, unit_floats
from ..words import Array
from .paper import smooth_noise

Generator = np.random.Generator


def draw_lines(
    rng: Generator, layer: Array, ground: Array, *, filled: bool = True
) -> tuple[Array, Array]:
    """Draw a placed figure on `ground` (size×size×3 in [0, 255]), and return its alpha too.

    Alpha is size×size×1 in [0, 1]; `layer` is as `place` makes it. With `filled` some are tinted
    thinly, or have hair and clothes in solid black.
    """
    colours, opacity = split_layer(layer)
    alpha = ((opacity - 0.25) * 2).clip(0, 1)  # nobody draws a glow
    grey = unit_floats((colours + (1 - opacity) * 255).mean(-1))
    ink = np.maximum(_contrasts(rng, grey), outline(rng, alpha))
    if filled and rng.random() < 0.2:
        ink = np.maximum(ink, ((rng.uniform(0.15, 0.35) - grey) * 20).clip(0, 1) * alpha[..., 0])
    ink = ink[..., None] * _pressure(rng, len(ink))
    drawn = ground * _wash(rng, colours, opacity, alpha) if filled else ground
    return drawn + ink * (_ink_colour(rng) - drawn), alpha


def _contrasts(rng: Generator, grey: Array) -> Array:
    from ..opencv import cv2

    sigma = max(0.6, rng.uniform(0.0012, 0.004) * len(grey))
    fine = cv2.GaussianBlur(grey, (0, 0), sigma)
    coarse = cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma)
    least, gain = rng.uniform(0.006, 0.03), rng.uniform(15, 60)
    return ((coarse - fine - least) * gain).clip(0, 1).astype(np.float32)


def outline(rng: Generator, alpha: Array) -> Array:
    """Draw along the border of the figure, in some drawings with gaps."""
    from ..opencv import cv2

    size_px = len(alpha)
    width = max(2, round(rng.uniform(0.002, 0.008) * size_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    mask = (alpha[..., 0] > 0.5).astype(np.float32)
    line = mask - cv2.erode(mask, kernel, borderValue=1)
    line = cv2.GaussianBlur(line, (0, 0), rng.uniform(0.5, 0.9))
    if rng.random() < 0.3:
        gaps = smooth_noise(rng, size_px, int(rng.integers(4, 14)))[..., 0]
        line *= ((gaps + rng.uniform(0.8, 2)) * 3).clip(0, 1)
    return line.clip(0, 1)


def _pressure(rng: Generator, size_px: int) -> Array:
    strength = rng.uniform(0.5, 1) * (1 + 0.15 * smooth_noise(rng, size_px, 8))
    if rng.random() < 0.4:  # the grain of a pencil
        strength = strength * rng.uniform(0.45, 1.1, (size_px, size_px, 1))
    return strength.clip(0, 1).astype(np.float32)


def _wash(rng: Generator, colours: Array, opacity: Array, alpha: Array) -> Array:
    """Return the factors of what is painted thinly between the lines; mostly nothing."""
    if rng.random() < 0.7:
        return np.ones((1, 1, 1), np.float32)
    straight = unit_floats((colours / np.maximum(opacity, 1e-3)).clip(0, 255))
    if rng.random() < 0.5:
        straight = straight.mean(-1, keepdims=True)
    return 1 - alpha * np.float32(rng.uniform(0.1, 0.5)) * (1 - straight)


def _ink_colour(rng: Generator) -> Array:
    kind = rng.choice(4, p=(0.5, 0.3, 0.1, 0.1))
    if kind == 0:
        return np.zeros(3, np.float32)
    if kind == 1:
        return np.full(3, rng.uniform(20, 110), np.float32)
    if kind == 2:  # blue pencil
        return rng.uniform((40, 60, 130), (110, 140, 210)).astype(np.float32)
    return rng.uniform((50, 20, 10), (150, 90, 70)).astype(np.float32)
