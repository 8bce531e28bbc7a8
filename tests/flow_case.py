"""A picture that is itself transparent in part, and what every host must make of it.

`write_luma_model` says what the network answers: light is character, dark is not. The picture is
light in four fields of 32×32 pixels, whose own alpha is 255, 125, 128 and 0 of 255, with a dark
frame around each, so that the network sees their middles as they are.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 64
DARK = (30, 40, 50)
LIGHT = ((250, 230, 210), (210, 250, 230), (230, 210, 250), (255, 240, 220))
OWN = (255, 125, 128, 0)
MIDDLES = ((16, 16), (48, 16), (16, 48), (48, 48))  # x, y
SMALLER_ONE_COUNTS = (255, 125, 128, 0)


def picture(own_of_dark: int = 255) -> Image.Image:
    """RGBA; the dark frames are opaque, or as transparent as they are told."""
    pixels = np.empty((SIDE, SIDE, 4), np.uint8)
    pixels[:] = (*DARK, own_of_dark)
    for (x, y), colour, alpha in zip(MIDDLES, LIGHT, OWN, strict=True):
        pixels[y - 10 : y + 10, x - 10 : x + 10] = (*colour, alpha)
    return Image.fromarray(pixels)


def check(cutout: Image.Image, alphas: tuple[int, ...] = SMALLER_ONE_COUNTS) -> None:
    """Own alpha where it is the smaller one, and straight colours as they came."""
    assert cutout.mode == "RGBA"
    for place, colour, alpha in zip(MIDDLES, LIGHT, alphas, strict=True):
        *got, visible = cutout.getpixel(place)
        assert abs(visible - alpha) <= 1, f"alpha {visible} instead of {alpha} at {place}"
        if visible:
            assert np.abs(np.subtract(got, colour)).max() <= 2, f"{got} instead of {colour}"
    assert cutout.getpixel((1, 1))[3] <= 1  # dark: no character
