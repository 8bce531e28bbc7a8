"""Convert between layouts: PIL, numpy, ComfyUI, colour order, bit depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import BadInput
from ..words import Array

# pixels that are converted at a time: whole pictures would take several times their memory
_BAND = 2**20


# ---------------------------------------------------------------- arrays


def from_array(array: Array) -> Tensor:
    """H×W, H×W×C or B×H×W×C of uint8, uint16, bool or float → B×C×H×W float32 in [0, 1]."""
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    deep = array.dtype in (np.uint8, np.uint16)
    if not deep and not np.issubdtype(array.dtype, np.floating):
        raise BadInput("a pixel array must be uint8, uint16, bool or float", str(array.dtype))
    if array.ndim == 2:
        array = array[None, ..., None]
    elif array.ndim == 3:
        array = array[None]
    elif array.ndim != 4:
        raise BadInput("a pixel array must have 2, 3 or 4 axes", f"shape {array.shape}")
    frames, height, width, channels = array.shape
    planes = np.empty((frames, channels, height, width), np.float32)
    for channel in range(channels):  # three times faster than PyTorch's copy of a permuted tensor
        if deep:
            levels = np.float32(np.iinfo(array.dtype).max)
            np.divide(array[..., channel], levels, out=planes[:, channel], dtype=np.float32)
        else:
            planes[:, channel] = array[..., channel]
    return torch.from_numpy(planes)


def to_array(image: Tensor, bits: int = 8, alpha: Tensor | None = None) -> Array:
    """B×C×H×W in [0, 1] → B×H×W×C, rounded to nearest; `bits` 8 → uint8, 16 → uint16.

    `alpha` B×1×H×W becomes one more channel.
    """
    if bits not in (8, 16):
        raise BadInput("bits must be 8 or 16", str(bits))
    levels = 2**bits - 1
    frames, channels, height, width = image.shape
    dtype = np.uint8 if bits == 8 else np.uint16
    array = np.empty((frames, height, width, channels + (alpha is not None)), dtype)
    for rows in bands(height, frames * width):
        parts = [image[:, :, rows], *([] if alpha is None else [alpha[:, :, rows].to(image)])]
        for first, part in zip((0, channels), parts, strict=False):
            scaled = part.detach().to(torch.float32).clamp(0, 1).mul(levels).round().cpu()
            chosen = slice(first, first + part.shape[1])
            array[:, rows, :, chosen] = scaled.permute(0, 2, 3, 1).numpy()
    return array


def bands(height: int, row_px: int) -> Iterator[slice]:
    """Yield the rows of a picture in bands, so that work on one takes little memory beside the
    picture.
    """
    step = max(1, _BAND // max(1, row_px))
    for top in range(0, height, step):
        yield slice(top, min(height, top + step))


def to_levels(image: Tensor) -> Tensor:
    """B×C×H×W in [0, 1] → the same as uint8, rounded to nearest."""
    return image.detach().mul(255).round_().clamp_(0, 255).to(torch.uint8)


def from_levels(levels: Tensor) -> Tensor:
    """B×C×H×W of whole numbers 0 … 255 → float32 in [0, 1]."""
    return levels.to(torch.float32) / 255


def unit_levels(levels: Array) -> Array:
    """uint8 of any shape → float64 in [0, 1]."""
    return levels.astype(np.float64) / 255


def unit_floats(levels: Array) -> Array:
    """Numbers 0 … 255 of any shape and type → float32 in [0, 1]."""
    return levels.astype(np.float32) / np.float32(255)


def whole_levels(values: Array) -> Array:
    """Numbers in [0, 1] of any shape → uint8, rounded to nearest."""
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def channels_last(planes: Tensor) -> Tensor:
    """B×C×H×W → a view B×H×W×C."""
    return planes.permute(0, 2, 3, 1)


def channels_first(pixels: Tensor) -> Tensor:
    """B×H×W×C → a view B×C×H×W."""
    return pixels.permute(0, 3, 1, 2)


def reverse_colours(image: Tensor) -> Tensor:
    """Turn RGB B×3×H×W into BGR, and back."""
    return image.flip(1)


def to_layer(rgba: Array) -> Array:
    """H×W×4 uint8, straight → H×W×4 float32 in [0, 255], premultiplied, fit for resampling."""
    layer = rgba.astype(np.float32)
    layer[..., :3] *= layer[..., 3:] / np.float32(255)
    return layer


def from_layer(layer: Array) -> Array:
    """Undo `to_layer`: H×W×4 float32, premultiplied → uint8, straight; black where alpha is 0."""
    rgba = layer.copy()
    rgba[..., :3] *= np.float32(255) / np.maximum(layer[..., 3:], np.float32(1e-3))
    return rgba.round().clip(0, 255).astype(np.uint8)


def split_layer(layer: Array) -> tuple[Array, Array]:
    """Split a layer into premultiplied colours H×W×3 in [0, 255] and opacity H×W×1 in [0, 1]."""
    return layer[..., :3], layer[..., 3:] / np.float32(255)


def join_layers(front: Array, back: Array) -> Array:
    """Lay one layer over another, both H×W×4 as `to_layer` makes them."""
    return front + (1 - split_layer(front)[1]) * back


def from_rgba(layer: Array) -> tuple[Tensor, Tensor]:
    """RGBA H×W×4 float32 → colours 1×3×H×W and alpha 1×1×H×W, which share their memory."""
    from ..opencv import cv2

    planes = np.empty((4, *layer.shape[:2]), np.float32)
    # several times faster than numpy's copies of single channels
    cv2.split(layer, [planes[channel] for channel in range(4)])
    both = torch.from_numpy(planes)[None]
    return both[:, :3], both[:, 3:]


# ---------------------------------------------------------------- ComfyUI


def from_comfy(image: Tensor) -> tuple[Tensor, Tensor | None]:
    """IMAGE B×H×W×C (C = 1, 3 or 4) → picture B×3×H×W and its alpha B×1×H×W, if it has one."""
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise BadInput("IMAGE must be B×H×W×C with C 1, 3 or 4", f"shape {tuple(image.shape)}")
    planes = image.to(torch.float32).permute(0, 3, 1, 2)
    if planes.shape[1] == 1:
        planes = planes.expand(-1, 3, -1, -1)
    alpha = planes[:, 3:4] if planes.shape[1] == 4 else None
    return planes[:, :3].contiguous(), alpha


def to_comfy(image: Tensor) -> Tensor:
    """B×C×H×W → IMAGE B×H×W×C float32."""
    return image.to(torch.float32).permute(0, 2, 3, 1).contiguous()


def views_of_layers(rgba: Tensor) -> tuple[Tensor, Tensor]:
    """IMAGE B×H×W×4 → its colours B×H×W×3 and its alpha B×H×W, which share its memory."""
    return rgba[..., :3], rgba[..., 3]


def mask_from_comfy(mask: Tensor) -> Tensor:
    """MASK H×W, B×H×W, B×1×H×W or B×H×W×1 of any float type → B×1×H×W float32 in [0, 1]."""
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]
    elif mask.ndim == 4 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 3:
        raise BadInput("MASK must be H×W, B×H×W or B×1×H×W", f"shape {tuple(mask.shape)}")
    return mask.to(torch.float32).clamp(0, 1)[:, None]


def mask_to_comfy(alpha: Tensor) -> Tensor:
    """B×1×H×W → MASK B×H×W float32."""
    return alpha.to(torch.float32)[:, 0].contiguous()


# ---------------------------------------------------------------- PIL


def to_pil(image: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """First item of B×3×H×W (or B×1×H×W) → RGB (or L); with `alpha` B×1×H×W → RGBA (or LA)."""
    array = to_array(image[:1], 8, None if alpha is None else alpha[:1])[0]
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
