"""Read a folder of cutouts and backgrounds: `fg/<split>/*` (RGBA) and `bg/*` or `bg/<split>/*`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..imaging import picture_suffixes, read, split_layer, to_array
from ..words import Array

_PROP = "item"  # category of what figures may hold
# what ATTRIBUTION.csv says of a figure
FIELDS = ("cut_sides", "style", "category", "character")


@dataclass(frozen=True)
class Cutout:
    """`rgba` H×W×4 uint8, straight; `cut_sides`: where the source canvas cuts the figure (LTRB)."""

    name: str
    rgba: Array
    cut_sides: str = ""
    style: str = ""
    character: str = ""


@dataclass(frozen=True)
class Library:
    """All art of one split, in memory, reduced to `longest_px`."""

    cutouts: Sequence[Cutout]
    backgrounds: Sequence[Array]  # H×W×3 uint8

    def weights(self, shares: Mapping[str, float] | None = None) -> Array:
        """The sampling probability of each cutout; see `figure_weights`."""
        return figure_weights(
            [cutout.style for cutout in self.cutouts],
            [cutout.character for cutout in self.cutouts],
            shares,
        )


@dataclass(frozen=True)
class FigureFile:
    """What is known of a cutout before it is read; `category`: what it shows."""

    path: Path
    cut_sides: str = ""
    style: str = ""
    category: str = ""
    character: str = ""

    def read(self, longest_px: int) -> Cutout:
        """Read its pixels, at most that long."""
        rgba = np.concatenate(_read_figure(self.path, longest_px), -1)
        return Cutout(self.path.stem, rgba, self.cut_sides, self.style, self.character)


@dataclass(frozen=True)
class Art:
    """The files of one split, read when they are needed; the last ones stay in memory."""

    figures: tuple[FigureFile, ...]
    backgrounds: tuple[Path, ...]
    props: tuple[FigureFile, ...] = ()  # things that are no figures, but may be held by one

    def weights(self) -> Array:
        """The sampling probability of each figure; see `style_weights`."""
        return style_weights([figure.style for figure in self.figures])

    def cutout(self, index: int, longest_px: int) -> Cutout:
        """Read one figure."""
        return _kept_figure(self.figures[index], longest_px)

    def prop(self, index: int, longest_px: int) -> Cutout:
        """Read one thing that a figure may hold."""
        return _kept_figure(self.props[index], longest_px)

    def background(self, index: int, longest_px: int) -> Array:
        """Read a background, H×W×3 uint8."""
        return _kept_background(self.backgrounds[index], longest_px)


def style_weights(styles: Sequence[str]) -> Array:
    """Weigh every style by √(its count), so that no single artist dominates; the sum is 1."""
    counts: dict[str, int] = {}
    for style in styles:
        counts[style] = counts.get(style, 0) + 1
    weights = np.array([counts[style] ** -0.5 for style in styles])
    return weights / weights.sum()


def figure_weights(
    styles: Sequence[str], characters: Sequence[str], shares: Mapping[str, float] | None = None
) -> Array:
    """Weigh figures by `style_weights`, times the style's own factor in `shares`.

    Within a style a character weighs √(its pictures), but at most a tenth of the style, or its
    equal part where there are fewer. A figure without a known character is one of its own.
    """
    names = [name or f"figure {index}" for index, name in enumerate(characters)]
    result = np.zeros(len(styles))
    for style, whole in _sums(style_weights(styles), styles).items():
        own = [index for index, other in enumerate(styles) if other == style]
        count = Counter(names[index] for index in own)
        part = _capped({name: number**0.5 for name, number in count.items()}, 0.1)
        factor = whole * (shares or {}).get(style, 1.0)
        for index in own:
            result[index] = factor * part[names[index]] / count[names[index]]
    return result / result.sum()


def _sums(values: Array, keys: Sequence[str]) -> dict[str, float]:
    result: dict[str, float] = {}
    for key, value in zip(keys, values, strict=True):
        result[key] = result.get(key, 0.0) + float(value)
    return result


def _capped(weights: dict[str, float], most: float) -> dict[str, float]:
    """Make shares with the sum 1 of which none is above `most`; all are equal where that
    cannot be.
    """
    if len(weights) * most <= 1:
        return dict.fromkeys(weights, 1 / len(weights))
    result = dict(weights)
    while True:
        total = sum(result.values())
        above = [name for name, value in result.items() if value > most * total * (1 + 1e-9)]
        if not above:
            return {name: value / total for name, value in result.items()}
        rest = sum(value for name, value in result.items() if name not in above)
        if not rest:
            return dict.fromkeys(weights, 1 / len(weights))
        # each of them is `most` of a total that they themselves are in
        share = most * rest / (1 - most * len(above)) if most * len(above) < 1 else rest
        result |= dict.fromkeys(above, share)


def split_here(root: Path, split: str) -> str:
    """`split` as its folder is called: val and validation are the same."""
    names = {"val": "validation", "validation": "val"}
    other = names.get(split, split)
    return other if not (root / "fg" / split).is_dir() and (root / "fg" / other).is_dir() else split


def find_art(root: Path, split: str, leave_out: Collection[str] = ()) -> Art:
    """List the files of one split, by `ATTRIBUTION.csv` (file, split, cut_sides, style, category)
    if there is one.

    `leave_out`: categories that are no figures; items among them are props. Raises BadInput where
    there is no figure.
    """
    rows, split = attribution(root), split_here(root, split)
    everything = [
        _figure_file(path, rows.get(path.relative_to(root).as_posix(), {}))
        for path in _pictures(root / "fg" / split)
    ]
    figures = [one for one in everything if one.category not in leave_out]
    if not figures:
        raise BadInput(
            f"{root / 'fg' / split} must hold RGBA pictures", "none", "See docs/training.md."
        )
    own = root / "bg" / split
    return Art(
        tuple(figures),
        tuple(
            path
            for path in _pictures(own if own.is_dir() else root / "bg")
            if rows.get(path.relative_to(root).as_posix(), {}).get("split", split) == split
        ),
        tuple(one for one in everything if one.category == _PROP and _PROP in leave_out),
    )


def _figure_file(path: Path, row: Mapping[str, str]) -> FigureFile:
    return FigureFile(path, *(row.get(name, "") for name in FIELDS))


def read_library(
    root: Path, split: str, longest_px: int = 640, more: Sequence[Path] = ()
) -> Library:
    """Read one split at once, see `find_art`; that of the folders `more` is added."""
    found = [find_art(folder, split) for folder in (root, *more)]
    return Library(
        [figure.read(longest_px) for art in found for figure in art.figures],
        [_read_figure(path, longest_px)[0] for art in found for path in art.backgrounds],
    )


def read_cutouts(folder: Path, longest_px: int = 640) -> Library:
    """Read every picture below `folder` that has transparency. Raises BadInput where none has."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in picture_suffixes())
    shown = [p for p in files if not any(n.startswith(".") for n in p.relative_to(folder).parts)]
    found = [FigureFile(path).read(longest_px) for path in shown]
    cutouts = [one for one in found if split_layer(one.rgba)[1].min() < 1]
    if not cutouts:
        raise BadInput(f"{folder} must hold cutouts, pictures with transparency", "none")
    return Library(cutouts, [])


# what a process keeps: about 150 MB of figures and as much of backgrounds
@lru_cache(maxsize=128)
def _kept_figure(figure: FigureFile, longest_px: int) -> Cutout:
    return figure.read(longest_px)


@lru_cache(maxsize=64)
def _kept_background(path: Path, longest_px: int) -> Array:
    return _read_figure(path, longest_px)[0]


def attribution(root: Path) -> dict[str, dict[str, str]]:
    """Read the rows of ROOT/ATTRIBUTION.csv by their column `file`; none without that file."""
    path = root / "ATTRIBUTION.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file) if row.get("file")}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in picture_suffixes())


def _read_figure(path: Path, longest_px: int) -> tuple[Array, Array]:
    """Read colours H×W×3 and alpha H×W×1, uint8, made smaller if a side is longer than
    `longest_px`.
    """
    from ..opencv import cv2

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
