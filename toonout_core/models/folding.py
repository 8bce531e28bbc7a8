"""Rewrite linear layers that follow one another as one, with the same result."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ops.linear import pointwise
from .winograd import conv3x3


def fold_norm(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the BatchNorm after it, which uses kept
    statistics.

    They are computed in float32 at least, as small variances do not survive half precision.
    """
    assert norm.running_var is not None and norm.running_mean is not None
    wide = torch.promote_types(weight.dtype, torch.float32)
    scale = norm.weight.to(wide) * torch.rsqrt(norm.running_var.to(wide) + norm.eps)
    shift = norm.bias.to(wide) - norm.running_mean.to(wide) * scale
    if bias is not None:
        shift = shift + bias.to(wide) * scale
    folded = weight.to(wide) * scale.view(-1, 1, 1, 1)
    return folded.to(weight.dtype), shift.to(weight.dtype)


def conv_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d, parts: Sequence[Tensor]) -> Tensor:
    """Compute norm(conv(parts, joined along the channels)) without joining them."""
    folds = not norm.training
    weight, bias = fold_norm(conv.weight, conv.bias, norm) if folds else (conv.weight, conv.bias)
    out = conv_of_parts(parts, weight, bias, conv.padding)
    return out if folds else norm(out)


def conv_with_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Compute norm(conv(x)), in one step where the norm uses kept statistics, and the weights are
    smaller than the result, so that they are quicker to scale.
    """
    pixels = x.numel() // x.shape[1] // prod(conv.stride)
    folds = not norm.training and conv.weight[0].numel() <= pixels
    weight, bias = fold_norm(conv.weight, conv.bias, norm) if folds else (conv.weight, conv.bias)
    if _is_plain(conv, 1):
        out = pointwise(x, weight, bias)
    elif _is_plain(conv, 3):
        out = conv3x3(x, weight, bias)
    else:
        out = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    return out if folds else norm(out)


def _is_plain(conv: nn.Conv2d, kernel: int) -> bool:
    """Tell whether it is a convolution of kernel×kernel that keeps the size, without groups."""
    return (
        conv.kernel_size == (kernel, kernel)
        and conv.stride == conv.dilation == (1, 1)
        and conv.padding == (kernel // 2, kernel // 2)
        and conv.groups == 1
    )


def laid_out(image: Tensor, *, training: bool) -> Tensor:
    """Return the same picture, on a CPU with the channels of a pixel together.

    Else oneDNN turns the input and output of every convolution around, which is a fifth of the time
    of an IS-Net, and `conv3x3` cannot use its tiles.
    """
    if training or image.device.type != "cpu":
        return image
    return image.contiguous(memory_format=torch.channels_last)


def conv_of_parts(
    parts: Sequence[Tensor], weight: Tensor, bias: Tensor | None, padding: str | tuple[int, ...]
) -> Tensor:
    """Compute a convolution of joined `parts` as the sum of the convolutions of each."""
    out: Tensor | None = None
    for part, piece in zip(parts, weight.split([p.shape[1] for p in parts], 1), strict=True):
        if out is None:
            out = F.conv2d(part, piece, bias, padding=padding)
        else:
            out = out + F.conv2d(part, piece, padding=padding)
    assert out is not None
    return out


def compose(
    outer: Tensor, outer_bias: Tensor | None, inner: Tensor, inner_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return O×C×k×k and bias, the kernel of a 1×1 convolution `outer` (O×M×1×1) after `inner`
    (M×C×k×k).
    """
    wide = torch.promote_types(inner.dtype, torch.float32)
    matrix = outer.to(wide).flatten(1)
    weight = torch.einsum("om,mcyx->ocyx", matrix, inner.to(wide))
    bias = matrix @ inner_bias.to(wide)
    if outer_bias is not None:
        bias = bias + outer_bias.to(wide)
    return weight.to(inner.dtype), bias.to(inner.dtype)


def conv_twice(
    x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor
) -> Tensor:
    """Compute two 3×3 convolutions with zero padding and nothing between them: 3→M→1 channels,
    B×1×H×W.

    Inside, this is one 5×5 convolution whose kernel is the full convolution of both. In the
    outermost ring the second one reads padding where the 5×5 kernel would read values, so the ring
    is made from strips three pixels wide.
    """
    kernel = F.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(0, 1)
    bias = second_bias + (second.sum((2, 3)) @ first_bias)
    out = F.conv2d(x, kernel, bias, padding=2)

    def strip(part: Tensor) -> Tensor:
        return F.conv2d(
            F.conv2d(part, first, first_bias, padding=1), second, second_bias, padding=1
        )

    out[:, :, :1] = strip(x[:, :, :3])[:, :, :1]
    out[:, :, -1:] = strip(x[:, :, -3:])[:, :, -1:]
    out[..., :1] = strip(x[..., :3])[..., :1]
    out[..., -1:] = strip(x[..., -3:])[..., -1:]
    return out
