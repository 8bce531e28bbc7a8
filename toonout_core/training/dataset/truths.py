"""Writes cutouts into im, gt and an, the folders that matting is trained and measured on."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...imaging import from_array, read
from ...ops.compositing import over, parse_colour
from ...output.writing import write
from ...synthesis.composite import draw_background
from ...synthesis.cutouts import Library
from .splitting import Item, find_items

RANDOM = "random"


@dataclass(frozen=True)
class Threshold:
    """In levels of 255: alpha up to `low` becomes 0, and from `high` on 255.

    The defaults change nothing. The published program has 0 and 220.
    """

    low: int = -1
    high: int = 256

    def apply(self, alpha: Tensor) -> Tensor:
        """Alpha in [0, 1] of any shape."""
        levels = (alpha * 255).round()
        alpha = torch.where(levels <= self.low, torch.zeros_like(alpha), alpha)
        return torch.where(levels >= self.high, torch.ones_like(alpha), alpha)


PUBLISHED_THRESHOLD = Threshold(0, 220)


def write_mattes(
    root: Path,
    out: Path,
    *,
    threshold: Threshold = Threshold(),
    background: str = RANDOM,
    seed: int = 0,
) -> tuple[int, int, list[tuple[str, str]]]:
    """Write im, gt and an of every cutout below `root` into `out`.

    A cutout in a folder `an` has its picture in the folder `im` beside it. For other cutouts the
    picture is made: the cutout on `background`, a colour or "random". The random one depends only
    on `seed` and the name. Returns how many were written, how many of them replaced older ones,
    and (name, fault) of each that could not be read.
    """
    written = replaced = 0
    faults: list[tuple[str, str]] = []
    items = find_items(root, "file", out=out)
    if not items:
        raise BadInput(f"{root} must hold cutouts", "none")
    for item in items:
        try:
            image, alpha, cutout = _parts(item, background, seed)
        except BadInput as error:
            faults.append((item.name, str(error)))
            continue
        place = PurePath(item.name)
        written += 1
        replaced += (out / place.parent / "gt" / f"{place.name}.png").exists()
        for role, parts in {
            "im": (image, None),
            "gt": (threshold.apply(alpha), None),
            "an": (cutout, alpha),
        }.items():
            write(out / place.parent / role / f"{place.name}.png", *parts, overwrite=True)
    return written, replaced, faults


def _parts(item: Item, background: str, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Picture, alpha and the cutout's own colours."""
    cutout = read(item.files.get("an") or item.files.get("") or item.picture)
    if cutout.alpha is None or float(cutout.alpha.min()) == 1:
        raise BadInput(f"{item.name} must be a cutout with transparency", "an opaque picture")
    if "im" in item.files and "an" in item.files:
        image = read(item.files["im"]).image
        if image.shape != cutout.image.shape:
            raise BadInput(
                f"{item.name} in an must have the size of its picture in im",
                _sizes((cutout.image, image)),
            )
        return image, cutout.alpha, cutout.image
    ground = _ground(background, cutout.size_hw, (seed, zlib.crc32(item.name.encode())))
    return over(cutout.image, cutout.alpha, ground), cutout.alpha, cutout.image


def _ground(background: str, size_hw: tuple[int, int], seed: tuple[int, int]) -> Tensor:
    if background != RANDOM:
        return parse_colour(background)
    side = max(size_hw)
    drawn = draw_background(np.random.default_rng(seed), Library([], []), side, 0.5)
    return from_array(drawn.round().clip(0, 255).astype(np.uint8))[..., : size_hw[0], : size_hw[1]]


def _sizes(images: Sequence[Tensor]) -> str:
    return " and ".join(f"{x.shape[-1]}×{x.shape[-2]}" for x in images)
