"""Candidates → the instances that they are of, and their masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from .head import Candidates

_CLASS_OFFSET_PX = 7680.0  # moves the boxes of each class out of reach of the others'


@dataclass(frozen=True)
class Selection:
    """N instances of one picture, best first: `boxes_xyxy` N×4 in input pixels, the rest N (×K)."""

    boxes_xyxy: Tensor
    scores: Tensor
    classes: Tensor
    coefficients: Tensor

    def __len__(self) -> int:
        return len(self.scores)


def select(
    candidates: Candidates,
    index: int = 0,
    *,
    score_threshold: float = 0.25,
    iou_threshold: float = 0.7,
    limit: int = 300,
) -> Selection:
    """The picture `index` of the batch: candidates above the score, of each heap the best one."""
    scores, classes = candidates.scores[index].max(1)
    good = (scores > score_threshold).nonzero().squeeze(1)
    good = good[scores[good].argsort(descending=True, stable=True)]
    boxes = candidates.boxes_xyxy[index, good]
    apart = boxes + classes[good, None] * _CLASS_OFFSET_PX
    kept = nms(apart, scores[good], iou_threshold)[:limit]
    good = good[kept]
    return Selection(
        boxes[kept], scores[good], classes[good], candidates.coefficients[index, good].float()
    )


def masks(
    selection: Selection,
    prototypes: Tensor,
    size_hw: tuple[int, int],
    *,
    as_published: bool = False,
) -> Tensor:
    """Soft masks N×1×H×W in [0, 1] of the network's input size; 0 outside of the boxes.

    `prototypes` K×h×w of that picture. `as_published`: the arithmetic of 2023, which crops to
    whole cells and enlarges the values between 0 and 1; else logits are enlarged, then cropped.
    """
    logits = torch.einsum("nk,khw->nhw", selection.coefficients, prototypes.float())[:, None]
    cells_hw = (int(logits.shape[-2]), int(logits.shape[-1]))
    if as_published:
        scale = torch.tensor([cells_hw[1] / size_hw[1], cells_hw[0] / size_hw[0]] * 2)
        boxes = selection.boxes_xyxy * scale.to(selection.boxes_xyxy)
        return _enlarge(logits.sigmoid() * _inside(boxes, cells_hw), size_hw)
    return _enlarge(logits, size_hw).sigmoid() * _inside(selection.boxes_xyxy, size_hw)


def _enlarge(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=False)


def _inside(boxes_xyxy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """N×1×H×W: 1 where a pixel's index is at least the box's start and below its end."""
    left, top, right, bottom = boxes_xyxy[:, :, None, None].unbind(1)
    y = torch.arange(size_hw[0], device=boxes_xyxy.device)[:, None]
    x = torch.arange(size_hw[1], device=boxes_xyxy.device)
    inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return inside[:, None].to(boxes_xyxy)
