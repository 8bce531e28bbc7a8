"""What BiRefNet is trained to make small (ToonOut 2025, arXiv:2509.06839; BiRefNet 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.birefnet import TrainingOutput
from ..losses import bce, mae, soft_iou, structure

PAIR = 2  # pictures a step and process, as published, over which the areas' loss is summed


@dataclass(frozen=True)
class LossWeights:
    """`ssim`, `mae`, `iou` and `bce` of each of the four maps; `gradient` of the gradient maps."""

    ssim: float = 10.0
    mae: float = 90.0
    iou: float = 0.25
    bce: float = 0.0
    gradient: float = 1.0


def birefnet_losses(
    output: TrainingOutput, alpha: Tensor, weights: LossWeights, *, iou_pictures: int = PAIR
) -> dict[str, Tensor]:
    """Each part times its weight; their sum is the loss. `alpha` B×1×H×W in [0, 1].

    As published the loss of areas is summed over the pictures of a batch: of two. Here it is their
    mean times `iou_pictures`, so that a larger batch, or more processes, do not shift the balance.
    """
    terms = {"ssim": structure, "mae": mae, "iou": soft_iou, "bce": bce}
    parts: dict[str, Tensor] = {name: alpha.new_zeros(()) for name in terms}
    scale = {"iou": iou_pictures}
    for logits in (*output.side_logits, output.logits):
        sized = _enlarged(logits.float(), alpha)
        for name, term in terms.items():
            if weight := getattr(weights, name) * scale.get(name, 1):
                parts[name] = parts[name] + weight * term(sized, alpha)
    if weights.gradient and output.gradient_logits:
        parts["gradient"] = weights.gradient * gradient_loss(output, alpha)
    return {name: part for name, part in parts.items() if part.requires_grad}


def gradient_loss(output: TrainingOutput, alpha: Tensor) -> Tensor:
    """Cross-entropy of the predicted gradient maps against those of the picture inside the side
    mattes, summed over levels. The side mattes, too, learn from it.
    """
    pairs = zip(output.gradient_logits, output.gradient_labels, strict=True)
    return torch.stack(
        [bce(_enlarged(logits.float(), alpha), label.float().sigmoid()) for logits, label in pairs]
    ).sum()


def _enlarged(logits: Tensor, alpha: Tensor) -> Tensor:
    if logits.shape[-2:] == alpha.shape[-2:]:
        return logits
    size_hw = (int(alpha.shape[-2]), int(alpha.shape[-1]))
    return F.interpolate(logits, size_hw, mode="bilinear", align_corners=True)
