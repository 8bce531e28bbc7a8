"""The published 3D Ken Burns of a whole picture: points in space, and a camera that goes to where
it sees fewest holes.

Formulas: J. Lin and others, Instance-guided Cartoon Editing, 2023 (facts, no code).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from .autozoom import Cloud, Lens, View, find_target, first_view, zoom_frames
from .disparity import BASELINE, continuous, depth_of, scaled
from .points import point_cloud
from .scene import Scene

_RIM = 0.1  # of the longer side: what may come into view beyond the borders
_FARTHEST = 0.02  # least disparity: points at infinity have no exact place
_SHIFT = 100 / 1024  # of the longer side, by which the end of the zoom is sought
_SEARCH_PX = 256  # longer side at which it is sought: a reduced picture is the same scene
_REFOCUS = 50.0  # how suddenly the focus goes to the character in the middle of the clip


def published_zoom(
    scene: Scene,
    path: Sequence[float],
    near: float = 1.0,
    strength: float = 0.0,
    zoom: float = 1.25,
) -> Iterator[Tensor]:
    """Yield 1×4×H×W, colours and where characters are, for each share of `path`, 0 the start of
    the zoom and 1 its end.

    `strength` above 0 blurs like a lens; 0.5 is as published. The focus then goes to the disparity
    `near`, 0 … 1, from where is farthest from it. `zoom` 1.25 is as published.
    """
    cloud = cloud_of(scene, _RIM)
    start = first_view(cloud.size_hw)
    end = _end(scene, zoom)

    def lens(share: float) -> Lens:
        return Lens(_focus_at(share, near), strength)

    yield from zoom_frames(cloud, start, end, path, lens if strength else None)


def cloud_of(scene: Scene, rim: float = 0.0) -> Cloud:
    """Turn a scene into points: what is seen, and the plate behind the characters, which goes on
    beyond the borders by `rim` of the longer side, mirrored.
    """
    mask, near, hidden = _planes(scene)
    disparity = scaled(near)
    behind = scene.plate_disparity.clamp_min(_FARTHEST) * (BASELINE / near.amax())
    beyond = min(round(rim * max(scene.size_hw)), min(scene.size_hw) - 1)
    around = [beyond] * 4
    unseen = functional.pad(hidden & (behind < disparity), around, value=True)
    layers = (
        (scene.image, mask, disparity, continuous(disparity)),
        (*(functional.pad(p, around, "reflect") for p in (scene.plate, mask * 0, behind)), unseen),
    )
    points, data = [], []
    for shown, where, nearness, valid in layers:
        depth, kept = depth_of(nearness), valid.flatten()
        points.append(point_cloud(depth, valid).view(1, 3, -1)[..., kept])
        data.append(torch.cat((shown, where, depth), 1).view(1, 5, -1)[..., kept])
    nearest = float(depth_of(disparity).min())
    return Cloud(torch.cat(points, -1), torch.cat(data, -1), nearest, scene.size_hw)


def _planes(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Return where characters are, how near all is, and what they hide."""
    mask = torch.zeros_like(scene.plate_disparity)
    near, hidden = (
        scene.plate_disparity.clamp_min(_FARTHEST),
        torch.zeros_like(mask, dtype=torch.bool),
    )
    for card in scene.cards:  # the farthest first
        mask = card.alpha + mask * (1 - card.alpha)
        near[card.alpha > 0.5] = card.disparity
        hidden |= card.alpha > 0.02
    return mask, near, hidden


def _end(scene: Scene, zoom: float) -> View:
    height, width = scene.size_hw
    share = min(1.0, _SEARCH_PX / max(height, width))
    small = cloud_of(_reduced(scene, (max(2, round(height * share)), max(2, round(width * share)))))
    found = find_target(small, _SHIFT * max(small.size_hw), zoom)
    crop_w, crop_h = first_view(scene.size_hw).crop_wh
    x, y = found.centre_xy
    centre = (x * width / small.size_hw[1], y * height / small.size_hw[0])
    return View(centre, (float(round(crop_w / zoom)), float(round(crop_h / zoom))))


def _reduced(scene: Scene, size_hw: tuple[int, int]) -> Scene:
    def small(plane: Tensor) -> Tensor:
        return functional.interpolate(plane, size_hw, mode="area")

    cards = tuple(
        replace(card, image=small(card.image), alpha=small(card.alpha), relief=None)
        for card in scene.cards
    )
    return Scene(small(scene.image), small(scene.plate), small(scene.plate_disparity), cards)


def _focus_at(share: float, near: float) -> float:
    """Return the disparity in focus, in units of the baseline: a logistic step to `near`."""
    step = 1 / (1 + math.exp(_REFOCUS * (0.5 - share)))
    start = 1.0 if near < 0.5 else 0.0
    return BASELINE * (step * near + (1 - step) * start)
