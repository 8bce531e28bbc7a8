"""Losses on alpha, each a function of logits and truth, B×1×H×W."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mse(logits: Tensor, alpha: Tensor) -> Tensor:
    """Mean squared error of alpha (the U-Net paper's loss)."""
    return F.mse_loss(logits.sigmoid(), alpha)


def bce(logits: Tensor, alpha: Tensor) -> Tensor:
    """Binary cross-entropy against a soft target."""
    return F.binary_cross_entropy_with_logits(logits, alpha)


def edge_l1(logits: Tensor, alpha: Tensor, radius_px: int = 3, gain: float = 4.0) -> Tensor:
    """Mean |Δα|, weighted 1 + gain·(local range of the true alpha within `radius_px`)."""
    weight = 1 + gain * (_highest(alpha, radius_px) + _highest(-alpha, radius_px))
    return (weight * (logits.sigmoid() - alpha).abs()).sum() / weight.sum()


def _highest(x: Tensor, radius_px: int) -> Tensor:
    """Maximum over a square window, one axis after the other."""
    window = 2 * radius_px + 1
    x = F.max_pool2d(x, (window, 1), 1, (radius_px, 0))
    return F.max_pool2d(x, (1, window), 1, (0, radius_px))


def soft_iou(logits: Tensor, alpha: Tensor) -> Tensor:
    """1 − Σ(p·α) / Σ(p + α − p·α), per picture, then the mean."""
    prediction = logits.sigmoid()
    both = (prediction * alpha).sum((1, 2, 3))
    either = (prediction + alpha - prediction * alpha).sum((1, 2, 3))
    return (1 - both / either.clamp_min(1e-6)).mean()


def weighted_sum(logits: Tensor, alpha: Tensor, weights: dict[str, float]) -> Tensor:
    """Σ weight·loss over the losses named in `weights`; zero weights cost nothing."""
    terms = {"mse": mse, "edge_l1": edge_l1, "bce": bce, "iou": soft_iou}
    parts = [w * terms[name](logits, alpha) for name, w in weights.items() if w]
    return torch.stack(parts).sum()
