"""The one room that knows layouts: PIL, numpy, ComfyUI, files, colour order, bit depth.

Inside of the core an image is float32 RGB in [0, 1], B×3×H×W; alpha is B×1×H×W, straight. Pictures
are read here and nowhere else. Whatever their files hold, they are read, or BadInput says why not.

Names are imported when they are first used, so that the endings of pictures are known without
torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazily import lazily

if TYPE_CHECKING:
    from .formats import animated_suffixes, picture_suffixes
    from .layouts import (
        channels_first,
        channels_last,
        from_array,
        from_comfy,
        from_layer,
        from_levels,
        from_rgba,
        join_layers,
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
        whole_levels,
    )
    from .opening import PixelSource
    from .picture import Metadata, Picture
    from .reading import from_pil, read, read_frames, size_hw_of, verify

__all__ = [
    "Metadata",
    "Picture",
    "PixelSource",
    "animated_suffixes",
    "channels_first",
    "channels_last",
    "from_array",
    "from_comfy",
    "from_layer",
    "from_levels",
    "from_pil",
    "from_rgba",
    "join_layers",
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
    "whole_levels",
]

_HOMES = {
    "formats": (
        "animated_suffixes",
        "picture_suffixes",
    ),
    "layouts": (
        "channels_first",
        "channels_last",
        "whole_levels",
        "from_array",
        "from_comfy",
        "from_layer",
        "from_levels",
        "from_rgba",
        "join_layers",
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


__getattr__ = lazily(__name__, _HOMES)
