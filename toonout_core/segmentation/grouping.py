"""Give every pixel of a matte to a character, by maps of centres and of the ways to them.

Every place of the matte goes to the centre that its way ends nearest to (Panoptic-DeepLab,
arXiv:1911.10194). This is done twice: after the first time, centres that are too weak are left out,
and the matte is given to the others anew. A region that no centre explains becomes one more
character.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.lite_unet.characters import Centres, Certainty
from ..ops.regions import label_regions
from ..words import Array

NOBODY = -1

_LEAST_HEAT = 0.04  # of a centre that is looked at
_MOST = 40  # centres that are looked at
_APART = 0.8  # of a character's size: no other centre is nearer to its own
_APART_CELLS = (6.0, 28.0)
_SOFTNESS_CELLS = 8.0  # how much nearer another way ends where two are equally sure
_LEAST_AREA = 0.002  # of the picture
_FLOATING = 0.25  # of a character's largest part: another region that is larger is no part of it
_PIECE = 0.1  # of its largest piece: smaller ones are of who is around them


@dataclass(frozen=True)
class Groups:
    """Which character each pixel is of.

    `owners` H×W int16: the character's number, also beside the matte; `NOBODY` where that is open.
    `scores` of the owners 0, 1, …; `raw` and `shares` are what scores are made of (see
    `Certainty`), and NaN for unexplained regions.
    """

    owners: Array
    scores: list[float]
    raw: list[float]
    shares: list[float]


@dataclass(frozen=True)
class _Peaks:
    """Places that may be centres: `places` N×2, x and y in cells; `heat` N in [0, 1]."""

    places: Tensor
    heat: Tensor

    def __len__(self) -> int:
        return len(self.heat)

    def __getitem__(self, chosen: list[int]) -> _Peaks:
        return _Peaks(self.places[chosen], self.heat[chosen])


def group(
    centres: Centres, solid: Array, certainty: Certainty, *, min_score: float, min_area: float
) -> Groups:
    """Give the pixels of one picture to characters. `solid` H×W bool: where the matte is.

    `min_area`: share of the picture from which on a region of the matte is looked at.
    """
    specks = _specks(solid, min_area)
    solid = solid & ~specks
    peaks = find_peaks(centres)
    owners, sure = _give(centres, peaks, solid.shape)
    raw = _raw_scores(peaks, owners, sure, solid)
    shares = _shares(owners, solid, len(peaks))
    given = zip(raw, shares, strict=True)
    probable = [certainty.of(score, share) if score > 0 else 0.0 for score, share in given]
    kept = [index for index, score in enumerate(probable) if score >= min_score and score > 0]
    if len(kept) < len(peaks):
        owners, _ = _give(centres, peaks[kept], solid.shape)
    _return_pieces(owners, solid, len(kept))
    owners[specks] = NOBODY
    scores = [probable[index] for index in kept]
    lonely = (
        _unexplained(owners, solid, len(kept), min_area) if certainty.alone >= min_score else []
    )
    for number, region in enumerate(lonely, len(kept)):
        owners[region] = number
    return Groups(
        owners,
        scores + [certainty.alone] * len(lonely),
        [raw[index] for index in kept] + [math.nan] * len(lonely),
        [shares[index] for index in kept] + [math.nan] * len(lonely),
    )


def _specks(solid: Array, min_area: float) -> Array:
    """Find the regions that are too small for a character, H×W bool."""
    labels, _, areas = label_regions(solid, 8)
    return np.concatenate(([False], areas < min_area * solid.size))[labels]


def find_peaks(centres: Centres) -> _Peaks:
    """Find places that may be centres, best first.

    None is nearer to a better one than that character's size allows.
    """
    heat = centres.logits[0, 0].sigmoid()
    top = F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero((heat == top) & (heat > _LEAST_HEAT), as_tuple=True)
    order = heat[rows, columns].sort(descending=True, stable=True).indices
    rows, columns = rows[order], columns[order]
    places = torch.stack((columns, rows), 1).to(torch.float32)
    radii = (_APART * centres.sizes[0, 0, rows, columns]).clamp(*_APART_CELLS)
    kept: list[int] = []
    for index in range(len(places)):
        away = (places[kept] - places[index]).norm(dim=1)
        if len(kept) < _MOST and bool((away >= radii[kept]).all()):
            kept.append(index)
    return _Peaks(places[kept], heat[rows, columns][kept])


def _give(centres: Centres, peaks: _Peaks, size_hw: tuple[int, ...]) -> tuple[Array, Array]:
    """Find for every pixel the centre that its way ends nearest to, and how sure that is
    in [0, 1].
    """
    owners = np.full(size_hw, NOBODY, np.int16)
    sure = np.zeros(size_hw, np.float32)
    if not len(peaks):
        return owners, sure
    ways = centres.ways[0]
    height, width = ways.shape[-2:]
    ends_x = ways[0] + torch.arange(width, dtype=torch.float32)
    ends_y = ways[1] + torch.arange(height, dtype=torch.float32)[:, None]
    x, y = peaks.places.T[:, :, None, None]
    away = ((ends_x - x).square() + (ends_y - y).square()).sqrt()
    shares = torch.softmax(-away / _SOFTNESS_CELLS, 0)
    for index, share in enumerate(shares):
        # one at a time: never N planes of the picture's size
        large = F.interpolate(share[None, None], size_hw, mode="bilinear", align_corners=False)[
            0, 0
        ].numpy()
        better = large > sure
        owners[better] = index
        sure[better] = large[better]
    return owners, sure


def _raw_scores(peaks: _Peaks, owners: Array, sure: Array, solid: Array) -> list[float]:
    """Score each centre: heat × mean certainty, and 0 for one that owns next to nothing."""
    mine = owners[solid] + 1
    areas = np.bincount(mine, minlength=len(peaks) + 1)[1:]
    means = np.bincount(mine, sure[solid], len(peaks) + 1)[1:] / np.maximum(areas, 1)
    large = areas >= _LEAST_AREA * solid.size
    return [float(score) for score in peaks.heat.numpy() * means * large]


def _shares(owners: Array, solid: Array, count: int) -> list[float]:
    """Return the logarithm of each owner's area over the picture's."""
    areas = np.bincount(owners[solid].astype(np.int64) + 1, minlength=count + 1)[1:]
    return [math.log(max(int(area), 1) / solid.size) for area in areas]


def _areas(owners: Array, labels: Array, count: int) -> Array:
    """Count the pixels of each owner in each region; region 0 is outside of the matte,
    and empty.
    """
    regions = int(labels.max()) + 1
    solid = labels > 0
    both = (owners[solid].astype(np.int64) + 1) * regions + labels[solid]
    return np.bincount(both, minlength=(count + 1) * regions).reshape(-1, regions)[1:]


def _return_pieces(owners: Array, solid: Array, count: int) -> None:
    """Give small pieces, apart from the rest of their owner, to the owner around them, in place."""
    from ..opencv import cv2

    disk = np.ones((3, 3), np.uint8)
    for owner in range(count):
        labels, boxes, areas = label_regions((owners == owner) & solid, 8)
        if len(areas) < 2:
            continue
        for piece in np.flatnonzero(areas < _PIECE * areas.max()):
            left, top, right, bottom = boxes[piece]
            window = (slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1))
            own = labels[window] == piece + 1
            ring = (cv2.dilate(own.view(np.uint8), disk) > 0) & ~own & solid[window]
            around = owners[window][ring]
            around = around[(around != owner) & (around != NOBODY)]
            new = int(np.bincount(around).argmax()) if len(around) else NOBODY
            owners[window][own] = new


def _unexplained(owners: Array, solid: Array, count: int, min_area: float) -> list[Array]:
    """Find the regions of the matte, H×W bool each, where no owner is at home.

    An owner is at home in the region where most of it lies. It may also have a small part
    elsewhere, such as a hat that floats: that region counts as explained too.
    """
    labels, _, areas = label_regions(solid, 8)
    table = _areas(owners, labels, count)
    found: list[Array] = []
    for number in np.flatnonzero(areas >= min_area * solid.size) + 1:
        here, whole = table[:, number], table.max(1)
        owned, at_home = here > 0, (here > 0) & (here == whole)
        if not owned.any() or not (at_home | (owned & (here < _FLOATING * whole))).any():
            found.append(labels == number)
    return found
