"""Decide which cell of a detector must find which instance: RTMDet's soft label assignment.

C. Lyu and others, RTMDet, arXiv:2212.07784, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

_CANDIDATES = 13  # best IoUs that vote for the number of cells per instance
_IOU_WEIGHT = 3.0
_RADIUS = 3.0  # strides around an instance's centre within which the distance costs less than 1


@dataclass(frozen=True)
class TrueInstances:
    """The instances of one picture, G rows of every field, in pixels of the network's input.

    `boxes_xyxy` G×4 float32; `masks` G×H×W bool; `classes` G int64; `mask_known` G bool: False
    where the box is true and the mask is not to be learnt from.
    """

    boxes_xyxy: Tensor
    masks: Tensor
    classes: Tensor
    mask_known: Tensor

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def to(self, device: torch.device) -> TrueInstances:
        """Return the same on a device."""
        parts = (self.boxes_xyxy, self.masks, self.classes, self.mask_known)
        return TrueInstances(*(part.to(device) for part in parts))


@dataclass(frozen=True)
class Assignment:
    """`cells` P int64, ascending; `instances` P int64, which they must find; `ious` P."""

    cells: Tensor
    instances: Tensor
    ious: Tensor


@torch.no_grad()
def assign(logits: Tensor, boxes_xyxy: Tensor, priors: Tensor, truth: TrueInstances) -> Assignment:
    """Choose the cells of one picture that must find an instance; each cell finds one.

    `logits` N×classes and `boxes_xyxy` N×4 as predicted; `priors` N×3: x, y, stride of the cells.
    An instance takes the cheapest cells inside of any box. Their number is the sum of its best
    IoUs.
    """
    inside = _inside(priors, truth.boxes_xyxy)
    if not len(inside):
        return Assignment(inside, inside, priors.new_zeros(0))
    ious = box_iou(boxes_xyxy[inside].float(), truth.boxes_xyxy)
    cost = (
        _class_cost(logits[inside].float(), ious, truth.classes)
        - _IOU_WEIGHT * (ious + 1e-7).log()
        + _distance_cost(priors[inside], truth)
    )
    taken = _cheapest(cost, ious)
    rows = taken.any(1).nonzero()[:, 0]
    instances = cost[rows].masked_fill(~taken[rows], torch.inf).argmin(1)
    shared = taken[rows].sum(1) > 1
    instances = torch.where(shared, cost[rows].argmin(1), instances)
    return Assignment(inside[rows], instances, ious[rows, instances])


def centres_of_mass(masks: Tensor) -> Tensor:
    """G×H×W → G×2, x first; (0, 0) of an empty mask."""
    height, width = masks.shape[-2:]
    down = torch.arange(height, device=masks.device, dtype=torch.float32)
    across = torch.arange(width, device=masks.device, dtype=torch.float32)
    rows, columns = masks.sum(2).float(), masks.sum(1).float()
    area = rows.sum(1).clamp_min(1)
    return torch.stack(((columns * across).sum(1) / area, (rows * down).sum(1) / area), 1)


def _inside(priors: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """Indices of the cells whose point lies strictly inside of at least one box."""
    points = priors[:, None, :2]
    in_box = (points > boxes_xyxy[:, :2]).all(2) & (points < boxes_xyxy[:, 2:]).all(2)
    return in_box.any(1).nonzero()[:, 0]


def _class_cost(logits: Tensor, ious: Tensor, classes: Tensor) -> Tensor:
    """Quality focal loss of every cell, were it to find every instance: N×G, summed over classes.

    The soft label is the IoU for the instance's class and 0 for the others.
    """
    labels = F.one_hot(classes, logits.shape[1]).float() * ious[..., None]
    logits = logits[:, None].expand_as(labels)
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (loss * (labels - logits.sigmoid()).square()).sum(2)


def _distance_cost(priors: Tensor, truth: TrueInstances) -> Tensor:
    """10^(d − 3), d the strides from the cell's point to the mask's centre of mass: N×G."""
    away = priors[:, None, :2] - centres_of_mass(truth.masks)
    return 10 ** (away.square().sum(2).sqrt() / priors[:, 2:] - _RADIUS)


def _cheapest(cost: Tensor, ious: Tensor) -> Tensor:
    """N×G bool: the cells that each instance takes, at least one."""
    best = ious.topk(min(_CANDIDATES, len(ious)), dim=0).values
    counts = best.sum(0).int().clamp_min(1).tolist()
    taken = torch.zeros_like(cost, dtype=torch.bool)
    for instance, count in enumerate(counts):
        cells = cost[:, instance].topk(count, largest=False).indices
        taken[cells, instance] = True
    return taken
