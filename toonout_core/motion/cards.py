"""Draw a scene of cards from a camera that moves: one warp for each card, the farthest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..imaging import from_array, to_comfy
from ..words import Array
from .camera import Edges, Pose
from .scene import Card, Scene

_STEPS = 2  # of the search for the source of a pixel on a surface that is not flat
_GRID_PX = 2
_BEYOND = 0.12  # of the picture's side that a character goes on beyond a border that cuts it
_FLAT = 1e-3  # range of disparity below which a surface is flat


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a film.

    `image` 1×3×H×W; `mask` 1×1×H×W, where characters are; `alpha` 1×1×H×W, below 1 only where the
    picture's edge came into view and edges are transparent. All are in [0, 1], colours straight.
    """

    image: Tensor
    mask: Tensor
    alpha: Tensor


def film(
    scene: Scene, path: Sequence[Pose], focus: float = 0.0, edges: Edges = "crop"
) -> Iterator[Frame]:
    """Yield a frame for each pose, one at a time; nothing is kept but the scene."""
    renderer = _Renderer(scene, focus, edges)
    zoom = renderer.zoom_for(path) if edges == "crop" else 1.0
    for pose in path:
        yield renderer.draw(pose, zoom)


class _Renderer:
    """Surfaces of a scene, made ready once."""

    def __init__(self, scene: Scene, focus: float, edges: Edges) -> None:
        self.scene = scene
        self.edges = edges
        plate = torch.cat((scene.plate, torch.ones_like(scene.plate[:, :1])), 1)
        self.ground = _Surface(plate, scene.plate_disparity, 0.0, focus, (0, 0), scene.size_hw)
        self.cards = [_card_surface(card, focus, scene.size_hw, edges) for card in scene.cards]
        whole = torch.zeros_like(scene.plate_disparity)
        for card in scene.cards:
            whole = card.alpha + whole * (1 - card.alpha)
        self.mask = whole

    def zoom_for(self, path: Sequence[Pose]) -> float:
        """Return how much larger all must be drawn so that the background's border is
        never seen.
        """
        if all(pose.is_still for pose in path):
            return 1.0
        near = float(self.scene.plate_disparity.min()), float(self.scene.plate_disparity.max())
        need = 1.0
        for pose in path:
            for disparity in near:
                scale, shift = self.ground.placing(pose, disparity, 1.0)
                for axis, side in enumerate(self.scene.size_hw[::-1]):
                    half = (side - 1) / 2
                    low, high = shift[axis], scale * (side - 1) + shift[axis]
                    inside = min(half - low, high - half)
                    if inside < half - 1e-6:  # half a pixel more, for what rounding does
                        need = max(need, (half + 0.5) / max(inside, 1e-6))
        return need

    def draw(self, pose: Pose, zoom: float) -> Frame:
        if pose.is_still and zoom == 1.0:
            return Frame(self.scene.image, self.mask, torch.ones_like(self.mask))
        canvas = np.zeros((*self.scene.size_hw, 4), np.float32)
        covered = np.zeros(self.scene.size_hw, np.float32)
        box, layer = self.ground.drawn(pose, zoom, _borders()[self.edges])
        canvas[box] = layer
        for card in self.cards:
            box, layer = card.drawn(pose, zoom, _borders()["transparent"])
            opacity = _opacity(layer)
            canvas[box] = layer + canvas[box] * (1 - opacity)
            covered[box] = opacity[..., 0] + covered[box] * (1 - opacity[..., 0])
        shown = from_array(canvas).clamp_(0, 1)
        colours, alpha = shown[:, torch.arange(3)], shown[:, -1:]
        if self.edges == "transparent":
            colours = torch.where(alpha > 0, colours / alpha.clamp_min(1e-4), colours).clamp(0, 1)
        return Frame(colours, from_array(covered).clamp_(0, 1), alpha)


