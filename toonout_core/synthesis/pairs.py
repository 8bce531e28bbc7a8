"""The two generators of the report "Anime Character Segmentation with YOLOv8 and SAM".

`simple`: one figure on one background. `enhanced`: one to seven figures on one
background, cropped, turned by any angle, scaled, mirrored, recoloured, with noise over all. The
report labels the outline of their union, so overlapping figures become one. Here each keeps its own
mask.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..imaging import from_array, split_layer
from ..words import Array
from .composite import Placement, place
from .cutouts import Art, Cutout
from .instance_scenes import InstanceScene
from .options import PairOptions
from .scenes import assemble, draw_background, drawable, random_crop

Generator = np.random.Generator

_BASE_SCALE = 0.6  # height of a figure to the canvas, where the report keeps the file's own size


def make_pair(art: Art, seed: int, index: int, options: PairOptions) -> InstanceScene:
    """Make picture `index` of the data set `seed`. It depends only on these and on the options."""
    rng = np.random.default_rng((seed, index))
    size_px = options.size_px
    background = random_crop(rng, draw_background(rng, art, size_px), size_px)
    weights = drawable(art)
    enhanced = options.kind == "enhanced"
    count = int(rng.integers(1, options.most + 1)) if enhanced else 1
    layers: list[tuple[str, Array]] = []
    for _ in range(count):
        cutout = art.cutout(int(rng.choice(len(weights), p=weights)), size_px)
        if enhanced:
            cutout = _varied(rng, cutout, options)
        layers.append((cutout.name, place(cutout, size_px, _placement(rng, cutout, enhanced))))
    # a pasted figure may be cut by the picture's sides: at least half of it is inside
    rgb, parts, names = assemble(background.astype(np.float32), layers, options.least_visible)
    if enhanced and options.most_noise:
        noise = rng.normal(0, rng.uniform(0, options.most_noise), rgb.shape)
        rgb = (rgb + noise).round().clip(0, 255).astype(np.uint8)
    return InstanceScene(from_array(rgb), torch.from_numpy(parts), names)


def vary_colours(rng: Generator, rgba: Array, spread: float = 0.5) -> Array:
    """Change brightness, contrast, colour and sharpness of H×W×4 uint8, each by a factor 1
    ± `spread`.
    """
    from ..opencv import cv2

    varied = rgba.astype(np.float32)
    colours, opacity = split_layer(varied)
    rgb = colours.copy()
    bright, contrast, colour, sharp = rng.uniform(1 - spread, 1 + spread, 4)
    seen = opacity[..., 0] > 0
    rgb *= np.float32(bright)
    middle = rgb[seen].mean() if seen.any() else np.float32(127)
    rgb = middle + (rgb - middle) * np.float32(contrast)
    grey = rgb.mean(-1, keepdims=True)
    rgb = grey + (rgb - grey) * np.float32(colour)
    soft = cv2.blur(rgb, (3, 3))
    # near the outline, the mean would include colours of transparent pixels
    inner = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rgb = np.where(inner[..., None], soft + (rgb - soft) * np.float32(sharp), rgb)
    colours[:] = rgb
    return varied.round().clip(0, 255).astype(np.uint8)


def _varied(rng: Generator, cutout: Cutout, options: PairOptions) -> Cutout:
    rgba, sides = cutout.rgba, cutout.cut_sides
    if rng.random() < options.crop_share:
        height, width = rgba.shape[:2]
        high, wide = (max(round(side * rng.uniform(0.5, 1.0)), 2) for side in (height, width))
        top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
        rgba = rgba[top : top + high, left : left + wide]
    # figures are turned by any angle, so a cut side need not stay at the border: as in the report
    return replace(cutout, rgba=vary_colours(rng, rgba), cut_sides="" if sides else sides)


def _placement(rng: Generator, cutout: Cutout, enhanced: bool) -> Placement:
    """Place it around the middle, normally distributed, with its centre inside, so that half of it
    is too.
    """
    if not enhanced:
        scale = float(rng.uniform(0.5, 0.95))
        centre = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.4, 0.6)))
        return Placement(scale=scale, centre_xy=centre)
    centre_x, centre_y = np.clip(rng.normal(0.5, 0.25, 2), 0, 1)
    return Placement(
        scale=_BASE_SCALE * float(rng.uniform(0.5, 1.5)),
        centre_xy=(float(centre_x), float(centre_y)),
        angle_deg=float(rng.uniform(0, 360)),
        flip=bool(rng.random() < 0.5),
    )
