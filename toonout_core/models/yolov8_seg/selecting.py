"""Choose the instances among all candidates, and draw their masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..detecting import Found, Rows
from .head import Candidates

_CLASS_OFFSET_PX = 7680.0  # moves the boxes of each class out of reach of the others'


@dataclass(frozen=True)
class Selection(Rows):
    """The candidates of one picture that are left; `coefficients` N×K mix their masks."""

    coefficients: Tensor


def select(
    candidates: Candidates,
    index: int = 0,
    *,
    min_score: float = 0.25,
    max_iou: float | None = 0.7,
    limit: int | None = 300,
) -> Selection:
    """Choose from the picture `index` of the batch what scores above `min_score`, best first.

    Of candidates of one class whose boxes overlap by more than `max_iou`, the best one is kept.
    """
    scores, classes = candidates.scores[index].max(1)
    good = (scores > min_score).nonzero().squeeze(1)
    good = good[scores[good].argsort(descending=True, stable=True)]
    if max_iou is not None:
        from torchvision.ops import nms

        apart = candidates.boxes_xyxy[index, good] + classes[good, None] * _CLASS_OFFSET_PX
        good = good[nms(apart, scores[good], max_iou)]
    good = good[:limit]
    boxes, coefficients = candidates.boxes_xyxy[index, good], candidates.coefficients[index, good]
    return Selection(scores[good], classes[good], boxes, coefficients.float())


class FoundInstances(Found[Selection]):
    """What was found in one picture; `prototypes` are K×H/4×W/4."""

    def mask(self, index: int) -> Tensor:
        return masks(self.candidates[index : index + 1], self.prototypes, self.size_hw)[0, 0]

    def to_alpha(self, mask: Tensor) -> Tensor:
        return mask


def masks(selection: Selection, prototypes: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Soft masks N×1×H×W in [0, 1] of the network's input size; 0 outside of the boxes.

    `prototypes` K×h×w of that picture. Logits are enlarged, then cropped: the published program
    enlarges values between 0 and 1, whose edges are ragged.
    """
    logits = torch.einsum("nk,khw->nhw", selection.coefficients, prototypes.float())[:, None]
    logits = F.interpolate(logits, size=size_hw, mode="bilinear", align_corners=False)
    return logits.sigmoid() * inside(selection.boxes_xyxy, size_hw)


def inside(boxes_xyxy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """N×1×H×W: 1 where a pixel's index is at least the box's start and below its end."""
    left, top, right, bottom = boxes_xyxy[:, :, None, None].unbind(1)
    y = torch.arange(size_hw[0], device=boxes_xyxy.device)[:, None]
    x = torch.arange(size_hw[1], device=boxes_xyxy.device)
    within = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return within[:, None].to(boxes_xyxy)
