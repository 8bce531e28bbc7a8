"""Draw things that nobody knows: wheels, tubes, grids and plates grown together, with gaps between.

Cutouts of things are rare among openly licensed art. On a plain background all that is not the
background belongs to the thing, whatever it is, and that can be learned from made-up ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..imaging import unit_floats
from ..words import Array
from .composite import gradient_background, scene_background
from .cutouts import Library
from .paper import smooth_noise

Generator = np.random.Generator
Spot = tuple[float, float]
Drawer = Callable[[Generator, Array, Spot, float, float], None]

_SHIFT = 4  # cv2 draws at 1/16 px


def thing(rng: Generator, library: Library, size_px: int) -> Array:
    """Draw a layer as `place` makes it: size×size×4 float32 in [0, 255], premultiplied by alpha."""
    layer = np.zeros((size_px, size_px, 4), np.float32)
    spot = (float(rng.uniform(0.35, 0.65) * size_px), float(rng.uniform(0.35, 0.65) * size_px))
    reach = float(rng.uniform(0.12, 0.38) * size_px)
    for _ in range(int(rng.integers(1, 9))):
        cover = _part(rng, size_px, spot, reach)
        fill = _fill(rng, library, size_px)
        layer *= 1 - cover
        layer += np.concatenate((fill * cover, 255 * cover), -1)
        taken = np.argwhere(layer[..., 3] > 200)
        if len(taken):
            y, x = taken[int(rng.integers(len(taken)))]
            spot = (float(x), float(y))
        reach = float(rng.uniform(0.06, 0.3) * size_px)
    if rng.random() < 0.3:
        _outline(rng, layer)
    return layer


def _fill(rng: Generator, library: Library, size_px: int) -> Array:
    """Choose what a part is made of: one colour, shading, a pattern, or something photographed."""
    kind = rng.random()
    if kind < 0.4:
        return rng.integers(0, 256, 3).astype(np.float32)
    if kind < 0.65:
        shade = 1 + smooth_noise(rng, size_px, int(rng.integers(2, 12)))
        return (rng.integers(20, 230, 3) * shade).clip(0, 255).astype(np.float32)
    if kind < 0.8 or not library.backgrounds:
        return gradient_background(rng, size_px)
    scene = library.backgrounds[int(rng.integers(len(library.backgrounds)))]
    return scene_background(rng, scene, size_px)


def _part(rng: Generator, size_px: int, spot: Spot, reach: float) -> Array:
    """Draw one shape around `spot`, `reach` pixels large: coverage size×size×1 in [0, 1]."""
    sheet = np.zeros((size_px, size_px), np.uint8)
    width = float(np.exp(rng.uniform(np.log(0.9), np.log(0.05 * size_px))))
    DRAWERS[int(rng.integers(len(DRAWERS)))](rng, sheet, spot, reach, width)
    return unit_floats(sheet)[..., None]


def wheel(rng: Generator, sheet: Array, spot: Spot, reach: float, width: float) -> None:
    """A rim, with spokes and a hub or without."""
    squash = float(rng.uniform(0.5, 1)) if rng.random() < 0.4 else 1.0
    turn = rng.uniform(0, 180)
    _ellipse(sheet, spot, (reach, reach * squash), turn, max(width, 1.5))
    if rng.random() < 0.6:
        spoke = max(1.0, width * rng.uniform(0.15, 0.6))
        angles = rng.uniform(0, np.pi) + np.arange(n := int(rng.integers(3, 25))) * 2 * np.pi / n
        axis = np.deg2rad(turn)
        for angle in angles:
            x, y = reach * np.cos(angle), reach * squash * np.sin(angle)
            end = (
                spot[0] + x * np.cos(axis) - y * np.sin(axis),
                spot[1] + x * np.sin(axis) + y * np.cos(axis),
            )
            _line(sheet, np.array([spot, end]), spoke)
        hub = reach * 0.1 + width
        _ellipse(sheet, spot, (hub, hub), 0, -1)


def tube(rng: Generator, sheet: Array, spot: Spot, reach: float, width: float) -> None:
    """A bent line of one width, or one that grows thin."""
    times = np.linspace(0, 1, 24)[:, None]
    points = np.array(spot) + rng.normal(0, 1, (4, 2)) * reach
    points[0] = spot
    curve = (
        (1 - times) ** 3 * points[0]
        + 3 * (1 - times) ** 2 * times * points[1]
        + 3 * (1 - times) * times**2 * points[2]
        + times**3 * points[3]
    )
    thin = rng.random() < 0.4
    for index in range(len(curve) - 1):
        share = 1 - index / len(curve) if thin else 1.0
        _line(sheet, curve[index : index + 2], max(1.0, width * share))


def grid(rng: Generator, sheet: Array, spot: Spot, reach: float, width: float) -> None:
    """A fence, a ladder, a net: bars one way or both."""
    turn, bar = rng.uniform(0, np.pi), max(1.0, width * 0.4)
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]]) * rng.uniform(0.3, 1)
    for first, second in ((along, across), (across, along)):
        for place in np.linspace(-1, 1, int(rng.integers(2, 9))):
            middle = np.array(spot) + place * reach * first
            _line(sheet, np.stack((middle - reach * second, middle + reach * second)), bar)
        if rng.random() < 0.3:
            break


def plate(rng: Generator, sheet: Array, spot: Spot, reach: float, width: float) -> None:
    """A polygon, a star or a smooth blob, with a hole now and then."""
    corners = int(rng.integers(3, 13))
    angles = rng.uniform(0, 2 * np.pi) + np.sort(rng.uniform(0, 2 * np.pi, corners))
    length = reach * rng.uniform(0.35, 1, corners)
    if rng.random() < 0.5:
        fine = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        length = np.interp(fine, angles - angles[0], length, period=2 * np.pi)
        length = np.convolve(np.tile(length, 3), np.ones(9) / 9, "same")[64:128]
        angles = fine + angles[0]
    points = np.stack((np.cos(angles), np.sin(angles)), -1) * length[:, None] + np.array(spot)
    _polygon(sheet, points, 255)
    if rng.random() < 0.35:
        _polygon(sheet, np.array(spot) + (points - np.array(spot)) * rng.uniform(0.2, 0.8), 0)


def disc(rng: Generator, sheet: Array, spot: Spot, reach: float, width: float) -> None:
    """A filled ellipse."""
    _ellipse(sheet, spot, (reach, reach * rng.uniform(0.3, 1)), rng.uniform(0, 180), -1)


DRAWERS: tuple[Drawer, ...] = (wheel, tube, tube, grid, plate, plate, disc)


def _fixed(points: Array) -> Array:
    return (points * 2**_SHIFT).round().astype(np.int32)


def _line(sheet: Array, points: Array, width: float) -> None:
    from ..opencv import cv2

    ends = [tuple(int(v) for v in point) for point in _fixed(points)]
    # what is thinner than a pixel covers a part of it
    level = int(255 * min(1.0, width))
    cv2.line(sheet, ends[0], ends[1], level, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _polygon(sheet: Array, points: Array, level: int) -> None:
    from ..opencv import cv2

    cv2.fillPoly(sheet, [_fixed(points)], level, cv2.LINE_AA, _SHIFT)


def _ellipse(sheet: Array, spot: Spot, axes: Spot, turn: float, width: float) -> None:
    from ..opencv import cv2

    centre, sides = (tuple(int(v) for v in _fixed(np.array(pair))) for pair in (spot, axes))
    thick = -1 if width < 0 else max(1, round(width))
    cv2.ellipse(sheet, centre, sides, turn, 0, 360, 255, thick, cv2.LINE_AA, _SHIFT)


def _outline(rng: Generator, layer: Array) -> None:
    """Draw a line of one colour around everything, in place."""
    from ..opencv import cv2

    width = int(rng.integers(1, 4))
    cover = unit_floats(layer[..., 3])
    grown = cv2.dilate(cover, np.ones((2 * width + 1,) * 2, np.uint8))[..., None]
    colour = np.append(rng.integers(0, 80, 3) * np.ones(3), 255).astype(np.float32)
    layer += (1 - cover[..., None]) * grown * colour
