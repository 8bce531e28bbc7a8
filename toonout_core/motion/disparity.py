"""Tell how near things are: from any depth picture to what the renderers of this room need.

Disparity is near = large; B×1×H×W float32. The published constants: a camera of 512 pixels focal
length, a baseline of 40. Source of the formulas: S. Niklaus and others, 3D Ken Burns Effect from a
Single Image, 2019, and J. Lin and others, Instance-guided Cartoon Editing, 2023 (facts, no code).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from .options import Levelling

FOCAL_PX = 512.0
BASELINE = 40.0

_FEET = 0.97  # of a character's height: what is below it are the feet
_TEAR = 0.03  # of the largest disparity: neighbours that differ more are two things


def level_instances(disparity: Tensor, masks: Tensor, levelling: Levelling = "feet") -> Tensor:
    """Put every character on one plane, so that it cannot tear. Later masks win where two meet.

    `disparity` 1×1×h×w of any size, `masks` N×H×W bool. "feet": the largest disparity of the lowest
    3 % of the character; "median" and "mean": of all of it.
    """
    size_hw = tuple(masks.shape[-2:])
    full = _resized(disparity, size_hw).clone()
    before = full.clone()
    for mask in masks:
        if bool(mask.any()):
            full[0, 0][mask] = _level(before[0, 0], mask, levelling)
    return _resized(full, tuple(disparity.shape[-2:]))


def _level(disparity: Tensor, mask: Tensor, levelling: Levelling) -> Tensor:
    if levelling == "median":
        return disparity[mask].median()
    if levelling == "mean":
        return disparity[mask].mean()
    rows = mask.any(1).nonzero()
    top, bottom = int(rows[0]), int(rows[-1])
    feet = round(top + _FEET * (bottom - top))
    return (disparity * mask)[feet:].amax()


def _resized(plane: Tensor, size_hw: tuple[int, ...]) -> Tensor:
    if tuple(plane.shape[-2:]) == size_hw:
        return plane
    return functional.interpolate(plane, size_hw, mode="bilinear", align_corners=False)


def scaled(disparity: Tensor) -> Tensor:
    """Return the same with the baseline as its largest value."""
    largest = disparity.amax()
    if not bool(largest > 0):
        raise BadInput(
            "depth must have something near",
            "a picture without any value above 0",
            "Connect a depth picture in which near is white.",
        )
    return disparity / largest * BASELINE


def depth_of(disparity: Tensor) -> Tensor:
    """Return the distance from the camera in the units of the baseline."""
    return FOCAL_PX * BASELINE / (disparity + 1e-5)


def disparity_of(depth: Tensor) -> Tensor:
    """Return the inverse of `depth_of`."""
    return FOCAL_PX * BASELINE / depth.clamp_min(1e-3)


def continuous(disparity: Tensor) -> Tensor:
    """Tell where a pixel belongs to the surface of its neighbours, and is no torn edge; B×1×H×W
    bool.

    The published kernel looks to the left and upwards only.
    """
    kernel = disparity.new_tensor([[0, -1, -1], [-1, 4, 0], [-1, 0, 0]]).view(1, 1, 3, 3)
    padded = functional.pad(disparity / disparity.amax(), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, kernel).abs() < _TEAR
