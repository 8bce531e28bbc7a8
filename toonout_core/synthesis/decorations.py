"""Draw what designers put behind figures, and partly before them; it is no part of the figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..imaging import unit_floats
from ..words import Array
from .lettering import letters

Generator = np.random.Generator
Coverage = Callable[[Generator, int], Array]


def text(rng: Generator, size_px: int) -> Array:
    """Lines of letters, small as notes or as large as a title."""
    height = int(size_px * np.exp(rng.uniform(np.log(0.03), np.log(0.35))))
    return letters(rng, size_px, height, int(rng.integers(1, 5)))


def disc(rng: Generator, size_px: int) -> Array:
    """A disc, an ellipse or a ring, often behind the head."""
    from ..opencv import cv2

    sheet = _sheet(size_px)
    centre = _point(rng, size_px, 0.25, 0.75)
    axes = tuple((rng.uniform(0.12, 0.5) * size_px * rng.uniform(0.8, 1, 2)).astype(int).tolist())
    width = -1 if rng.random() < 0.7 else max(1, int(rng.uniform(0.005, 0.06) * size_px))
    cv2.ellipse(sheet, centre, axes, 0, 0, 360, 255, width, cv2.LINE_AA)
    return unit_floats(sheet)


def emblem(rng: Generator, size_px: int) -> Array:
    """A star, a polygon or a heart-like blob; one large or many small ones."""
    from ..opencv import cv2

    sheet = _sheet(size_px)
    many = rng.random() < 0.4
    corners, star = int(rng.integers(3, 9)), rng.uniform(0.35, 1.0)
    for _ in range(int(rng.integers(6, 30)) if many else 1):
        radius = rng.uniform(0.01, 0.05) if many else rng.uniform(0.12, 0.45)
        turn = rng.uniform(0, 2 * np.pi) + np.arange(2 * corners) * np.pi / corners
        length = radius * size_px * np.where(np.arange(2 * corners) % 2, star, 1.0)
        points = np.stack((np.cos(turn), np.sin(turn)), -1) * length[:, None]
        points += _point(rng, size_px, 0.05 if many else 0.25, 0.95 if many else 0.75)
        cv2.fillPoly(sheet, [points.round().astype(np.int32)], 255, cv2.LINE_AA)
    return unit_floats(sheet)


def frame(rng: Generator, size_px: int) -> Array:
    """A border along the picture, or an empty rectangle inside of it."""
    from ..opencv import cv2

    sheet = _sheet(size_px)
    margin = rng.uniform(0.0, 0.2, 4) * size_px
    low = (int(margin[0]), int(margin[1]))
    high = (int(size_px - margin[2]), int(size_px - margin[3]))
    width = max(1, int(rng.uniform(0.004, 0.05) * size_px))
    cv2.rectangle(sheet, low, high, 255, width, cv2.LINE_AA)
    return unit_floats(sheet)


def card(rng: Generator, size_px: int) -> Array:
    """A filled rectangle, a tilted one, or a band across the picture."""
    from ..opencv import cv2

    sheet = _sheet(size_px)
    band = rng.random() < 0.4
    sides = rng.uniform(0.08, 0.3) if band else rng.uniform(0.25, 0.9)
    size = (2 * size_px if band else float(rng.uniform(0.25, 0.9) * size_px), sides * size_px)
    angle = float(rng.normal(0, 12)) if rng.random() < 0.5 else 0.0
    box = cv2.boxPoints((_point(rng, size_px, 0.2, 0.8), size, angle))
    cv2.fillPoly(sheet, [box.round().astype(np.int32)], 255, cv2.LINE_AA)
    return unit_floats(sheet)


def speed_lines(rng: Generator, size_px: int) -> Array:
    """Rays towards a point, or lines side by side."""
    from ..opencv import cv2

    sheet = _sheet(size_px)
    centre = np.array(_point(rng, size_px, 0.3, 0.7))
    parallel, turn = rng.random() < 0.4, rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(20, 120))):
        if not parallel:
            turn = rng.uniform(0, 2 * np.pi)
        way = np.array((np.cos(turn), np.sin(turn)))
        side = np.array((-way[1], way[0])) * (rng.uniform(-1, 1) * size_px if parallel else 0)
        near = rng.uniform(0.1, 0.5) * size_px
        first, last = centre + side + way * near, centre + side + way * size_px * 1.5
        ends = [tuple(p.round().astype(int).tolist()) for p in (first, last)]
        cv2.line(
            sheet, ends[0], ends[1], 255, int(rng.integers(1, 2 + size_px // 150)), cv2.LINE_AA
        )
    return unit_floats(sheet)


def halftone(rng: Generator, size_px: int) -> Array:
    """Dots or lines of a printing screen, as dense as a ramp says."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    turn, period = rng.uniform(0, np.pi), rng.uniform(3, 0.05 * size_px + 4)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = (x * cos + y * sin) / period, (y * cos - x * sin) / period
    wave = np.cos(2 * np.pi * along)
    if rng.random() < 0.75:
        wave = (wave + np.cos(2 * np.pi * across)) / 2
    way = rng.uniform(0, 2 * np.pi)
    ramp = (x * np.cos(way) + y * np.sin(way)) / size_px * rng.uniform(0, 1.5)
    return ((wave - ramp + rng.uniform(-0.3, 0.6)) * 2 + 0.5).clip(0, 1).astype(np.float32)


