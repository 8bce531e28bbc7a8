"""Make samples of what a small network gets wrong.

These are drawings on paper, letters and shapes behind figures, backgrounds of the figure's own
colours, groups, darkness, printed pages, things, veils and light, and nobody at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..imaging import split_layer, unit_floats
from ..words import Array
from .composite import (
    Placement,
    draw_background,
    gradient_background,
    place,
    place_any,
    plain_background,
    scene_background,
    stand,
    to_levels,
    wear,
)
from .cutouts import Library
from .decorations import bubble, decorate, halftone
from .line_art import draw_lines, outline
from .paper import paper, smooth_noise
from .things import thing
from .translucent import glow, veil

Generator = np.random.Generator
Sample = tuple[Array, Array]  # colours size×size×3 in [0, 255], alpha size×size×1 in [0, 1]
Maker = Callable[[Generator, Library, int, Array], Sample]


def hard_sample(
    rng: Generator, library: Library, size_px: int, weights: Array
) -> tuple[Array, Array]:
    """Make RGB size×size×3 and alpha size×size×1, uint8; `weights`: of the figures."""
    shares = np.array([share for _, share in MAKERS])
    make, _ = MAKERS[int(rng.choice(len(MAKERS), p=shares / shares.sum()))]
    rgb, alpha = make(rng, library, size_px, weights)
    if rng.random() < 0.07:
        front, covered = bubble(rng, size_px)
        rgb, alpha = rgb + covered * (front - rgb), alpha * (1 - covered)
    if rng.random() < 0.1:
        rgb = _halo(rng, rgb)
    return to_levels(wear(rng, rgb.astype(np.float32)), alpha)


# ---------------------------------------------------------------- kinds


def line_drawing(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Figures as unfilled drawings on paper."""
    rgb = paper(rng, size_px)
    if rng.random() < 0.2:
        rgb = decorate(rng, rgb, 1)
    alpha = np.zeros((size_px, size_px, 1), np.float32)
    for _ in range(1 if rng.random() < 0.85 else 2):
        layer = place_any(rng, library, size_px, weights)
        bare = rgb * (1 - alpha) + paper(rng, size_px).mean() * alpha if alpha.any() else rgb
        rgb, drawn = draw_lines(rng, layer, bare)
        alpha = np.maximum(alpha, drawn)
    return rgb, alpha


