"""Light discs on dark ground: characters for the model of tests/light.py."""

from __future__ import annotations

import numpy as np
from PIL import Image


def draw_discs(path, *centres_xy, size=(96, 64), radius=14):
    rows, columns = np.mgrid[: size[1], : size[0]]
    light = np.zeros((size[1], size[0]), bool)
    for x, y in centres_xy:
        light |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(light[..., None], (240, 230, 250), (10, 30, 20)).astype("u1")).save(
        path
    )
    return light