BEHIND: tuple[tuple[Coverage, float], ...] = (
    (text, 0.27),
    (disc, 0.17),
    (emblem, 0.12),
    (frame, 0.1),
    (card, 0.16),
    (speed_lines, 0.08),
    (halftone, 0.1),
)


def decorate(rng: Generator, canvas: Array, count: int) -> Array:
    """Put that many things on `canvas` size×size×3 in [0, 255]."""
    shares = np.array([share for _, share in BEHIND])
    for index in rng.choice(len(BEHIND), count, p=shares / shares.sum()):
        covered = BEHIND[int(index)][0](rng, len(canvas))[..., None]
        canvas = canvas + covered * strength(rng) * (colour(rng, canvas) - canvas)
    return canvas


def bubble(rng: Generator, size_px: int) -> tuple[Array, Array]:
    """Draw a speech bubble with letters: colours size×size×3 and coverage size×size×1."""
    from ..opencv import cv2

    sheet, line = _sheet(size_px), _sheet(size_px)
    centre = _point(rng, size_px, 0.1, 0.9)
    axes = tuple((rng.uniform(0.1, 0.24, 2) * size_px).astype(int).tolist())
    tail = np.array([centre, centre, _point(rng, size_px, 0.2, 0.8)]) + np.array(
        [[-axes[0] // 4, 0], [axes[0] // 4, 0], [0, 0]]
    )
    for drawn, width in ((sheet, -1), (line, max(1, size_px // 160))):
        cv2.ellipse(drawn, centre, axes, 0, 0, 360, 255, width, cv2.LINE_AA)
    cv2.fillPoly(sheet, [tail.astype(np.int32)], 255, cv2.LINE_AA)
    inner = cv2.erode(sheet, np.ones((5, 5), np.uint8))
    note = letters(rng, size_px, max(8, axes[1] // 3), 2) * (inner > 0)
    ink = np.maximum(unit_floats(cv2.max(line, sheet - inner)), note)[..., None]
    ground = 255 if rng.random() < 0.8 else rng.uniform(120, 255, 3)
    return np.broadcast_to(ground * (1 - ink), (size_px, size_px, 3)), unit_floats(sheet)[..., None]


def strength(rng: Generator) -> np.float32:
    """Choose how opaque a thing is; most are wholly."""
    return np.float32(1 if rng.random() < 0.7 else rng.uniform(0.25, 1))


def colour(rng: Generator, canvas: Array) -> Array:
    """Choose white, black, any colour, or one that the canvas has already, changed a little."""
    kind = rng.choice(4, p=(0.25, 0.15, 0.35, 0.25))
    if kind < 2:
        return np.full(3, 255 - 255 * kind, np.float32)
    if kind == 2:
        return rng.uniform(0, 255, 3).astype(np.float32)
    y, x = rng.integers(0, len(canvas), 2)
    return (canvas[y, x] * rng.uniform(0.6, 1.3)).clip(0, 255).astype(np.float32)


def _sheet(size_px: int) -> Array:
    return np.zeros((size_px, size_px), np.uint8)


def _point(rng: Generator, size_px: int, low: float, high: float) -> tuple[int, int]:
    x, y = (rng.uniform(low, high, 2) * size_px).astype(int).tolist()
    return x, y
