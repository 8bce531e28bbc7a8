"""Draw a bent mesh as pixels: triangle by triangle, part of the body by part."""

from __future__ import annotations

import numpy as np

from ...words import Array
from .mesh import Mesh

_SUBPIXEL = 4  # bits of cv2.fillConvexPoly
_NOWHERE = -1e4  # a source that shows nothing


class Painter:
    """Pixels of one character, H×W×4 float32, premultiplied, and the mesh that carries them.

    `part_of_triangle` T: numbers in the order of drawing. Parts are laid over one another, so that
    the soft edge of an arm shows the body behind it, not the old background.
    """

    def __init__(self, pixels: Array, mesh: Mesh, part_of_triangle: Array) -> None:
        self.pixels, self.mesh = pixels, mesh
        self.parts = [np.flatnonzero(part_of_triangle == n) for n in np.unique(part_of_triangle)]

    def draw(self, points: Array) -> Array:
        """Draw the character with its mesh at `points` V×2: H×W×4, premultiplied."""
        if np.abs(points - self.mesh.points).max() < 1e-9:
            return self.pixels
        canvas = np.zeros_like(self.pixels)
        sources = _affine(points[self.mesh.triangles], self.mesh.points[self.mesh.triangles])
        for part in self.parts:
            self._lay_over(canvas, points, part, sources)
        return canvas

    def _lay_over(self, canvas: Array, points: Array, part: Array, sources: Array) -> None:
        import cv2

        corners = points[self.mesh.triangles[part]]
        low = np.floor(corners.min((0, 1))).astype(int) - 1
        high = np.ceil(corners.max((0, 1))).astype(int) + 2
        left, top = np.maximum(low, 0)
        right, bottom = np.minimum(high, canvas.shape[1::-1])
        if left >= right or top >= bottom:
            return
        which = np.full((bottom - top, right - left), -1, np.int32)
        fixed = np.round((corners - (left, top)) * 2**_SUBPIXEL).astype(np.int32)
        for number, triangle in enumerate(fixed):
            cv2.fillConvexPoly(which, triangle, number, cv2.LINE_8, _SUBPIXEL)
        y, x = np.nonzero(which >= 0)
        way = sources[part[which[y, x]]]
        maps = np.full((2, *which.shape), _NOWHERE, np.float32)
        for axis in (0, 1):
            maps[axis][y, x] = way[:, axis, 0] * (x + left) + way[:, axis, 1] * (y + top)
            maps[axis][y, x] += way[:, axis, 2]
        layer = cv2.remap(
            self.pixels, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        box = canvas[top:bottom, left:right]
        box *= 1 - layer[..., -1:]
        box += layer


def _affine(now: Array, before: Array) -> Array:
    """Return T×2×3, the map from a place in a bent triangle to where it was; none without area."""
    ones = np.ones((*now.shape[:2], 1))
    corners = np.concatenate((now, ones), 2)
    flat = np.abs(np.linalg.det(corners)) < 1e-9
    corners[flat] = np.eye(3)
    result = np.linalg.solve(corners, before).swapaxes(1, 2)
    result[flat] = _NOWHERE
    return result
