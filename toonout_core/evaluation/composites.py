"""Make a fixed set of composites of one split: every figure on plain colours, on scenes, and as a
line drawing on paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from torch import Tensor

from ..imaging import from_array, split_layer
from ..synthesis.composite import Placement, place, plain_background, scene_background
from ..synthesis.cutouts import Cutout, Library
from ..synthesis.line_art import draw_lines
from ..synthesis.paper import paper
from ..words import Array

Kind = Literal["flat", "scene", "line"]
KINDS: tuple[Kind, ...] = ("flat", "scene", "line")


@dataclass(frozen=True)
class Composite:
    """`image` 1×3×S×S and true `alpha` 1×1×S×S in [0, 1], both exact to 8 bit."""

    name: str
    kind: Kind
    image: Tensor
    alpha: Tensor
    style: str = ""


def composites(
    library: Library, kind: Kind, size_px: int, per_figure: int = 2
) -> Iterator[Composite]:
    """Yield every figure of `library` `per_figure` times: the same pictures on every run
    and machine.
    """
    for cutout in library.cutouts:
        for index in range(per_figure):
            yield _composite(library, cutout, kind, size_px, index)


def _composite(library: Library, cutout: Cutout, kind: Kind, size_px: int, index: int) -> Composite:
    rng = np.random.default_rng((crc32(cutout.name.encode()), KINDS.index(kind), index))
    placement = Placement(
        scale=float(rng.uniform(0.6, 0.95)),
        centre_xy=(float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.45, 0.55))),
        flip=bool(rng.random() < 0.5),
    )
    layer = place(cutout, size_px, placement)
    rgb, opacity = _painted(rng, library, kind, layer)
    image = from_array(rgb.round().clip(0, 255).astype(np.uint8))
    alpha = from_array((opacity * 255).round().clip(0, 255).astype(np.uint8))
    return Composite(f"{cutout.name}-{kind}-{index}", kind, image, alpha, cutout.style)


def _painted(
    rng: np.random.Generator, library: Library, kind: Kind, layer: Array
) -> tuple[Array, Array]:
    """Return the colours in [0, 255] and the alpha in [0, 1] of a figure on its ground."""
    size_px = len(layer)
    if kind == "line":
        return draw_lines(rng, layer, paper(rng, size_px), filled=False)
    if kind == "flat":
        background = plain_background(rng, size_px)
    else:
        scene = library.backgrounds[int(rng.integers(len(library.backgrounds)))]
        background = scene_background(rng, scene, size_px, share=(0.6, 1.0))
    colours, opacity = split_layer(layer)
    return colours + (1 - opacity) * background, opacity
