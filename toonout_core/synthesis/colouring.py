"""Give figures and background one palette: match histograms, and quantise colours.

After arXiv:2312.01943: nobody should know by its colours what was pasted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..imaging import split_layer
from ..words import Array

Generator = np.random.Generator

# a picture with fewer distinct levels a channel than that is no template for others
TEMPLATE_LEVELS = 128
_SAMPLES = 2048
_SEEN = 30  # alpha of 255


def count_levels(pixels: Array) -> int:
    """Count the distinct levels of each channel of N×3 uint8, and return the largest number."""
    return max((int((_histogram(pixels[:, c]) > 0).sum()) for c in range(3)), default=0)


def match_histogram(pixels: Array, template: Array) -> Array:
    """Give N×3 uint8 the levels of `template` M×3 uint8; each channel keeps its order of
    brightness.
    """
    matched = np.empty_like(pixels)
    if not len(pixels) or not len(template):
        return pixels.copy()
    for channel in range(3):
        own = np.cumsum(_histogram(pixels[:, channel])) / len(pixels)
        other = np.cumsum(_histogram(template[:, channel])) / len(template)
        table = np.interp(own, other, np.arange(256)).round().clip(0, 255).astype(np.uint8)
        matched[:, channel] = table[pixels[:, channel]]
    return matched


def share_histogram(cutouts: list[Array], background: Array) -> tuple[list[Array], Array]:
    """Give H×W×4 figures and H×W×3 background, uint8, one histogram.

    It is that of the background or of the first figure, whichever has more levels, if those are
    enough.
    """
    shown = [opaque_pixels(rgba) for rgba in cutouts]
    ground = background.reshape(-1, 3)
    levels = (count_levels(ground), count_levels(shown[0]))
    if max(levels) <= TEMPLATE_LEVELS:
        return cutouts, background
    template = ground if levels[0] >= levels[1] else shown[0]
    figures: list[Array] = []
    for index, rgba in enumerate(cutouts):
        if template is shown[0] and index == 0:
            figures.append(rgba)
            continue
        matched = rgba.copy()
        colours, opacity = split_layer(matched)
        colours[opacity[..., 0] > 0] = match_histogram(shown[index], template)
        figures.append(matched)
    if template is not ground:
        background = match_histogram(ground, template).reshape(background.shape)
    return figures, background


def opaque_pixels(rgba: Array) -> Array:
    """Return the colours of H×W×4 that can be seen, N×3."""
    colours, opacity = split_layer(rgba)
    return colours[opacity[..., 0] > 0]


def quantise(rng: Generator, rgb: Array, subjects: Array, colours: int) -> Array:
    """Reduce H×W×3 uint8 to `colours` colours by k-means of pixels, half of them of `subjects` H×W
    bool.
    """
    from ..opencv import cv2

    flat, inside = rgb.reshape(-1, 3), subjects.ravel()
    parts = [np.flatnonzero(inside), np.flatnonzero(np.logical_not(inside))]
    parts = [part for part in parts if len(part)]
    chosen = [rng.choice(part, min(len(part), _SAMPLES // len(parts)), False) for part in parts]
    samples = flat[np.concatenate(chosen)].astype(np.float32)
    colours = min(colours, len(samples))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    cv2.setRNGSeed(0)
    no_labels: Any = None
    _, _, centres = cv2.kmeans(samples, colours, no_labels, stop, 3, cv2.KMEANS_PP_CENTERS)
    # |p − c|² = |p|² − 2 p·c + |c|²
    distance = (centres**2).sum(1) - 2 * (flat.astype(np.float32) @ centres.T)
    palette = centres.round().clip(0, 255).astype(np.uint8)
    return palette[distance.argmin(1)].reshape(rgb.shape)


def subjects_of(alpha: Array) -> Array:
    """Tell where H×W in [0, 1] counts as a subject, H×W bool."""
    return alpha * 255 > _SEEN


def _histogram(levels: Array) -> Array:
    return np.bincount(levels, minlength=256)
