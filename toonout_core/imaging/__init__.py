"""The one room that knows layouts: PIL, numpy, ComfyUI, files, colour order, bit depth.

Inside of the core an image is float32 RGB in [0, 1], B×3×H×W; alpha is B×1×H×W, straight. Pictures
are read here and nowhere else. Whatever their files hold, they are read, or BadInput says why not.

Names are imported when they are first used, so that the endings of pictures are known without
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .formats import animated_suffixes, picture_suffixes
    from .layouts import (
        from_array,
        from_comfy,
        from_layer,
        from_levels,
        mask_from_comfy,
        mask_to_comfy,
        reverse_colours,
        split_layer,
        to_array,
        to_comfy,
        to_layer,
        to_levels,
        to_pil,
        unit_floats,
        unit_levels,
        views_of_layers,
    )
    from .opening import PixelSource
    from .picture import Metadata, Picture
    from .reading import from_pil, read, read_frames, size_hw_of, verify

__all__ = [
    "Metadata",
    "Picture",
    "PixelSource",
    "animated_suffixes",
    "from_array",
    "from_comfy",
    "from_layer",
    "from_levels",
    "from_pil",
    "mask_from_comfy",
    "mask_to_comfy",
    "picture_suffixes",
    "read",
    "read_frames",
    "reverse_colours",
    "size_hw_of",
    "split_layer",
    "to_array",
    "to_comfy",
    "to_layer",
    "to_levels",
    "to_pil",
    "unit_floats",
    "unit_levels",
    "verify",
    "views_of_layers",
]

_HOMES = {
    "formats": (
        "animated_suffixes",
        "picture_suffixes",
    ),
    "layouts": (
        "from_array",
        "from_comfy",
        "from_layer",
        "from_levels",
        "mask_from_comfy",
        "mask_to_comfy",
        "reverse_colours",
        "split_layer",
        "to_array",
        "to_comfy",
        "to_layer",
        "to_levels",
        "to_pil",
        "unit_floats",
        "unit_levels",
        "views_of_layers",
    ),
    "opening": ("PixelSource",),
    "picture": (
        "Metadata",
        "Picture",
    ),
    "reading": (
        "from_pil",
        "read",
        "read_frames",
        "size_hw_of",
        "verify",
    ),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f".{home}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
