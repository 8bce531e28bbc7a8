"""What the refiner of masks is trained to make small, and the network that teaches it.

Intermediate supervision: X. Qin and others, arXiv:2203.03041, section 4. The loss of maps, aware
of each pixel's surroundings: J. Wei and others, F3Net, arXiv:1911.11445, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

FINEST_WEIGHT = 5.0  # of the finest map, as in the published program
_WINDOW_PX = 15
_GAIN = 5.0


def pixel_position_aware(logits: Tensor, mask: Tensor) -> Tensor:
    """Weighted cross-entropy + 1 − weighted IoU, per picture, then the mean. B×1×H×W, both.

    A pixel weighs 1 + 5·|mean of the mask within 15×15, zeros outside − mask|; the IoU's sums are
    increased by 1.
    """
    mean = F.avg_pool2d(mask, _WINDOW_PX, stride=1, padding=_WINDOW_PX // 2)
    weight = 1 + _GAIN * (mean - mask).abs()
    entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    entropy = (weight * entropy).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    prediction = logits.sigmoid()
    both = (weight * prediction * mask).sum((1, 2, 3))
    total = (weight * (prediction + mask)).sum((1, 2, 3))
    return (entropy + 1 - (both + 1) / (total - both + 1)).mean()


def side_loss(
    side_logits: Sequence[Tensor], mask: Tensor, *, finest_weight: float = FINEST_WEIGHT
) -> Tensor:
    """Sum over the side maps, finest first, of which the first weighs `finest_weight`.

    The network that encodes true masks is trained with `finest_weight` 1.
    """
    parts = [pixel_position_aware(logits, _sized(mask, logits)) for logits in side_logits]
    return finest_weight * parts[0] + torch.stack(parts[1:]).sum()


def feature_loss(features: Sequence[Tensor], true_features: Sequence[Tensor]) -> Tensor:
    """Sum over the levels of the mean squared distance to what the true mask is encoded as.

    No gradient flows into `true_features`.
    """
    pairs = zip(features, true_features, strict=True)
    return torch.stack([F.mse_loss(ours, theirs.detach()) for ours, theirs in pairs]).sum()


def _sized(mask: Tensor, like: Tensor) -> Tensor:
    size_hw = (int(like.shape[-2]), int(like.shape[-1]))
    if mask.shape[-2:] == size_hw:
        return mask
    return F.interpolate(mask, size_hw, mode="bilinear", align_corners=True)
