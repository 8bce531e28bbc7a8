"""Coarse mattes of known pictures, as a look at the whole leaves them, and parts at their edges."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.lite_unet import ARCHITECTURE
from ..data import normalise

Generator = np.random.Generator

_GOOD_SHARE = 0.4  # of mattes that are the truth made smaller, at least in places
_STEEPER_SHARE, _MOVED_SHARE = 0.3, 0.2
_KNOTS = 5  # of the border between good places and others, along a side


@torch.no_grad()
def look_from_afar(network: nn.Module, image: Tensor, factor: float) -> Tensor:
    """B×3×S×S in [0, 1] → alpha of the picture at about 1/`factor` of its size, enlarged again."""
    side = int(image.shape[-1])
    unit = ARCHITECTURE.multiple_of
    small = max(round(side / factor / unit), 1) * unit
    seen = F.interpolate(image, (small, small), mode="bilinear", antialias=True)
    alpha = network(normal(seen)).float().sigmoid()
    return F.interpolate(alpha, (side, side), mode="bilinear", align_corners=False)


def varied(rng: Generator, coarse: Tensor, alpha: Tensor) -> Tensor:
    """Make some coarse mattes worse, as other models' are, and some better than this network's."""
    if rng.random() < _GOOD_SHARE:
        coarse = coarse + (_reduced(rng, alpha) - coarse) * _places(rng, coarse)
    if rng.random() < _STEEPER_SHARE:
        steep, moved = float(rng.uniform(0.6, 2.5)), float(rng.normal(0, 0.3))
        changed = (coarse.clamp(0.003, 0.997).logit() * steep + moved).sigmoid()
        coarse = torch.where(coarse > 0.004, changed, coarse)
    if rng.random() < _MOVED_SHARE:
        down, right = rng.integers(-2, 3, 2)
        coarse = coarse.roll((int(down), int(right)), (2, 3))
    return coarse


def normal(image: Tensor) -> Tensor:
    """B×3×H×W in [0, 1] → what the network takes."""
    seen = normalise(image, ARCHITECTURE.input.mean, ARCHITECTURE.input.std)
    return seen.contiguous(memory_format=torch.channels_last)


def _reduced(rng: Generator, alpha: Tensor) -> Tensor:
    """The truth as a perfect network would see it in a smaller picture."""
    side = int(alpha.shape[-1])
    small = max(side // int(rng.choice((2, 2, 3, 4))), 1)
    return F.interpolate(
        F.interpolate(alpha, (small, small), mode="area"),
        (side, side), mode="bilinear", align_corners=False,
    )  # fmt: skip


def _places(rng: Generator, planes: Tensor) -> Tensor:
    """How much each place is to change: smooth, in [0, 1]."""
    knots = torch.from_numpy(rng.normal(0, 2, (1, 1, _KNOTS, _KNOTS)).astype(np.float32))
    grown = F.interpolate(knots, planes.shape[-2:], mode="bicubic", align_corners=False)
    return grown.sigmoid().to(planes)


def edge_parts(
    rng: Generator, planes: Tensor, alpha: Tensor, coarse: Tensor, side: int, count: int
) -> Tensor:
    """`count` parts of each picture as N×C×side×side; each holds an edge, where there is one."""
    uncertain = ((alpha > 0.02) & (alpha < 0.98)) | ((coarse - alpha).abs() > 0.3)
    parts: list[Tensor] = []
    for planes_of_one, places in zip(planes, uncertain[:, 0], strict=True):
        found = places.nonzero().cpu()
        for _ in range(count):
            centre = (
                found[int(rng.integers(len(found)))].tolist()
                if len(found)
                else rng.integers(0, places.shape[-1], 2).tolist()
            )
            top, left = (
                min(max(int(at - rng.integers(side // 8, side - side // 8)), 0), whole - side)
                for at, whole in zip(centre, places.shape, strict=True)
            )
            parts.append(planes_of_one[:, top : top + side, left : left + side])
    return torch.stack(parts)
