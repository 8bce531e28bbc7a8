"""Pictures with known alpha in folders: pairs in `im` and `gt` as published, or cutouts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from ..errors import BadInput
from ..evaluation.pairing import read_matte
from ..imaging import read
from ..output.naming import find_sources

Split = Literal["train", "val", "test"]

SPLIT_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "validation"),
    "test": ("test",),
}
_TRUTHS = ("gt", "an")  # mattes, or the annotated pictures with transparency


@dataclass(frozen=True)
class Example:
    """One picture. `truth` None: the picture is a cutout with transparency."""

    name: str
    image: Path
    truth: Path | None

    def read(self) -> tuple[Tensor, Tensor]:
        """Picture 1×3×H×W and alpha 1×1×H×W; BadInput where they do not fit."""
        picture = read(self.image)
        if self.truth is None:
            if picture.alpha is None or float(picture.alpha.min()) == 1:
                raise BadInput(f"{self.image} must be a cutout", "an opaque picture")
            return picture.image, picture.alpha
        alpha = read_matte(self.truth)
        if alpha.shape[-2:] != picture.image.shape[-2:]:
            sizes = (f"{x.shape[-1]}×{x.shape[-2]}" for x in (picture.image, alpha))
            raise BadInput(f"{self.truth} must have its picture's size {next(sizes)}", next(sizes))
        return picture.image, alpha


def find_examples(root: Path, split: Split) -> list[Example]:
    """Everything of a split, by name: ROOT/train/…, ROOT/train_…/… or ROOT/fg/train/….

    A folder `im` has its mattes in `gt` (or RGBA pictures in `an`) beside it. All else are cutouts.
    Raises BadInput for pictures without a truth and for an empty split.
    """
    names = SPLIT_NAMES[split]
    base = Path(os.path.abspath(root))  # as find_sources names what it finds
    found: list[Example] = []
    for folder in _folders(base, names):
        for source in find_sources([folder], recursive=True).sources:
            example = _example(base, source.path)
            if example is not None:
                found.append(example)
    if not found:
        raise BadInput(
            f"{root} must hold a folder {' or '.join(names)} with pictures",
            "none",
            "`toonout dataset split` makes one.",
        )
    return sorted(found, key=lambda example: example.name)


def _folders(root: Path, names: tuple[str, ...]) -> list[Path]:
    published = [path for name in names for path in sorted(root.glob(f"{name}_*"))]
    places = [base / name for base in (root, root / "fg") for name in names]
    return [path for path in (*places, *published) if path.is_dir()]


def _example(root: Path, path: Path) -> Example | None:
    """None for what is itself a truth."""
    name = path.relative_to(root).with_suffix("").as_posix()
    if path.parent.name in _TRUTHS and (path.parent.parent / "im").is_dir():
        return None
    if path.parent.name != "im":
        return Example(name, path, None)
    for role in _TRUTHS:
        truths = sorted((path.parent.parent / role).glob(f"{_literally(path.stem)}.*"))
        if truths:
            return Example(name, path, truths[0])
    raise BadInput(f"{path} must have its matte in a folder gt or an beside im", "none")


def _literally(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
