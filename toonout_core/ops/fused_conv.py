"""A convolution and the ReLU6 after it in one step, where PyTorch can do so.

oneDNN computes both while the values are in the processor, by an op of PyTorch that is private
(`torch.compile` uses it). So it is tried before use; where it is missing or wrong, one step follows
the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .autocast import autocasts

Steps = tuple[int, ...]


def conv_relu6(
    x: Tensor, weight: Tensor, bias: Tensor, stride: Steps, padding: str | Steps, groups: int
) -> Tensor:
    """Return min(max(conv(x), 0), 6) for x B×C×H×W; `padding` as in torch.nn.Conv2d."""
    if not isinstance(padding, str) and _may_fuse(x, weight, bias) and not fault():
        return _fused(x, weight, bias, stride, padding, groups)
    return F.relu6(F.conv2d(x, weight, bias, stride, padding, groups=groups), inplace=True)


def _may_fuse(*tensors: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and not autocasts("cpu")
        and all(one.device.type == "cpu" and one.dtype == torch.float32 for one in tensors)
        and tensors[0].numel() > 0
    )


def _fused(
    x: Tensor, weight: Tensor, bias: Tensor, stride: Steps, padding: Steps, groups: int
) -> Tensor:
    op: Any = torch.ops.mkldnn._convolution_pointwise
    return op(
        x, weight, bias, [*padding], [*stride], [1, 1], groups, "hardtanh", [0.0, 6.0], ""
    )  # fmt: skip


@cache
@torch.inference_mode()
def fault() -> str:
    """Say why the op cannot be used; nothing if it gives what two steps give."""
    chance = torch.Generator().manual_seed(5)
    x, bias = (10 * torch.randn(*size, generator=chance) for size in ((2, 8, 9, 7), (8,)))
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        for kernel, groups, stride in ((1, 1, 1), (3, 1, 1), (3, 8, 2), (5, 8, 1)):
            weight = torch.randn(8, 8 // groups, kernel, kernel, generator=chance)
            steps, padding = (stride, stride), (kernel // 2, kernel // 2)
            wanted = F.relu6(F.conv2d(x, weight, bias, steps, padding, groups=groups))
            got = _fused(x, weight, bias, steps, padding, groups)
            if got.shape != wanted.shape or float((got - wanted).abs().max()) > 1e-4:
                return f"it is wrong for a kernel of {kernel}"
    except (AttributeError, RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
    return ""
