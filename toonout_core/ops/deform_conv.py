"""Modulated deformable convolution: torchvision's op, and an equal one made of tensor functions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from .linear import Activation, linear

_log = logging.getLogger("toonout")
_missing: set[tuple[str, str, torch.dtype]] = set()  # (function, device type, dtype)
_SAMPLE_BYTES = 12 << 20  # held at a time by the sampled form: much of it stays in the cache
_OP_SAMPLE_BYTES = 128 << 20  # by the op


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute deformable convolution v2 (Zhu et al. 2019, arXiv:1811.11168), stride 1, "same"
    padding.

    x: B×C×H×W. offset: B×2k²×H×W, for each tap (row by row) dy then dx, in pixels. mask: B×k²×H×W.
    weight: O×C×k×k, k odd. Samples are bilinear; outside of x there are zeros. Half precision is
    sampled in float32. Returns B×O×H×W of x's dtype.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    source, offset, mask = x.to(wide), offset.to(wide), mask.to(wide)
    kernel, shift = weight.to(wide), None if bias is None else bias.to(wide)
    result = None
    if _prefers_op(x):
        args = (source, offset, mask, kernel, shift)
        result = _unless_missing("deform_conv2d", x.device, wide, _op, *args)
    if result is None:
        if x.dtype == torch.bfloat16:  # which CPUs multiply fast, unlike float16
            kernel, shift = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        result = sampled_deform_conv2d(source, offset, mask, kernel, shift)
    return result.to(x.dtype)


def _prefers_op(x: Tensor) -> bool:
    """Tell whether to ask for the op: in training, and on accelerators.

    On a CPU the sampled form takes a third of the op's time (64 channels, 7×7 taps, AVX-512).
    """
    return torch.is_grad_enabled() or x.device.type != "cpu"


def _op(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Call the op so that it takes little memory, as it buffers k²·C samples for each pixel.

    Where nothing is kept for training, it gets single pictures, and these in bands of rows.
    """
    from torchvision.ops import deform_conv2d as op

    kernel, height = weight.shape[-1], x.shape[-2]
    across = kernel // 2
    dilation = 0 if torch.is_grad_enabled() else _band_dilation(x, kernel)
    if dilation == 0:
        return op(x, offset, weight, bias, padding=(across, across), mask=mask)
    # The op has no bands. But a convolution without padding, whose taps lie `dilation` rows apart,
    # has only H − (k − 1)·dilation rows, and each of them may sample all of x: the offsets, moved,
    # lead every tap back to where it belongs.
    rows = height - (kernel - 1) * dilation
    out = x.new_empty(len(x), len(weight), *x.shape[-2:])
    for index in range(len(x)):
        for start in range(0, height, rows):
            top = min(start, height - rows)  # the last band overlaps the one before
            part = (slice(index, index + 1), slice(None), slice(top, top + rows))
            moved = _moved(offset[part], top, dilation)
            steps = {"padding": (0, across), "dilation": (dilation, 1)}
            out[part] = op(x[part[:1]], moved, weight, bias, mask=mask[part].contiguous(), **steps)
    return out


