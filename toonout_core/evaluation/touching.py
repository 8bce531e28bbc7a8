"""Count pairs of characters that touch: told apart, or taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from ..words import Array
from .instance_metrics import mask_iou

_REACH = 1 / 180  # of the longer side: characters so near to each other touch
_FOUND = 0.5  # mask IoU
_SWALLOWED = 0.5  # share of both that one instance covers


@dataclass(frozen=True)
class Pairs:
    """Numbers of pairs of characters that touch.

    `separated`: each of the two was found, as one of its own; `merged`: one instance covers more
    than half of both.
    """

    touching: int = 0
    separated: int = 0
    merged: int = 0

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(
            self.touching + other.touching,
            self.separated + other.separated,
            self.merged + other.merged,
        )


def count_pairs(truth: Tensor, found: Sequence[Tensor]) -> Pairs:
    """Count the pairs; `truth` N×H×W bool, `found`: H×W bool each."""
    touching = [pair for pair in combinations(range(len(truth)), 2) if _touch(truth[list(pair)])]
    matches = [
        {i for i, mask in enumerate(found) if mask_iou(mask, own) >= _FOUND} for own in truth
    ]
    separated = merged = 0
    for first, second in touching:
        one, other = matches[first], matches[second]
        separated += bool(one) and bool(other) and len(one | other) > 1
        merged += any(
            all(_covered(truth[one], mask) > _SWALLOWED for one in (first, second))
            for mask in found
        )
    return Pairs(len(touching), separated, merged)


def _touch(two: Tensor) -> bool:
    from ..opencv import cv2

    reach_px = max(1, round(_REACH * max(two.shape[-2:])))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    wide: Array = cv2.dilate(two[0].numpy().astype(np.uint8), disk) > 0
    return bool((torch.from_numpy(wide) & two[1]).any())


def _covered(own: Tensor, mask: Tensor) -> float:
    return int((own & mask).sum()) / max(int(own.sum()), 1)
