"""Adjust a matte: each adjustment alone, or all in one fixed order. Alpha is B×1×H×W in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..words import Array
from .blur import GAUSSIAN_REACH, gaussian_blur
from .morphology import grow
from .regions import Connectivity, label_regions, touches_border

# alpha at which regions are looked for: evenly, and closer to the end that a network hardly reaches
LEVELS = (*(i / 8 for i in range(1, 8)), 15 / 16, 31 / 32, 63 / 64, 127 / 128, 1.0)
# float32 weights of a Gaussian sum to 1 within 2e-6; with this margin 1.0 stays exactly 1.0
MARGIN = 1 + 4e-6


@dataclass(frozen=True)
class AdjustOptions:
    """What `adjust` does, in this order; the defaults change nothing.

    black, white      alpha that becomes 0 and 1
    gamma             above 1: half transparent parts become more opaque
    drop_specks_px    separate specks of at most this area vanish
    fill_holes_px     enclosed holes of at most this area are filled; math.inf: all
    grow_px           edges move outwards, inwards if negative; fractions count
    feather_px        edges are softened over this distance
    invert            what was kept becomes transparent, and the rest is kept
    """

    black: float = 0.0
    white: float = 1.0
    gamma: float = 1.0
    drop_specks_px: float = 0.0
    fill_holes_px: float = 0.0
    grow_px: float = 0.0
    feather_px: float = 0.0
    invert: bool = False


def adjust(alpha: Tensor, options: AdjustOptions) -> Tensor:
    """Do all adjustments: levels, gamma, drop_specks, fill_holes, grow, feather, invert."""
    alpha = levels(alpha, options.black, options.white)
    alpha = gamma(alpha, options.gamma)
    alpha = drop_specks(alpha, options.drop_specks_px)
    alpha = fill_holes(alpha, options.fill_holes_px)
    alpha = grow(alpha, options.grow_px)
    alpha = feather(alpha, options.feather_px)
    return 1 - alpha if options.invert else alpha


def levels(alpha: Tensor, black: float = 0.0, white: float = 1.0) -> Tensor:
    """Stretch black … white to 0 … 1, and cut what lies beyond."""
    if not black < white:
        raise BadInput("the black point must be below the white point", f"{black} and {white}")
    if (black, white) == (0, 1):
        return alpha
    # both ends in alpha's own precision, so that opaque stays exactly 1
    low, high = alpha.new_tensor((black, white))
    return ((alpha - low) / (high - low)).clamp(0, 1)


def gamma(alpha: Tensor, gamma: float = 1.0) -> Tensor:
    """Raise alpha to the power 1/gamma: above 1 it gets more opaque, below 1 more transparent."""
    if not (gamma > 0 and math.isfinite(gamma)):
        raise BadInput("gamma must be above 0", str(gamma))
    return alpha if gamma == 1 else alpha ** (1 / gamma)


def feather(alpha: Tensor, radius_px: float) -> Tensor:
    """Soften edges by a Gaussian that ends radius_px away from each pixel (σ = radius_px / 3)."""
    if radius_px < 0:
        raise BadInput("radius_px must not be negative", str(radius_px))
    if radius_px == 0:
        return alpha
    return (gaussian_blur(alpha, radius_px / GAUSSIAN_REACH) * MARGIN).clamp(0, 1)


def fill_holes(alpha: Tensor, max_area_px: float) -> Tensor:
    """Raise enclosed regions of at most max_area_px to the alpha that encloses them.

    An area closing (Vincent 1993) at LEVELS, by 4 neighbours. Background that touches the border
    of the picture is no hole.
    """
    return _each_plane(alpha, max_area_px, False)


def drop_specks(alpha: Tensor, max_area_px: float) -> Tensor:
    """Lower separate regions of at most max_area_px to the alpha that surrounds them.

    An area opening at 1 − LEVELS, by 8 neighbours; also at the border of the picture.
    """
    return _each_plane(alpha, max_area_px, True)


def _each_plane(alpha: Tensor, max_area_px: float, specks: bool) -> Tensor:
    if not max_area_px >= 0:
        raise BadInput("max_area_px must not be negative", str(max_area_px))
    if max_area_px < 1:
        return alpha
    planes = alpha.detach().to(torch.float32).cpu().flatten(0, 1).numpy().copy()
    for plane in planes:
        if specks:
            # above 1 − level in alpha is below level − 1 in −alpha
            np.subtract(0, plane, out=plane)
            _raise_regions(plane, [level - 1 for level in LEVELS], max_area_px, 8, True)
            np.subtract(0, plane, out=plane)
        else:
            _raise_regions(plane, LEVELS, max_area_px, 4, False)
    return torch.from_numpy(planes).view(alpha.shape).to(alpha.device)


def _raise_regions(
    plane: Array,
    levels: Sequence[float],
    max_area_px: float,
    connectivity: Connectivity,
    at_border: bool,
) -> None:
    """Raise small regions that lie below a level to that level, one level after the
    other, in place.
    """
    source = plane.copy()
    count, chosen = -1, np.zeros(0, np.bool_)
    for level in levels:
        below = source < level
        size = int(np.count_nonzero(below))
        if size != count:
            count, chosen = size, _small_regions(below, max_area_px, connectivity, at_border)
        if chosen.size:
            np.maximum(plane, np.float32(level), out=plane, where=chosen)


def _small_regions(
    mask: Array, max_area_px: float, connectivity: Connectivity, at_border: bool
) -> Array:
    """Return where the small regions are, H×W bool; an array of size 0 if there is none."""
    labels, boxes, areas = label_regions(mask, connectivity)
    small = areas <= max_area_px
    if not at_border:
        small &= ~touches_border(boxes, mask.shape)
    return np.concatenate(([False], small))[labels] if small.any() else np.zeros(0, np.bool_)