def _band_dilation(x: Tensor, kernel: int) -> int:
    """Return how far apart a kernel's rows must be for bands of x to fit into the memory.

    An unpadded convolution of x then has H − (k − 1)·dilation rows. 0: all rows fit in one go.
    """
    channels, height, width = x.shape[1:]
    bytes_per_row = kernel * kernel * channels * width * x.element_size()
    wanted = max(_OP_SAMPLE_BYTES // bytes_per_row, 1)
    return 0 if kernel == 1 else max(height - wanted, 0) // (kernel - 1)


def _moved(offset: Tensor, top: int, dilation: int) -> Tensor:
    """Move the offsets of rows that begin at `top` for an op that begins at row 0.

    Unpadded and dilated, it puts tap i of the kernel at row dilation·i, instead of top + i − k//2.
    """
    kernel = isqrt(offset.shape[1] // 2)
    taps = torch.arange(kernel, device=offset.device, dtype=offset.dtype)
    shift = top - kernel // 2 + taps * (1 - dilation)
    offset = offset.clone(memory_format=torch.contiguous_format)
    offset[:, 0::2] += shift.repeat_interleave(kernel).view(1, -1, 1, 1)
    return offset


def _unless_missing(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    function: Callable[..., Tensor],
    *args: Tensor | None,
) -> Tensor | None:
    """Return what `function` gives; None where this build, device or dtype lacks it,
    which is noted.
    """
    key = (name, device.type, dtype)
    if key in _missing:
        return None
    try:
        return function(*args)
    except (ImportError, AttributeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _says_missing(error):
            raise
        _log.info("no %s on %s for %s: %s", *key, error)
        _missing.add(key)
        return None


def _says_missing(error: RuntimeError) -> bool:
    words = ("not implemented", "custom C++ ops", "no kernel", "not available", "not compiled")
    return isinstance(error, NotImplementedError) or any(word in str(error) for word in words)


def sampled_deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute the same without the op, in bands of rows. Shapes are as in `deform_conv2d`.

    The result has the dtype of `weight`, in which the samples are multiplied.
    """
    height, width = x.shape[-2:]
    products = [product for _, _, product in products_by_bands(x, offset, mask, weight, bias)]
    return torch.cat(products).view(len(x), height * width, -1).mT.unflatten(2, (height, width))


def products_by_bands(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: Activation = "none",
) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield the deformable convolution of some rows after the other, as (picture, pixels, P×O).

    Shapes as in `deform_conv2d`; pixels are counted row by row. The whole is never held.
    """
    height, width = x.shape[-2:]
    matrix = weight.flatten(2).transpose(1, 2).flatten(1)
    rows = max(1, _SAMPLE_BYTES // (matrix.shape[1] * width * x.element_size()))
    if torch.is_grad_enabled():
        rows = height
    bands = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    for index, (picture, moves, factors) in enumerate(zip(x, offset, mask, strict=True)):
        # One ring of zeros before, two after: samples outside are clamped to read zeros there.
        table = F.pad(picture, (1, 2, 1, 2)).flatten(1).T.contiguous()
        for band in bands:
            field = (moves[:, band].flatten(1).T, factors[:, band].flatten(1).T)
            samples = _samples(table, *field, band, x)
            product = linear(samples.to(weight.dtype), matrix, bias, activation)
            yield index, slice(band.start * width, band.stop * width), product


def _samples(table: Tensor, offset: Tensor, mask: Tensor, band: slice, like: Tensor) -> Tensor:
    """Return the weighted samples for the rows `band` of a map of the size of `like`, which are P
    pixels.

    table: (H + 3)·(W + 3)×C. offset: P×2k². mask: P×k². Returns P×k²·C.
    """
    height, width = like.shape[-2:]
    taps = torch.arange(isqrt(mask.shape[1]), device=mask.device)
    taps = taps - len(taps) // 2
    pixel = torch.arange(band.start * width, band.stop * width, device=mask.device).unsqueeze(1)
    y = (offset[:, 0::2] + (pixel // width + taps.repeat_interleave(len(taps)))).clamp(-1, height)
    x = (offset[:, 1::2] + (pixel % width + taps.repeat(len(taps)))).clamp(-1, width)
    top, left = y.floor(), x.floor()
    right = x - left
    # bilinear weights times the mask m: (1−dy)(1−dx)m, (1−dy)dx·m, dy(1−dx)m, dy·dx·m
    lower = (y - top) * mask
    upper = mask - lower
    weights = (upper - upper * right, upper * right, lower - lower * right, lower * right)
    stride = width + 3  # of the table, which has one column of zeros before x and two behind it
    corner = ((top + 1) * stride + (left + 1)).long().clamp(0, (height + 2) * stride - 2)
    corners = corner.unsqueeze(-1) + corner.new_tensor([0, 1, stride, stride + 1])
    sums = _weighted_rows(table, corners.reshape(-1, 4), torch.stack(weights, -1).reshape(-1, 4))
    return sums.view(len(pixel), -1)


def _weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Compute Σ_j weights[n, j] · table[rows[n, j]]: N×C, from table R×C, rows and weights N×J."""
    sums = _unless_missing("embedding_bag", table.device, table.dtype, _bags, table, rows, weights)
    return (table[rows] * weights.unsqueeze(-1)).sum(1) if sums is None else sums


def _bags(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")