def graphic(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """A figure before letters, discs, frames and cards, on a plain ground or a pattern."""
    plain = rng.random() < 0.75
    ground = (plain_background if plain else gradient_background)(rng, size_px)
    rgb = decorate(rng, ground, int(rng.integers(1, 5)))
    return _with_figures(rng, library, rgb, weights)


def own_colours(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Green on green, white on white: the ground has colours, or the texture, of the figure."""
    layer = place_any(rng, library, size_px, weights)
    ground = _own_ground(rng, layer)
    if rng.random() < 0.25:
        ground = decorate(rng, ground, 1)
    return stand(rng, ground, np.zeros((size_px, size_px, 1), np.float32), layer)


def painted_scene(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """A figure in a scene that has taken on its colours, or with letters on it."""
    ground = draw_background(rng, library, size_px, 0)
    layer = place_any(rng, library, size_px, weights)
    if rng.random() < 0.6:
        ground = _harmonised(rng, ground, layer)
    if rng.random() < 0.35:
        ground = decorate(rng, ground, int(rng.integers(1, 3)))
    return stand(rng, ground, np.zeros((size_px, size_px, 1), np.float32), layer)


def group(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Two to five figures side by side, with narrow gaps."""
    rgb = draw_background(rng, library, size_px, 0.4)
    alpha = np.zeros((size_px, size_px, 1), np.float32)
    count = int(rng.integers(2, 6))
    apart, scale = rng.uniform(0.6, 1.05) / count, rng.uniform(0.35, 0.85)
    for index in rng.permutation(count):
        cutout = library.cutouts[int(rng.choice(len(library.cutouts), p=weights))]
        spot = Placement(
            scale=float(scale * rng.uniform(0.8, 1.2)),
            centre_xy=(
                float(0.5 + (index - (count - 1) / 2) * apart),
                float(rng.uniform(0.4, 0.7)),
            ),
            angle_deg=float(rng.normal(0, 4)),
            flip=bool(rng.random() < 0.5),
        )
        rgb, alpha = stand(rng, rgb, alpha, place(cutout, size_px, spot))
    return rgb, alpha


def dim_or_pale(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Figure and ground nearly black, or washed out."""
    rgb, alpha = _with_figures(rng, library, draw_background(rng, library, size_px, 0.4), weights)
    if rng.random() < 0.6:
        return 255 * unit_floats(rgb.clip(0, 255)) ** np.float32(rng.uniform(1, 2)) * np.float32(
            rng.uniform(0.15, 0.6)
        ), alpha
    return rgb + (255 - rgb) * np.float32(rng.uniform(0.3, 0.75)), alpha


def printed_page(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Grey, with screens of dots, as manga are printed."""
    rgb, alpha = _with_figures(rng, library, draw_background(rng, library, size_px, 0.5), weights)
    page = rgb.mean(-1, keepdims=True)
    if rng.random() < 0.7:
        dots = 255 * (1 - halftone(rng, size_px)[..., None])
        low, high = rng.uniform(20, 110), rng.uniform(150, 235)
        page = np.where(page > high, 255, np.where(page < low, 0, (page + 2 * dots) / 3))
        # where black meets black and white meets white, only a line parts them
        line = outline(rng, alpha)[..., None]
        page = page + line * (rng.choice((0, 255), p=(0.8, 0.2)) - page)
    return np.repeat(page, 3, -1).astype(np.float32), alpha


def nobody(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """A ground alone: all of it is background."""
    kind = rng.random()
    if kind < 0.6:
        ground = draw_background(rng, library, size_px, 0)
    else:
        ground = paper(rng, size_px) if kind < 0.75 else plain_background(rng, size_px)
    if rng.random() < 0.5:
        ground = decorate(rng, ground, int(rng.integers(1, 4)))
    return ground, np.zeros((size_px, size_px, 1), np.float32)


def made_up(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """Something that nobody has a word for, on a plain ground: all of it is wanted."""
    ground = plain_background(rng, size_px)
    if rng.random() < 0.2:
        ground = gradient_background(rng, size_px)
    return stand(
        rng, ground, np.zeros((size_px, size_px, 1), np.float32), thing(rng, library, size_px)
    )


def translucent(rng: Generator, library: Library, size_px: int, weights: Array) -> Sample:
    """A figure with a veil or light around it, through which one sees the ground."""
    layer = place_any(rng, library, size_px, weights)
    for _ in range(int(rng.integers(1, 3))):
        layer = (veil if rng.random() < 0.6 else glow)(rng, layer)
    ground = draw_background(rng, library, size_px, 0.4)
    return stand(rng, ground, np.zeros((size_px, size_px, 1), np.float32), layer)


MAKERS: tuple[tuple[Maker, float], ...] = (
    (line_drawing, 0.24),
    (graphic, 0.18),
    (own_colours, 0.14),
    (painted_scene, 0.16),
    (group, 0.08),
    (dim_or_pale, 0.06),
    (printed_page, 0.05),
    (nobody, 0.09),
    (made_up, 0.12),
    (translucent, 0.06),
)


# ---------------------------------------------------------------- parts


def _with_figures(rng: Generator, library: Library, rgb: Array, weights: Array) -> Sample:
    alpha = np.zeros((*rgb.shape[:2], 1), np.float32)
    for _ in range(1 if rng.random() < 0.85 else 2):
        rgb, alpha = stand(rng, rgb, alpha, place_any(rng, library, len(rgb), weights))
    return rgb, alpha


def _own_ground(rng: Generator, layer: Array) -> Array:
    """Make a ground of one or two colours of the figure, plain or in waves, or of an enlarged part
    of it.
    """
    size_px = len(layer)
    colours, opacity = split_layer(layer)
    places = np.argwhere(opacity[..., 0] > 0.95)
    if not len(places):
        return plain_background(rng, size_px)
    first, second = (
        colours[tuple(places[int(i)])] * rng.uniform(0.8, 1.2)
        for i in rng.integers(0, len(places), 2)
    )
    kind = rng.random()
    if kind < 0.4:
        return np.broadcast_to(first, (size_px, size_px, 3)).astype(np.float32).clip(0, 255)
    if kind < 0.75:
        mix = (0.5 + smooth_noise(rng, size_px, int(rng.integers(2, 30)))).clip(0, 1)
        return (first + (second - first) * mix).astype(np.float32).clip(0, 255)
    y, x = places[int(rng.integers(len(places)))]
    reach = max(8, int(rng.uniform(0.04, 0.15) * size_px))
    part = layer[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]
    colours, opacity = split_layer(part)
    texture = np.where(opacity > 0.98, colours, first)
    return scene_background(rng, texture.clip(0, 255).astype(np.uint8), size_px)


def _harmonised(rng: Generator, ground: Array, layer: Array) -> Array:
    """Move the ground's mean and spread of each channel towards those of the figure."""
    colours, opacity = split_layer(layer)
    seen = colours[opacity[..., 0] > 0.95]
    if len(seen) < 64:
        return ground
    spread = seen.std(0) / np.maximum(ground.std((0, 1)), 4)
    moved = (ground - ground.mean((0, 1))) * spread.clip(0.3, 2) + seen.mean(0)
    return (ground + (moved - ground) * np.float32(rng.uniform(0.3, 1))).clip(0, 255)


def _halo(rng: Generator, rgb: Array) -> Array:
    """Add what sharpening and upscaling leave along edges."""
    from ..opencv import cv2

    soft = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), rng.uniform(0.8, 2.5))
    return (rgb + np.float32(rng.uniform(0.3, 1.5)) * (rgb - soft)).clip(0, 255)
