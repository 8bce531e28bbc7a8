"""Test whether the one character of a picture, whose mask is known, is found whole and as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import BadInput
from ..imaging import picture_suffixes, read
from ..segmentation.asking import DEFAULTS, SegmentOptions, seen
from ..segmentation.instance_segmenter import InstanceSegmenter
from .instance_metrics import mask_iou

_MASK = "_mask"  # at the end of a mask's name


@dataclass(frozen=True)
class Single:
    """One picture: how many were found in it, and the mask IoU of the best of them."""

    name: str
    found: int
    best_iou: float


def masked_pictures(folder: Path) -> list[tuple[Path, Path]]:
    """Find NAME.webp beside NAME_mask.png, of any kinds of pictures. Raises BadInput
    without any.
    """
    pictures = {
        path.stem: path
        for path in sorted(folder.glob("*"))
        if path.suffix.lower() in picture_suffixes()
    }
    pairs = [
        (path, pictures[name + _MASK])
        for name, path in pictures.items()
        if name + _MASK in pictures
    ]
    if not pairs:
        raise BadInput(f"{folder} must hold pictures NAME.webp with NAME{_MASK}.png", "none")
    return pairs


def find_singles(
    segmenter: InstanceSegmenter, folder: Path, options: SegmentOptions = DEFAULTS
) -> list[Single]:
    """Look for the character in every picture of the folder that has a mask."""
    result: list[Single] = []
    for path, mask_path in masked_pictures(folder):
        truth = read(mask_path).image[0].mean(0) > 0.5
        found = segmenter.segment(seen(path), options)[0]
        if truth.shape != found.size_hw:
            raise BadInput(
                f"{mask_path} must be of its picture's size {found.size_hw}", str(truth.shape)
            )
        solid = [mask if mask.dtype == torch.bool else mask > 0.5 for mask in found.masks]
        best = max((mask_iou(mask, truth) for mask in solid), default=0.0)
        result.append(Single(path.stem, len(found), best))
    return result


def describe(singles: list[Single]) -> str:
    """Spell a line for readers."""
    ones = sum(single.found == 1 for single in singles)
    mean = sum(single.best_iou for single in singles) / len(singles)
    return (
        f"{len(singles)} pictures of one character: mean IoU of the best mask {mean:.3f}; exactly "
        f"one instance in {ones}, none in {sum(not single.found for single in singles)}.\n"
    )