class _Surface:
    """Premultiplied RGBA of a part of the picture, and how near it is."""

    def __init__(
        self,
        rgba: Tensor,
        relief: Tensor | None,
        disparity: float,
        focus: float,
        corner_xy: tuple[int, int],
        canvas_hw: tuple[int, int],
    ) -> None:
        self.pixels = _pixels(rgba)
        flat = relief is None or float(relief.max() - relief.min()) < _FLAT
        self.disparity = disparity if relief is None else float(relief.mean())
        self.relief = None if flat or relief is None else _pixels(relief)[..., 0]
        self.focus, self.corner, self.canvas_hw = focus, corner_xy, canvas_hw

    def placing(
        self, pose: Pose, disparity: float | Array, zoom: float
    ) -> tuple[Any, tuple[Any, Any]]:
        """Return scale and shift of x' = scale·x + shift, canvas pixels, for points of that
        disparity.
        """
        height, width = self.canvas_hw
        away = disparity - self.focus
        scale = zoom * pose.zoom / (1 - pose.push * away)
        shifts: list[Any] = []
        for side, aim, move in zip((width, height), pose.aim_xy, pose.shift_xy, strict=True):
            shift = (side - 1) / 2 - scale * aim * (side - 1)
            shifts.append(shift + zoom * away * move * side / 2)
        return scale, (shifts[0], shifts[1])

    def drawn(self, pose: Pose, zoom: float, border: int) -> tuple[tuple[slice, slice], Array]:
        """Return the part of the canvas that it covers, and its pixels there,
        premultiplied RGBA.
        """
        from ..opencv import cv2

        box = self._box(pose, zoom) if border == cv2.BORDER_CONSTANT else _all(self.canvas_hw)
        rows, columns = box
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if min(size) < 1:
            return (slice(0, 0), slice(0, 0)), np.zeros((0, 0, 4), np.float32)
        if self.relief is None:
            scale, (right, down) = self.placing(pose, self.disparity, zoom)
            matrix = np.array(
                [
                    [scale, 0, right + scale * self.corner[0] - columns.start],
                    [0, scale, down + scale * self.corner[1] - rows.start],
                ],
                np.float64,
            )
            return box, cv2.warpAffine(
                self.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border
            )
        x, y = self._sources(pose, zoom, box)
        return box, cv2.remap(self.pixels, x, y, cv2.INTER_LINEAR, borderMode=border)

    def _sources(self, pose: Pose, zoom: float, box: tuple[slice, slice]) -> tuple[Array, Array]:
        """Find where each pixel of the box comes from: x = (x' − shift(s)) / scale(s), where s is
        that of x.

        A few steps find it. They are done on a grid of every other pixel, as the way is smooth.
        """
        from ..opencv import cv2

        assert self.relief is not None
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        # centres of blocks of pixels, as cv2.resize understands them
        x_to, y_to = np.meshgrid(_centres(columns), _centres(rows))
        near: Array = np.full(x_to.shape, self.disparity, np.float32)
        x, y = x_to, y_to
        for step in range(_STEPS + 1):
            scale, (right, down) = self.placing(pose, near, zoom)
            x = ((x_to - right) / scale - self.corner[0]).astype(np.float32)
            y = ((y_to - down) / scale - self.corner[1]).astype(np.float32)
            if step < _STEPS:
                near = cv2.remap(
                    self.relief, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
        ways = (cv2.resize(way, (width, height)) for way in (x - x_to, y - y_to))
        right, down = ways
        right += np.arange(columns.start, columns.stop, dtype=np.float32)
        down += np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        return right, down

    def _box(self, pose: Pose, zoom: float) -> tuple[slice, slice]:
        """Return the rows and columns of the canvas that hold all of it."""
        height, width = self.pixels.shape[:2]
        spread = (self.disparity,)
        if self.relief is not None:
            spread = (float(self.relief.min()), float(self.relief.max()))
        edges: list[list[float]] = [[], []]
        for disparity in spread:
            scale, shift = self.placing(pose, disparity, zoom)
            for axis, side in enumerate((width, height)):
                start = scale * self.corner[axis] + shift[axis]
                edges[axis] += [start, start + scale * (side - 1)]
        limits = (self.canvas_hw[1], self.canvas_hw[0])
        columns, rows = (
            slice(max(int(min(ends)) - 1, 0), min(int(max(ends)) + 3, limit))
            for ends, limit in zip(edges, limits, strict=True)
        )
        return rows, columns


def _card_surface(card: Card, focus: float, size_hw: tuple[int, int], edges: Edges) -> _Surface:
    """Cut to what is visible, with a rim of one pixel for the interpolation.

    Where the picture's border cuts a character, it goes on beyond it, or a gap would open there.
    """
    seen = card.alpha[0, 0] > 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    top, bottom, left, right = 0, 1, 0, 1
    if len(rows):
        top, bottom = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, size_hw[0])
        left, right = max(int(columns[0]) - 1, 0), min(int(columns[-1]) + 2, size_hw[1])
    box = (..., slice(top, bottom), slice(left, right))
    alpha = card.alpha[box]
    rgba = torch.cat((card.image[box] * alpha, alpha), 1)
    relief = None if card.relief is None else card.relief[box]
    more = [0, 0, 0, 0]  # left, right, top, bottom
    if edges != "transparent":
        height, width = size_hw
        cut = (left == 0, right == width, top == 0, bottom == height)
        least = (right - left - 1, right - left - 1, bottom - top - 1, bottom - top - 1)
        sides = (width, width, height, height)
        more = [
            min(round(_BEYOND * side), most) if at else 0
            for at, side, most in zip(cut, sides, least, strict=True)
        ]
    mode = "reflect" if edges == "mirror" else "replicate"
    rgba = functional.pad(rgba, more, mode=mode)
    relief = None if relief is None else functional.pad(relief, more, mode="replicate")
    corner = (left - more[0], top - more[2])
    return _Surface(rgba, relief, card.disparity, focus, corner, size_hw)


def _centres(pixels: slice) -> Array:
    """Return the centres of blocks of _GRID_PX pixels.

    The last block may be cut, which the mean width allows for.
    """
    count = -(-(pixels.stop - pixels.start) // _GRID_PX)
    width = (pixels.stop - pixels.start) / count
    return (pixels.start - 0.5 + (np.arange(count, dtype=np.float32) + 0.5) * width).astype(
        np.float32
    )


def _all(size_hw: tuple[int, int]) -> tuple[slice, slice]:
    return slice(0, size_hw[0]), slice(0, size_hw[1])


def _pixels(planes: Tensor) -> Array:
    """Convert 1×C×H×W to H×W×C, as OpenCV wants it."""
    return np.ascontiguousarray(to_comfy(planes)[0].cpu().numpy())


def _opacity(layer: Array) -> Array:
    return layer[..., -1:]


def _borders() -> dict[str, int]:
    from ..opencv import cv2

    return {
        "crop": cv2.BORDER_REPLICATE,  # hidden by the zoom but for a rounding error
        "mirror": cv2.BORDER_REFLECT_101,
        "transparent": cv2.BORDER_CONSTANT,
    }
