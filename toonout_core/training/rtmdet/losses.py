"""What RTMDet-Ins is trained to make small: scores, boxes and masks of the assigned cells.

C. Lyu and others, RTMDet, arXiv:2212.07784; weights 1, 2, 2 as in arXiv:2312.01943, eq. 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from ...models.rtmdet_ins.dynamic_masks import mask_logits
from ...models.rtmdet_ins.head import STRIDES, RawDetections
from .assignment import Assignment, TrueInstances, assign

_DICE_EPS = 5e-6


@dataclass(frozen=True)
class InstanceLossWeights:
    """Of scores, boxes and masks; `mask_stride`: pixels of the input per pixel of their masks."""

    score: float = 1.0
    box: float = 2.0
    mask: float = 2.0
    mask_stride: int = 2


@dataclass(frozen=True)
class Cells:
    """All cells of a batch, levels joined: `logits` B×N×classes, `boxes_xyxy` B×N×4, unclamped,
    `kernels` B×N×K, float32; `priors` N×3: x, y, stride.
    """

    logits: Tensor
    boxes_xyxy: Tensor
    kernels: Tensor
    priors: Tensor


def join_levels(raw: RawDetections) -> Cells:
    """Cells of all strides in one row, finest first, each level row by row."""

    def joined(levels: Sequence[Tensor]) -> Tensor:
        return torch.cat([level.float().flatten(2) for level in levels], 2).transpose(1, 2)

    priors = torch.cat(
        [
            _priors(int(level.shape[-2]), int(level.shape[-1]), stride, level.device)
            for level, stride in zip(raw.logits, STRIDES, strict=True)
        ]
    )
    left_top, right_bottom = joined(raw.distances).split(2, 2)
    boxes = torch.cat((priors[:, :2] - left_top, priors[:, :2] + right_bottom), 2)
    return Cells(joined(raw.logits), boxes, joined(raw.kernels), priors)


def _priors(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    down = torch.arange(height, device=device).repeat_interleave(width) * stride
    across = torch.arange(width, device=device).repeat(height) * stride
    return torch.stack((across, down, torch.full_like(down, stride)), 1).float()


def instance_losses(
    raw: RawDetections,
    truths: Sequence[TrueInstances],
    weights: InstanceLossWeights,
    mean: Callable[[Tensor], Tensor] = lambda values: values,
) -> dict[str, Tensor]:
    """`score`, `box` and `mask`, each times its weight; their sum is the loss.

    Scores and boxes are divided by the sum of the assigned IoUs, masks by their number (both at
    least 1), over the batch. `mean` of these over processes that share their gradients makes them
    equal to those of one process with the joined batch. Call it outside of autocast: it computes in
    float32.
    """
    cells = join_levels(raw)
    assigned = [
        assign(cells.logits[i], cells.boxes_xyxy[i], cells.priors, truth)
        for i, truth in enumerate(truths)
    ]
    quality = torch.cat([one.ious for one in assigned]).sum()
    score, box = cell_losses(cells, truths, assigned)
    mask = _mask_losses(cells, raw.prototypes, truths, assigned, weights.mask_stride)
    quality, count = mean(torch.stack((quality, quality.new_tensor(len(mask))))).clamp_min(1)
    return {
        "score": weights.score * score.sum() / quality,
        "box": weights.box * box.sum() / quality,
        "mask": weights.mask * mask.sum() / count,
    }


def cell_losses(
    cells: Cells, truths: Sequence[TrueInstances], assigned: Sequence[Assignment]
) -> tuple[Tensor, Tensor]:
    """Quality focal loss of the scores and IoU·(1 − GIoU) of the boxes, both B×N."""
    labels = torch.zeros_like(cells.logits)
    box = torch.zeros_like(cells.logits[..., 0])
    for i, (truth, one) in enumerate(zip(truths, assigned, strict=True)):
        labels[i, one.cells, truth.classes[one.instances]] = one.ious
        target = truth.boxes_xyxy[one.instances]
        losses = generalized_box_iou_loss(cells.boxes_xyxy[i, one.cells], target)
        box[i] = box[i].index_put((one.cells,), one.ious * losses)
    return quality_focal(cells.logits, labels).sum(2), box


def quality_focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy against soft labels times |label − p|², elementwise (arXiv:2006.04388)."""
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return loss * (labels - logits.sigmoid()).square()


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """1 − 2·Σ(p·m) / (Σp² + Σm²) of each mask, N×h×w → N (V-Net, arXiv:1606.04797)."""
    probabilities, masks = logits.sigmoid().flatten(1), masks.float().flatten(1)
    both = (probabilities * masks).sum(1)
    squares = probabilities.square().sum(1) + masks.square().sum(1)
    return 1 - 2 * both / (squares + 2 * _DICE_EPS)


def _mask_losses(
    cells: Cells,
    prototypes: Tensor,
    truths: Sequence[TrueInstances],
    assigned: Sequence[Assignment],
    stride: int,
) -> Tensor:
    """Dice losses of the assigned cells whose mask is known."""
    losses = []
    for i, (truth, one) in enumerate(zip(truths, assigned, strict=True)):
        known = truth.mask_known[one.instances]
        chosen = one.cells[known]
        masks = truth.masks[:, stride // 2 :: stride, stride // 2 :: stride]
        logits = mask_logits(prototypes[i], cells.priors[chosen], cells.kernels[i, chosen])
        size_hw = (int(masks.shape[-2]), int(masks.shape[-1]))
        larger = F.interpolate(logits[:, None], size_hw, mode="bilinear", align_corners=False)
        losses.append(dice(larger[:, 0], masks[one.instances[known]]))
    return torch.cat(losses)
