"""Turn cells into scored boxes in pixels of the input, and leave out those that say the same."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from ..detecting import Found, Rows
from .dynamic_masks import mask_logits
from .head import STRIDES, RawDetections


@dataclass(frozen=True)
class Candidates(Rows):
    """Cells that may show an instance.

    `priors` N×3: x, y and stride of the cell, in pixels of the input. `kernels` N×K: the weights
    of the small network that draws the mask.
    """

    priors: Tensor
    kernels: Tensor


def decode(
    raw: RawDetections,
    frame: int,
    size_hw: tuple[int, int],
    *,
    min_score: float = 0.05,
    limit_per_level: int = 1000,
) -> Candidates:
    """Return the cells of one frame that score above `min_score`; boxes are clamped to
    the input.
    """
    levels = [
        _decode_level(
            raw.logits[level][frame],
            raw.distances[level][frame],
            raw.kernels[level][frame],
            stride,
            min_score,
            limit_per_level,
        )
        for level, stride in enumerate(STRIDES)
    ]
    joined = Candidates(
        *(
            torch.cat([getattr(level, field.name) for level in levels])
            for field in fields(Candidates)
        )
    )
    height, width = size_hw
    joined.boxes_xyxy[:, 0::2].clamp_(0, width)
    joined.boxes_xyxy[:, 1::2].clamp_(0, height)
    return joined


def _decode_level(
    logits: Tensor, distances: Tensor, kernels: Tensor, stride: int, min_score: float, limit: int
) -> Candidates:
    scores = logits.to(torch.float32).sigmoid().permute(1, 2, 0).flatten()
    kept = (scores > min_score).nonzero()[:, 0]
    kept = kept[scores[kept].sort(descending=True).indices[:limit]]
    cells = kept.div(len(logits), rounding_mode="floor")
    width = logits.shape[-1]
    points = torch.stack((cells % width, cells.div(width, rounding_mode="floor")), 1) * stride
    points = points.to(torch.float32)
    left_top, right_bottom = distances.to(torch.float32).flatten(1).T[cells].split(2, 1)
    return Candidates(
        scores[kept],
        kept % len(logits),
        torch.cat((points - left_top, points + right_bottom), 1),
        torch.cat((points, torch.full_like(points[:, :1], stride)), 1),
        kernels.flatten(1).T[cells],
    )


def suppress(
    boxes_xyxy: Tensor,
    scores: Tensor,
    classes: Tensor,
    *,
    max_iou: float = 0.6,
    limit: int | None = 100,
) -> Tensor:
    """Return the indices of boxes, best first, that overlap no better one of their class by more
    than `max_iou`.

    `max_iou` is compared in float32, as the published program does.
    """
    from torchvision.ops import batched_nms

    threshold = float(torch.tensor(max_iou, dtype=torch.float32))
    return batched_nms(boxes_xyxy, scores, classes, threshold)[:limit]


def with_area(boxes_xyxy: Tensor) -> Tensor:
    """Return the indices of the boxes that have a width and a height."""
    return (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(1).nonzero()[:, 0]


class FoundInstances(Found[Candidates]):
    """What was found in one picture; `prototypes` are P×H/8×W/8."""

    def mask(self, index: int) -> Tensor:
        one = self.candidates[index : index + 1]
        logits = mask_logits(self.prototypes, one.priors, one.kernels)[None]
        return F.interpolate(logits, size=self.size_hw, mode="bilinear", align_corners=False)[0, 0]

    def to_alpha(self, mask: Tensor) -> Tensor:
        return mask.sigmoid_()
