"""Turn a frame that Pillow has decoded into arrays: every mode, 8 and 16 bits a channel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..errors import BadInput
from .colours import check_profile, through_curve, to_rgb
from .facts import Facts
from .layouts import Array

_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_GREY = ("L", "1", "LA", "La")
_HAS_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
NO_TAGS: Mapping[int, Any] = {}
_PHOTOMETRIC, _EXTRA_SAMPLES = 262, 338  # tags of TIFF


@dataclass
class Pixels:
    """`colour` H×W×1 or H×W×3 and `alpha` H×W×1, straight, both uint8 or both uint16."""

    colour: Array
    alpha: Array | None = None


def has_alpha(picture: Image.Image) -> bool:
    """Tell whether something in it may be transparent."""
    return picture.mode in _HAS_ALPHA or "transparency" in picture.info


def without_false_transparency(picture: Image.Image) -> Image.Image:
    """Remove a text called "transparency" of a PNG: Pillow keeps texts beside its own entries."""
    found = picture.info.get("transparency")
    if found is None or isinstance(found, int | bytes | tuple):
        return picture
    picture = picture.copy()  # it may be a host's
    del picture.info["transparency"]
    return picture


def is_deep(picture: Image.Image) -> bool:
    """Tell whether colours have 16 bits, of which Pillow keeps 8. The frame is not decoded yet."""
    tiles = getattr(picture, "tile", None)
    modes = str(tiles[0][3]) if tiles else ""
    return picture.mode in ("RGB", "RGBA") and ";16" in modes and "LA;16" not in modes


def pixels_of(
    picture: Image.Image,
    facts: Facts,
    name: str,
    *,
    low: Image.Image | None = None,
    tags: Mapping[int, Any] = NO_TAGS,
) -> Pixels:
    """Read the pixels of a frame. `low`: the same frame with the lower bytes of 16 bits; `tags`: of
    a TIFF.

    Raises BadInput for floating point and for more than 16 bits.
    """
    if facts.grey_alpha_16:
        both = np.ascontiguousarray(np.asarray(picture)).view(">u2").astype(np.uint16)
        pixels = Pixels(both[..., :1], both[..., 1:])
    elif picture.mode in _GREY_16:
        pixels = _grey_16(picture, name, white_is_zero=tags.get(_PHOTOMETRIC) == 0)
    elif low is not None:
        pixels = _deep(picture, low, associated=1 in _values(tags.get(_EXTRA_SAMPLES)))
    else:
        pixels = _shallow(picture, facts, name)
    curve = check_profile(facts, grey=pixels.colour.shape[-1] == 1)
    if curve is not None:
        pixels.colour = through_curve(pixels.colour, curve)
    return pixels


def _shallow(picture: Image.Image, facts: Facts, name: str) -> Pixels:
    if picture.mode == "F":
        raise BadInput(
            f"{name} must have pixels that are integers",
            "floating point pixels of unknown range",
            "Save it as 8 or 16 bit first.",
        )
    if picture.mode in ("CMYK", "LAB"):
        picture = to_rgb(picture, facts)
    if has_alpha(picture):
        array = np.asarray(picture.convert("RGBA"))
        return Pixels(array[..., : 1 if picture.mode in _GREY else 3], array[..., 3:])
    if picture.mode in _GREY:
        return Pixels(np.asarray(picture.convert("L"))[..., None])
    return Pixels(np.asarray(picture.convert("RGB")))


def _grey_16(picture: Image.Image, name: str, *, white_is_zero: bool) -> Pixels:
    grey = np.asarray(picture.convert("I"), dtype=np.int64)
    if picture.mode == "I" and (int(grey.min()) < 0 or int(grey.max()) > 65535):
        raise BadInput(
            f"{name} must have at most 16 bits a channel", "32 bits", "Save it as 16 bit first."
        )
    levels = grey.astype(np.uint16)[..., None]
    if white_is_zero:
        levels = np.uint16(65535) - levels
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        return Pixels(levels, _opaque_where(levels != transparent))
    return Pixels(levels)


def _deep(high: Image.Image, low: Image.Image, *, associated: bool) -> Pixels:
    levels = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    colour, alpha = levels[..., :3], levels[..., 3:]
    transparent = high.info.get("transparency")
    if high.mode == "RGB" and isinstance(transparent, tuple):
        visible = (colour != np.array(transparent)).any(-1, keepdims=True)
        return Pixels(colour, _opaque_where(visible))
    if high.mode == "RGB":
        return Pixels(colour)
    if associated:  # premultiplied
        share = alpha.astype(np.float32) / np.float32(65535)
        straight = colour / np.maximum(share, np.float32(1e-9))
        colour = np.where(alpha > 0, straight, 0).round().clip(0, 65535).astype(np.uint16)
    return Pixels(colour, alpha)


def _opaque_where(visible: Array) -> Array:
    return np.where(visible, np.uint16(65535), np.uint16(0))


def _values(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def split_bytes(high: Image.Image, low: Image.Image) -> None:
    """Let two pictures of one frame, not decoded yet, decode the higher and the lower bytes of 16
    bits.

    Pillow keeps the higher byte of each, so `low` is told the wrong order of bytes.
    """
    native = "LB"[sys.byteorder == "big"]

    def swapped(mode: str) -> str:
        return mode[:-1] + {"L": "B", "B": "L"}[mode[-1].replace("N", native)]

    # premultiplied colours come as they are: 8 bits are not enough to divide them
    _set_modes(high, _straight)
    _set_modes(low, lambda mode: swapped(_straight(mode)))


def _straight(mode: str) -> str:
    return mode.replace("RGBa", "RGBA")


def _set_modes(picture: Any, change: Callable[[str], str]) -> None:
    tiles: list[Any] = []
    for tile in picture.tile:
        decoder, box, offset, settings = tile
        if isinstance(settings, str):
            made = (decoder, box, offset, change(settings))
        else:
            made = (decoder, box, offset, (change(settings[0]), *settings[1:]))
        tiles.append(tile._make(made) if hasattr(tile, "_make") else made)  # older ones are plain
    picture.tile = tiles
