"""A bent mesh as pixels: part of the body by part."""

from __future__ import annotations

import numpy as np

from ...words import Array
from .mesh import Mesh

_SUBPIXEL = 4  # bits of cv2.fillConvexPoly
_NOWHERE = -1e4  # a source that shows nothing
_STILL_PX = 0.05  # a part that has moved less is shown as it was


class Painter:
    """Layers of one character, H×W×4 float32, premultiplied, and the mesh that carries them.

    `part_of_triangle` T: which layer a triangle shows. Layers are laid over one another in their
    order, so that the soft edge of an arm shows the body behind it, not the old background.
    """

    def __init__(
        self, pixels: Array, layers: list[Array], mesh: Mesh, part_of_triangle: Array
    ) -> None:
        self.pixels, self.mesh = pixels, mesh
        self.whole = _boxed(pixels)
        self.parts = [
            (*_boxed(layer), _fuller_last(layer, mesh, triangles))
            for number, layer in enumerate(layers)
            if len(triangles := np.flatnonzero(part_of_triangle == number))
        ]

    def lay_over(self, canvas: Array, points: Array) -> None:
        """Lay the character over H×W×4, premultiplied, with its mesh at `points` V×2."""
        if np.abs(points - self.mesh.points).max() < 1e-9:
            _over(canvas, *self.whole)
            return
        for shown, (left, top), triangles in self.parts:
            corners = points[self.mesh.triangles[triangles]]
            rest = self.mesh.points[self.mesh.triangles[triangles]]
            if np.abs(corners - rest).max() < _STILL_PX:
                _over(canvas, shown, (left, top))
            else:
                _lay_bent(canvas, shown, corners, rest - (left, top))


def _fuller_last(layer: Array, mesh: Mesh, triangles: Array) -> Array:
    """The same triangles, so ordered that an empty one never covers what another one shows."""
    columns, rows = mesh.points[mesh.triangles[triangles]].mean(1).astype(int).T
    last_row, last_column = layer.shape[0] - 1, layer.shape[1] - 1
    shown = layer[rows.clip(0, last_row), columns.clip(0, last_column), 3]
    return triangles[np.argsort(shown, kind="stable")]


def _boxed(layer: Array) -> tuple[Array, tuple[int, int]]:
    """What is visible of a layer, with a rim for the interpolation, and its corner x, y."""
    seen = layer[..., 3] > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return np.zeros((1, 1, 4), np.float32), (0, 0)
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    box = layer[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2]
    return np.ascontiguousarray(box, np.float32), (left, top)


def _over(canvas: Array, layer: Array, corner_xy: tuple[int, int]) -> None:
    from ...opencv import cv2

    left, top = corner_xy
    box = canvas[top : top + layer.shape[0], left : left + layer.shape[1]]
    left_over = 1 - layer[..., 3]
    # numpy would go through the four channels of every pixel by themselves
    box[:] = cv2.add(cv2.multiply(box, cv2.merge((left_over,) * 4)), layer)


def _lay_bent(canvas: Array, shown: Array, corners: Array, sources: Array) -> None:
    """Triangles T×3×2 on the canvas, and where they are in `shown`."""
    from ...opencv import cv2

    low = np.floor(corners.min((0, 1))).astype(int) - 1
    high = np.ceil(corners.max((0, 1))).astype(int) + 2
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(high, canvas.shape[1::-1])
    if left >= right or top >= bottom:
        return
    which = np.full((bottom - top, right - left), len(corners), np.int32)
    fixed = np.round((corners - (left, top)) * 2**_SUBPIXEL).astype(np.int32)
    for number, triangle in enumerate(fixed):
        cv2.fillConvexPoly(which, triangle, number, cv2.LINE_8, _SUBPIXEL)
    places = which.astype(np.intp)  # once for six look-ups
    ways = _affine(corners - (left, top), sources)
    x = np.arange(right - left, dtype=np.float32)
    y = np.arange(bottom - top, dtype=np.float32)[:, None]
    maps: list[Array] = []
    for across, down, start in ways:
        place = across.take(places, mode="clip")
        place *= x
        place += start.take(places, mode="clip")
        slope = down.take(places, mode="clip")
        slope *= y
        place += slope
        maps.append(place)
    layer = cv2.remap(shown, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    _over(canvas, layer, (int(left), int(top)))


def _affine(now: Array, before: Array) -> Array:
    """2×3×(T+1) float32: from a place in a bent triangle to where it was, for x and for y.

    A triangle without area has no such place, nor has what lies in none: the last one.
    """
    ones = np.ones((*now.shape[:2], 1))
    corners = np.concatenate((now, ones), 2)
    flat = np.abs(np.linalg.det(corners)) < 1e-9
    corners[flat] = np.eye(3)
    ways = np.linalg.solve(corners, before)
    nowhere = np.zeros((1, 3, 2))
    nowhere[:, 2] = _NOWHERE
    ways[flat] = nowhere
    return np.concatenate((ways, nowhere)).transpose(2, 1, 0).astype(np.float32)
