"""Two looks at one picture: one at the whole, which knows what the character is, and a closer one,
which knows where its edges are.

The closer look counts as far as it agrees with the first one over some pixels: it moves and
sharpens edges, and adds hairs, but it cannot add a second subject or open a body.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .resizing import resize

CELL = 8  # pixels over which alphas must agree, and how far from an edge it may be drawn anew
# mean differences of alpha over a cell: up to the first one what is new counts wholly, from the
# second on not at all. Where the matte is sure, a closer look that says something else has taken a
# white coat between two lines for background, and the lines alone for the character
_AGREES, _SURE_AGREES = (0.6, 0.95), (0.02, 0.1)
_NEAR = 7  # cells
_TRANSPARENT, _OPAQUE = 0.05, 0.95


def joined(whole: Tensor, closer: Tensor) -> Tensor:
    """Alpha of a look at the whole B×1×h×w and of a closer one B×1×H×W → alpha B×1×H×W."""
    coarse = resize(whole, (int(closer.shape[-2]), int(closer.shape[-1])))
    return held(coarse, closer - coarse, open_cells(coarse))


def open_cells(alpha: Tensor) -> Tensor:
    """B×1×H×W → B×1×h×w bool, of cells: where it is uncertain or has an edge, and beside those."""
    whole = _padded(alpha)
    most = functional.max_pool2d(whole, CELL)
    least = -functional.max_pool2d(-whole, CELL)
    found = ((most > _TRANSPARENT) & (least < _OPAQUE)).to(alpha)
    return functional.max_pool2d(found, 3, 1, 1) > 0


def held(coarse: Tensor, change: Tensor, cells: Tensor) -> Tensor:
    """`coarse` + `change`, as far as cells are open and its mean over a cell is small, and where
    closed cells near by were not to change either; B×1×H×W."""
    whole = _padded(change)
    trust = _ramp(functional.avg_pool2d(whole, CELL).abs(), _AGREES) * cells
    trust *= _ramp(_near_by(functional.avg_pool2d(whole.abs(), CELL), ~cells), _SURE_AGREES)
    trust = functional.avg_pool2d(functional.pad(trust, (1, 1, 1, 1), mode="replicate"), 3, 1)
    smooth = functional.interpolate(
        trust, scale_factor=CELL, mode="bilinear", align_corners=False
    )[..., : coarse.shape[-2], : coarse.shape[-1]]  # fmt: skip
    return change.mul_(smooth).add_(coarse).clamp_(0, 1)


def _ramp(differs: Tensor, counts: tuple[float, float]) -> Tensor:
    """1 up to the first limit, 0 from the second one on."""
    wholly, not_at_all = counts
    return ((not_at_all - differs) / (not_at_all - wholly)).clamp_(0, 1)


def _near_by(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the cells that count in a window around each; 0 where there are none."""
    sums = functional.avg_pool2d(torch.cat((values * counted, counted.to(values)), 1), _NEAR, 1,
                                 _NEAR // 2)  # fmt: skip
    total, count = sums.split(1, 1)
    return total / count.clamp(min=1e-6)


def _padded(planes: Tensor) -> Tensor:
    """To whole cells."""
    down, right = (-int(length) % CELL for length in planes.shape[-2:])
    return functional.pad(planes, (0, right, 0, down), mode="replicate")
