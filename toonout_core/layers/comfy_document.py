"""Convert to and from ComfyUI's LAYERS document, which its layer editor opens.

It is plain data, for which no ComfyUI is needed. Its masks are the other way round: 1 is
transparent. Source: shared facts of ComfyUI's nodes "Create Layered Image" and "Add Layer", version
1 of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import from_comfy, from_levels, mask_to_comfy, to_comfy
from .record import Layer, LayeredPicture, whole_layer

MOST_LAYERS = 50
_TEXT_PX = 200  # letters of a name


def to_document(picture: LayeredPicture) -> dict[str, Any]:
    """Convert to a document. Raises BadInput for more layers than the editor takes."""
    if len(picture.layers) > MOST_LAYERS:
        raise BadInput(
            f"ComfyUI's editor must get at most {MOST_LAYERS} layers", str(len(picture.layers))
        )
    height, width = picture.size_hw
    entries = [_entry(layer, index) for index, layer in enumerate(picture.layers)]
    return {"version": 1, "canvas": (width, height), "layers": entries}


def _entry(layer: Layer, index: int) -> dict[str, Any]:
    height, width = layer.size_hw
    return {
        "type": "raster",
        "image": to_comfy(from_levels(layer.image)),
        "mask": 1 - mask_to_comfy(from_levels(layer.alpha)),
        "name": layer.name,
        "x": layer.left_px,
        "y": layer.top_px,
        "w": width,
        "h": height,
        "rotation": 0.0,
        "opacity": layer.opacity,
        "blend_mode": "normal",
        "visible": layer.visible,
        "flip_h": False,
        "flip_v": False,
        "z_index": index,
    }


def from_document(document: Mapping[str, Any]) -> LayeredPicture:
    """Read the raster layers of a document, as they lie; turned, mirrored or scaled ones
    are refused.
    """
    entries = document.get("layers")
    if document.get("version") != 1 or not isinstance(entries, list) or not entries:
        raise BadInput("LAYERS must be version 1 and have layers", f"{document.get('version')!r}")
    ordered = sorted(entries, key=lambda entry: entry.get("z_index", 0))
    layers = tuple(_layer(entry, number) for number, entry in enumerate(ordered, 1))
    canvas = document.get("canvas") or (
        max(layer.left_px + layer.size_hw[1] for layer in layers),
        max(layer.top_px + layer.size_hw[0] for layer in layers),
    )
    return LayeredPicture((int(canvas[1]), int(canvas[0])), layers)


def _layer(entry: Mapping[str, Any], number: int) -> Layer:
    name = str(entry.get("name") or f"layer {number}")[:_TEXT_PX]
    changed = [key for key in ("rotation", "flip_h", "flip_v") if entry.get(key)]
    if entry.get("type", "raster") != "raster" or not isinstance(entry.get("image"), Tensor):
        raise BadInput(f"layer {name!r} must be of pixels", f"type {entry.get('type')!r}")
    image, alpha = from_comfy(entry["image"][:1])
    mask = entry.get("mask")
    if isinstance(mask, Tensor):
        shown = 1 - mask.reshape(1, 1, *mask.shape[-2:])
        alpha = shown if alpha is None else torch.minimum(alpha, shown)
    size = (entry.get("w", image.shape[-1]), entry.get("h", image.shape[-2]))
    if changed or size != (image.shape[-1], image.shape[-2]):
        raise BadInput(
            f"layer {name!r} must be as it was drawn",
            f"{', '.join(changed) or 'another size'}",
            "Flatten it in the editor first.",
        )
    flat = whole_layer(name, image, alpha)
    return Layer(
        name, flat.image, flat.alpha, int(entry.get("x", 0)), int(entry.get("y", 0)),
        float(entry.get("opacity", 1.0)), bool(entry.get("visible", True)),
    )  # fmt: skip
