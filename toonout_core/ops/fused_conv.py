"""A convolution and the ReLU or ReLU6 after it in one step, where PyTorch can do so.

oneDNN computes both while the values are in the processor, by an op of PyTorch that is private
(`torch.compile` uses it). So it is tried before use; where it is missing or wrong, one step follows
the other.
"""

from __future__ import annotations

from functools import cache
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .autocast import plain_on_cpu

Steps = tuple[int, ...]


def conv_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: Steps,
    padding: str | Steps,
    groups: int,
    most: float = 6.0,
) -> Tensor:
    """Return min(max(conv(x), 0), most) for x B×C×H×W; `padding` as in torch.nn.Conv2d."""
    usable = x.numel() > 0 and plain_on_cpu(x, weight, bias) and not fault()
    if usable and not isinstance(padding, str):
        return _fused(x, weight, bias, stride, padding, groups, most)
    out = F.conv2d(x, weight, bias, stride, padding, groups=groups)
    return F.hardtanh(out, 0.0, most, inplace=True)


def _fused(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: Steps,
    padding: Steps,
    groups: int,
    most: float,
) -> Tensor:
    op: Any = torch.ops.mkldnn._convolution_pointwise
    return op(
        x, weight, bias, [*padding], [*stride], [1, 1], groups, "hardtanh", [0.0, most], ""
    )  # fmt: skip


@cache
@torch.inference_mode()
def fault() -> str:
    """Say why the op cannot be used; nothing if it gives what two steps give."""
    chance = torch.Generator().manual_seed(5)
    x, bias = (10 * torch.randn(*size, generator=chance) for size in ((2, 8, 9, 7), (8,)))
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        for kernel, groups, stride, most in (
            (1, 1, 1, 6.0), (1, 1, 1, inf), (3, 1, 1, 6.0), (3, 8, 2, 6.0), (5, 8, 1, inf)
        ):  # fmt: skip
            weight = torch.randn(8, 8 // groups, kernel, kernel, generator=chance)
            steps, padding = (stride, stride), (kernel // 2, kernel // 2)
            wanted = F.conv2d(x, weight, bias, steps, padding, groups=groups).clamp(0, most)
            got = _fused(x, weight, bias, steps, padding, groups, most)
            if got.shape != wanted.shape or float((got - wanted).abs().max()) > 1e-4:
                return f"it is wrong for a kernel of {kernel}"
    except (AttributeError, RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
    return ""
