"""A folder of cutouts and backgrounds: `fg/<split>/*` (RGBA) and `bg/*` or `bg/<split>/*`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadInput
from ..imaging import read, to_array
from ..naming import IMAGE_SUFFIXES

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Cutout:
    """`rgba` H×W×4 uint8, straight; `cut_sides`: where the source canvas cuts the figure (LTRB)."""

    name: str
    rgba: Array
    cut_sides: str = ""
    style: str = ""


@dataclass(frozen=True)
class Library:
    """All art of one split, in memory, reduced to `longest_px`."""

    cutouts: Sequence[Cutout]
    backgrounds: Sequence[Array]  # H×W×3 uint8

    def weights(self) -> Array:
        """Sampling probability of each cutout: every style weighs √(its count), so that no
        single artist dominates."""
        counts: dict[str, int] = {}
        for cutout in self.cutouts:
            counts[cutout.style] = counts.get(cutout.style, 0) + 1
        weights = np.array([counts[c.style] ** -0.5 for c in self.cutouts])
        return weights / weights.sum()


def read_library(root: Path, split: str, longest_px: int = 640) -> Library:
    """Read one split; `ATTRIBUTION.csv` (file, split, cut_sides, style) is used where it is."""
    rows = _attribution(root)
    figures = _pictures(root / "fg" / split)
    if not figures:
        raise BadInput(
            f"{root / 'fg' / split} must hold RGBA pictures", "none", "See docs/training.md."
        )
    cutouts: list[Cutout] = []
    for path in figures:
        row = rows.get(path.relative_to(root).as_posix(), {})
        rgba = np.concatenate(_read_figure(path, longest_px), -1)
        cutouts.append(Cutout(path.stem, rgba, row.get("cut_sides", ""), row.get("style", "")))
    own = root / "bg" / split
    backgrounds = [
        _read_figure(path, longest_px)[0]
        for path in _pictures(own if own.is_dir() else root / "bg")
        if rows.get(path.relative_to(root).as_posix(), {}).get("split", split) == split
    ]
    return Library(cutouts, backgrounds)


def _attribution(root: Path) -> dict[str, dict[str, str]]:
    path = root / "ATTRIBUTION.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)


def _read_figure(path: Path, longest_px: int) -> tuple[Array, Array]:
    """Colours H×W×3 and alpha H×W×1, uint8, made smaller if a side is longer than `longest_px`."""
    import cv2

    picture = read(path)
    alpha = picture.alpha if picture.alpha is not None else picture.image[:, :1] * 0 + 1
    scale = min(1.0, longest_px / max(picture.size_hw))
    rgb, matte = to_array(picture.image)[0], to_array(alpha)[0]
    if scale == 1.0:
        return rgb, matte
    size_wh = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    # colours are weighted by alpha, so that what lies under transparency never bleeds in
    opacity = matte.astype(np.float32)
    small_opacity = cv2.resize(opacity, size_wh, interpolation=cv2.INTER_AREA)[..., None]
    premultiplied = cv2.resize(rgb * opacity, size_wh, interpolation=cv2.INTER_AREA)
    colours = premultiplied / np.maximum(small_opacity, 1e-3)
    return _to_levels(colours), _to_levels(small_opacity)


def _to_levels(values: Array) -> Array:
    return values.round().clip(0, 255).astype(np.uint8)
