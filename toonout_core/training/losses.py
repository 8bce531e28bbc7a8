"""Losses on alpha, each a function of logits and truth, B×1×H×W."""

from __future__ import annotations

from math import exp

import torch
from torch import Tensor
from torch.nn import functional as F

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def mse(logits: Tensor, alpha: Tensor) -> Tensor:
    """Mean squared error of alpha (the U-Net paper's loss)."""
    return F.mse_loss(logits.sigmoid(), alpha)


def mae(logits: Tensor, alpha: Tensor) -> Tensor:
    """Mean absolute error of alpha."""
    return (logits.sigmoid() - alpha).abs().mean()


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


def solidity(logits: Tensor, alpha: Tensor, radius_px: int = 8, margin: float = 4.6) -> Tensor:
    """How far logits are from opaque (`margin`, alpha 0.99) inside of figures and from empty
    (-`margin`) outside, more than `radius_px` away from all other pixels; mean over those.

    Cross-entropy hardly moves what is nearly right, and leaves bodies of glass and a haze.
    """
    inside = _highest(-alpha, radius_px) <= -1
    outside = _highest(alpha, radius_px) <= 0
    missing = inside * F.relu(margin - logits) + outside * F.relu(margin + logits)
    return missing.sum() / (inside.sum() + outside.sum()).clamp_min(1)


def soft_iou(logits: Tensor, alpha: Tensor) -> Tensor:
    """1 − Σ(p·α) / Σ(p + α − p·α), per picture, then the mean."""
    prediction = logits.sigmoid()
    both = (prediction * alpha).sum((1, 2, 3))
    either = (prediction + alpha - prediction * alpha).sum((1, 2, 3))
    return (1 - both / either.clamp_min(1e-6)).mean()


def slope(logits: Tensor, alpha: Tensor) -> Tensor:
    """Mean error of the differences between neighbours, both ways: edges as narrow as they are."""
    found = logits.sigmoid()
    errors = [(found.diff(dim=axis) - alpha.diff(dim=axis)).abs().mean() for axis in (2, 3)]
    return torch.stack(errors).sum()


def structure(logits: Tensor, alpha: Tensor) -> Tensor:
    """(1 − SSIM) / 2, SSIM (Wang et al. 2004) as the mean over a map of the alphas' own size.

    Windows are Gaussian, 11×11, σ = 1.5, and see zeros beside the picture.
    """
    prediction = logits.sigmoid()
    planes = torch.cat(
        (prediction, alpha, prediction * prediction, alpha * alpha, prediction * alpha)
    )
    mean_p, mean_a, square_p, square_a, product = _gaussian_mean(planes).chunk(5)
    variance_p, variance_a = square_p - mean_p * mean_p, square_a - mean_a * mean_a
    covariance = product - mean_p * mean_a
    likeness = (2 * mean_p * mean_a + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    likeness = likeness / (
        (mean_p * mean_p + mean_a * mean_a + _SSIM_C1) * (variance_p + variance_a + _SSIM_C2)
    )
    return (1 - likeness.mean()) / 2


def _gaussian_mean(x: Tensor) -> Tensor:
    middle = _SSIM_WINDOW // 2
    weights = [exp(-((i - middle) ** 2) / (2 * _SSIM_SIGMA**2)) for i in range(_SSIM_WINDOW)]
    kernel = x.new_tensor(weights) / sum(weights)
    x = F.conv2d(x, kernel.view(1, 1, -1, 1), padding=(middle, 0))
    return F.conv2d(x, kernel.view(1, 1, 1, -1), padding=(0, middle))


def weighted_parts(logits: Tensor, alpha: Tensor, weights: dict[str, float]) -> dict[str, Tensor]:
    """weight·loss of every loss named in `weights`; those of no weight are left out."""
    terms = {
        "mse": mse,
        "mae": mae,
        "edge_l1": edge_l1,
        "slope": slope,
        "bce": bce,
        "iou": soft_iou,
        "solid": solidity,
        "ssim": structure,
    }
    return {name: w * terms[name](logits, alpha) for name, w in weights.items() if w}
