"""Make BatchNorm safe for half precision."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def fold_norms_(network: nn.Module) -> None:
    """Turn every BatchNorm2d into the multiplication and addition that it amounts to, in place.

    γ·(x − μ)/√(σ² + ε) + β = s·x + (β − μ·s) with s = γ/√(σ² + ε), computed in float32: a variance
    above 65504 or below 6e-8 does not survive fp16, but s does. Keys and shapes stay.
    """
    for norm in network.modules():
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight.float() * torch.rsqrt(norm.running_var.float() + norm.eps)
        shift = norm.bias.float() - norm.running_mean.float() * scale
        norm.weight.data, norm.bias.data = scale, shift
        norm.running_mean = torch.zeros_like(scale)
        norm.running_var = torch.full_like(scale, 1 - norm.eps)
