"""The published camera path: a slow zoom towards where the moved camera sees fewest holes.

Formulas: J. Lin and others, Instance-guided Cartoon Editing, 2023, after S. Niklaus and others, 3D
Ken Burns Effect from a Single Image, 2019 (facts, no code).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..imaging import from_array, to_array
from .bokeh import lens_blur
from .disparity import FOCAL_PX, disparity_of
from .holes import fill_holes
from .points import render_points

START_SHARE = 0.97  # of the picture's sides that is seen at first
_TRIES = 16  # shifts along each axis


@dataclass(frozen=True)
class View:
    """What the camera sees: the centre and the size of a part of the picture, in px."""

    centre_xy: tuple[float, float]
    crop_wh: tuple[float, float]

    def towards(self, other: View, share: float) -> View:
        """`share` 0 is this view, 1 the other."""

        def mixed(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
            return (one[0] + (two[0] - one[0]) * share, one[1] + (two[1] - one[1]) * share)

        return View(mixed(self.centre_xy, other.centre_xy), mixed(self.crop_wh, other.crop_wh))


@dataclass(frozen=True)
class Lens:
    """`disparity` in focus, in units of the baseline; `strength` of the blur of the rest."""

    disparity: float
    strength: float


@dataclass(frozen=True)
class Cloud:
    """A picture in space. `points` 1×3×N, `data` 1×C×N (colours, what else is wanted, and last the
    depth), `nearest`: the least depth, `size_hw` of the picture."""

    points: Tensor
    data: Tensor
    nearest: float
    size_hw: tuple[int, int]


def first_view(size_hw: tuple[int, int]) -> View:
    """Return the middle of the picture, a little less than all of it."""
    height, width = size_hw
    crop = (float(int(START_SHARE * width)), float(int(START_SHARE * height)))
    return View((width / 2, height / 2), crop)


def find_target(cloud: Cloud, shift_px: float = 100.0, zoom: float = 1.25) -> View:
    """Try 16×16 shifts of the first view, zoomed, and return the one whose camera sees
    fewest holes.
    """
    height, width = cloud.size_hw
    start = first_view(cloud.size_hw)
    crop = (float(round(start.crop_wh[0] / zoom)), float(round(start.crop_wh[1] / zoom)))
    best, target = -1, View(start.centre_xy, crop)
    shifts = np.linspace(-shift_px, shift_px, _TRIES).tolist()
    for down in shifts:
        for right in shifts:
            view = View((start.centre_xy[0] + right, start.centre_xy[1] + down), crop)
            if not _inside(view, width, height):
                continue
            points = cloud.points + _camera_shift(cloud, view, 1 / zoom)
            _, covered = render_points(points, cloud.data[:, :1], cloud.size_hw)
            count = int((covered > 0).sum())
            if count > best:
                best, target = count, view
    return target


def _inside(view: View, width: int, height: int) -> bool:
    x, y = view.centre_xy
    half_w, half_h = view.crop_wh[0] / 2, view.crop_wh[1] / 2
    return half_w <= x <= width - half_w and half_h <= y <= height - half_h


def _camera_shift(cloud: Cloud, view: View, share: float) -> Tensor:
    """Return 1×3×1, what is added to all points so that a still camera sees `view`.

    `share`: its width over that of the widest view, which is how near the nearest point comes.
    """
    height, width = cloud.size_hw
    depth = cloud.nearest * share
    right, down = view.centre_xy[0] - width / 2, view.centre_xy[1] - height / 2
    shift = (-right * depth / FOCAL_PX, -down * depth / FOCAL_PX, depth - cloud.nearest)
    return cloud.points.new_tensor(shift).view(1, 3, 1)


def zoom_frames(
    cloud: Cloud,
    start: View,
    end: View,
    shares: Sequence[float],
    lens: Callable[[float], Lens] | None = None,
) -> Iterator[Tensor]:
    """Yield 1×(C−1)×H×W in [0, 1], all but the depth, for each of `shares`, 0 the start and 1 the
    end. `lens` says what is in focus at a share.
    """
    from ..opencv import cv2

    height, width = cloud.size_hw
    patch = [round(max(a, b)) for a, b in zip(start.crop_wh, end.crop_wh, strict=True)]
    for share in shares:
        view = start.towards(end, share)
        points = cloud.points + _camera_shift(cloud, view, view.crop_wh[0] / patch[0])
        drawn, covered = render_points(points, cloud.data, cloud.size_hw)
        filled = fill_holes(drawn, covered)
        shown, depth = filled.split((filled.shape[1] - 1, 1), 1)
        if lens:
            in_focus = lens(share)
            colours, *others = shown.split(3, 1)
            near = disparity_of(depth)
            colours = lens_blur(colours, near, in_focus.disparity, in_focus.strength)
            shown = torch.cat((colours, *others), 1)
        # the published program cuts levels down to whole numbers
        levels = to_array(shown - 0.5 / 255)[0]
        # OpenCV takes one channel or three, and rounds both in ways of their own
        parts = [part.copy() for part in np.split(levels, [3], -1) if part.size]
        middle = (width / 2, height / 2)
        crop = np.dstack([cv2.getRectSubPix(part, (patch[0], patch[1]), middle) for part in parts])
        yield from_array(cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR))
