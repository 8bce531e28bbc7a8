"""Make chroma-key frames of known foreground and alpha, to measure keying with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from ..imaging import from_array, from_layer, split_layer
from ..words import Array
from .composite import Placement, place
from .cutouts import Art
from .scenes import drawable

Generator = np.random.Generator
Screen = Literal["green", "blue", "magenta"]

_COLOURS: dict[Screen, tuple[int, int, int]] = {
    "green": (40, 190, 70),
    "blue": (30, 60, 200),
    "magenta": (215, 40, 190),
}

_WHITE = np.float32(255)


@dataclass(frozen=True)
class ScreenFrame:
    """A frame: `image` 1×3×S×S as a camera gives it; the true `foreground` 1×3×S×S and `alpha`
    1×1×S×S.
    """

    name: str
    image: Tensor
    foreground: Tensor
    alpha: Tensor


def screen_frame(
    art: Art, seed: int, index: int, size_px: int = 512, screen: Screen = "green"
) -> ScreenFrame:
    """Show a figure in front of an unevenly lit screen whose light falls on the figure's rim.

    The frame has the noise of a sensor and JPEG's halved colour resolution.
    """
    from ..opencv import cv2

    rng = np.random.default_rng((seed, index))
    weights = drawable(art)
    cutout = art.cutout(int(rng.choice(len(weights), p=weights)), size_px)
    placement = Placement(
        scale=float(rng.uniform(0.6, 0.85)), centre_xy=(float(rng.uniform(0.4, 0.6)), 0.52)
    )
    layer = place(cutout, size_px, placement)
    colours, opacity = split_layer(layer)
    light = _screen(rng, size_px, _COLOURS[screen])
    spill = _rim(opacity, 0.02 * size_px) * rng.uniform(0, 0.25)
    # light of the screen on a surface of that colour: white reflects all of it
    seen = colours + spill * light * (colours / _WHITE)
    rgb = seen + (1 - opacity) * light + rng.normal(0, rng.uniform(0.5, 3), colours.shape)
    rgb = rgb.round().clip(0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", rgb, [int(cv2.IMWRITE_JPEG_QUALITY), 92])
    if done:
        rgb = cv2.imdecode(data, cv2.IMREAD_COLOR)
    straight, _ = split_layer(from_layer(layer))
    return ScreenFrame(
        cutout.name,
        from_array(np.asarray(rgb)),
        from_array(straight),
        from_array((opacity * 255).round().clip(0, 255).astype(np.uint8)),
    )


def _screen(rng: Generator, size_px: int, colour: tuple[int, int, int]) -> Array:
    """Make a screen that is brighter at one place, and darker away from it."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    centre_x, centre_y = rng.uniform(0.2, 0.8, 2)
    fall = rng.uniform(0, 0.5) * ((x - centre_x) ** 2 + (y - centre_y) ** 2)
    base = np.array(colour, np.float32) + rng.uniform(-15, 15, 3).astype(np.float32)
    return (base * (1.1 - fall)[..., None]).clip(0, 255).astype(np.float32)


def _rim(opacity: Array, reach_px: float) -> Array:
    """Return a rim: 1 at the outline, falling off inwards."""
    from ..opencv import cv2

    inside = (opacity[..., 0] > 0.02).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.exp(-distance / reach_px)[..., None]
