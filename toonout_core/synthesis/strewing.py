"""Strew things around characters: items, drawn things, letters, discs. None of them is a character.

Who learns to find characters must see what else stands out of a background.
"""

from __future__ import annotations

import numpy as np

from ..imaging import from_layer, split_layer
from ..words import Array
from .composite import Placement, place
from .cutouts import Art, Cutout, Library
from .decorations import decorate
from .things import thing

Generator = np.random.Generator

_MOST = 3  # things
_SIZES = 0.06, 0.3  # of the picture's side


def strew(rng: Generator, art: Art, canvas: Array) -> Array:
    """Put one to three things, and perhaps letters or a disc, on S×S×3 in [0, 255]."""
    if rng.random() < 0.5:
        canvas = decorate(rng, canvas, 1)
    for _ in range(int(rng.integers(1, _MOST + 1))):
        placement = Placement(
            scale=float(rng.uniform(*_SIZES)),
            centre_xy=(float(rng.uniform(0.05, 0.95)), float(rng.uniform(0.05, 0.95))),
            angle_deg=float(rng.uniform(-30, 30)),
            flip=bool(rng.random() < 0.5),
        )
        colours, opacity = split_layer(place(_item(rng, art, canvas), len(canvas), placement))
        canvas = colours + (1 - opacity) * canvas
    return canvas


def _item(rng: Generator, art: Art, canvas: Array) -> Cutout:
    """Choose an item of the art, or draw something that nobody knows."""
    size_px = len(canvas)
    if art.props and rng.random() < 0.7:
        return art.prop(int(rng.integers(len(art.props))), size_px)
    drawn = thing(rng, Library([], [canvas.clip(0, 255).astype(np.uint8)]), size_px)
    rows, columns = (np.flatnonzero(drawn[..., 3].max(axis) > 0) for axis in (1, 0))
    drawn = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Cutout("thing", from_layer(drawn))
