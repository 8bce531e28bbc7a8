"""Every instance brings the weights of its own small network of 1×1 convolutions.

CondInst (Z. Tian, C. Shen, H. Chen, arXiv:2003.05664), section 3.2: three layers, the first two
with ReLU, over the prototypes and the coordinates relative to the instance's point.
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor

from .head import STRIDES

_STRIDE = STRIDES[0]
# what the sum of 16-bit weights may come to before a sigmoid, without overflow on the way
_HALF_LIMIT = 8192.0


def hidden_channels(kernel_length: int, prototypes: int) -> int:
    """Width c of the small network: (p + 2)·c + c² + c weights and c + c + 1 biases."""
    for channels in range(1, isqrt(kernel_length) + 1):
        if channels * (prototypes + 2 + channels + 3) + 1 == kernel_length:
            return channels
    raise ValueError(f"{kernel_length} weights per mask do not fit {prototypes} prototypes")


def split_kernels(kernels: Tensor, prototypes: int) -> tuple[list[Tensor], list[Tensor]]:
    """N×K → weights N×out×in and biases N×out×1 of the three layers."""
    count, length = kernels.shape
    width = hidden_channels(length, prototypes)
    shapes = [(width, prototypes + 2), (width, width), (1, width)]
    sizes = [out * channels for out, channels in shapes] + [out for out, _ in shapes]
    parts = kernels.split(sizes, dim=1)
    weights = [part.reshape(count, *shape) for part, shape in zip(parts, shapes, strict=False)]
    return weights, [part[..., None] for part in parts[len(shapes) :]]


def mask_logits(prototypes: Tensor, priors: Tensor, kernels: Tensor) -> Tensor:
    """P×h×w, N×3 (x, y, stride in pixels of the input), N×K → N×h×w, float32.

    Cell (x, y) of the map lies at pixel (8x, 8y) of the input.
    """
    height, width = prototypes.shape[-2:]
    maps = prototypes.to(torch.float32).flatten(1)
    weights, biases = split_kernels(kernels.to(torch.float32), len(maps))
    relative = _relative_coordinates(priors.to(torch.float32), height, width)
    x = torch.cat((relative, maps.expand(len(priors), -1, -1)), 1)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = torch.baddbmm(bias, weight, x)
        x = x.relu_() if index < len(weights) - 1 else x
    if kernels.dtype == torch.float16:
        x = x.clamp(-_HALF_LIMIT, _HALF_LIMIT)
    return x.reshape(len(priors), height, width)


def _relative_coordinates(priors: Tensor, height: int, width: int) -> Tensor:
    """(point − cell) / (8·stride): N×2×hw, x first."""
    down = torch.arange(height, device=priors.device) * _STRIDE
    across = torch.arange(width, device=priors.device) * _STRIDE
    cells = torch.stack((across.repeat(height), down.repeat_interleave(width)))
    return (priors[:, :2, None] - cells) / (priors[:, 2:, None] * _STRIDE)
