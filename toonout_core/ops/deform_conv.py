"""Modulated deformable convolution: the op of torchvision, and an equal one of tensor functions."""

from __future__ import annotations

import logging
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F

_log = logging.getLogger("toonout")
_without_op: set[tuple[str, torch.dtype]] = set()
_COLUMN_BYTES = 16 << 20  # of samples held at a time


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Deformable convolution v2 (Zhu et al. 2019, arXiv:1811.11168), stride 1, "same" padding.

    x: B×C×H×W. offset: B×2k²×H×W, for each tap (row by row) dy then dx, in pixels. mask: B×k²×H×W.
    weight: O×C×k×k, k odd. Samples are bilinear; outside of x there are zeros. Half precision is
    sampled in float32. Returns B×O×H×W of x's dtype.
    """
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    inputs = [tensor.to(wide) for tensor in (x, offset, mask, weight)]
    key = (x.device.type, wide)
    result = None if key in _without_op else _through_op(key, *inputs)
    if result is None:
        result = sampled_deform_conv2d(*inputs)
    result = result.to(x.dtype)
    return result if bias is None else result + bias.to(x.dtype).view(1, -1, 1, 1)


def _through_op(
    key: tuple[str, torch.dtype], x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor
) -> Tensor | None:
    """Result of the op; None where this build, device or dtype has none (asked once)."""
    try:
        from torchvision.ops import deform_conv2d as op

        padding = weight.shape[-1] // 2
        return op(x, offset, weight, padding=(padding, padding), mask=mask)
    except (ImportError, AttributeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _says_missing(error):
            raise
        _log.info("torchvision has no deform_conv2d for %s %s: %s", *key, error)
        _without_op.add(key)
        return None


def _says_missing(error: RuntimeError) -> bool:
    words = ("not implemented", "custom C++ ops", "no kernel", "not available", "not compiled")
    return isinstance(error, NotImplementedError) or any(word in str(error) for word in words)


def sampled_deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The same function without the op. Shapes as in `deform_conv2d`; one dtype."""
    height, width = x.shape[-2:]
    matrix = weight.flatten(2).transpose(0, 2).reshape(-1, weight.shape[0])
    rows = max(1, _COLUMN_BYTES // (matrix.shape[0] * width * x.element_size()))
    if torch.is_grad_enabled():
        rows = height
    pictures: list[Tensor] = []
    for picture, moves, factors in zip(x, offset, mask, strict=True):
        # One ring of zeros before, two after: samples outside are clamped to read zeros there.
        table = F.pad(picture, (1, 2, 1, 2)).flatten(1).T.contiguous()
        bands = [
            _samples(table, moves[:, band].flatten(1).T, factors[:, band].flatten(1).T, band, x)
            @ matrix
            for band in (slice(top, min(top + rows, height)) for top in range(0, height, rows))
        ]
        pictures.append(torch.cat(bands).T.unflatten(1, (height, width)))
    return torch.stack(pictures)


def _samples(table: Tensor, offset: Tensor, mask: Tensor, band: slice, x: Tensor) -> Tensor:
    """Weighted samples of the rows `band`, P pixels: table (H + 3)·(W + 3)×C, offset P×2k²,
    mask P×k² → P×k²·C.
    """
    height, width = x.shape[-2:]
    kernel = isqrt(mask.shape[1])
    taps = torch.arange(kernel, device=x.device) - kernel // 2
    pixel = torch.arange(band.start * width, band.stop * width, device=x.device).unsqueeze(1)
    row, col = pixel // width, pixel % width
    y = (offset[:, 0::2] + (row + taps.repeat_interleave(kernel))).clamp(-1, height)
    x_ = (offset[:, 1::2] + (col + taps.repeat(kernel))).clamp(-1, width)
    top, left = y.floor(), x_.floor()
    stride = width + 3
    corner = ((top + 1) * stride + (left + 1)).long().clamp(0, (height + 2) * stride - 2)
    lower = (y - top) * mask
    upper = mask - lower
    right = x_ - left
    weights = torch.stack(
        (upper - upper * right, upper * right, lower - lower * right, lower * right), -1
    )
    corners = corner.unsqueeze(-1) + corner.new_tensor([0, 1, stride, stride + 1])
    sums = F.embedding_bag(
        corners.view(-1, 4), table, per_sample_weights=weights.view(-1, 4), mode="sum"
    )
    return sums.view(len(pixel), -1)
