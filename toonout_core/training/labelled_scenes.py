"""Pictures with a mask for every character, from a COCO file such as `synthesize` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import to_array
from ..instances import Instances
from ..output.coco import Annotation, dataset, decode_mask, pictures_of
from ..segmentation.asking import box_as_mask, seen
from ..words import Array

_BOX_ONLY = "ignore_mask"  # of an annotation: its box is true, its mask is not to be learnt


@dataclass(frozen=True)
class Labels:
    """`masks` N×H×W uint8, 0 or 1; `known` N bool: False where only the box is true."""

    masks: Array
    known: Array


@dataclass(frozen=True)
class LabelledScene:
    """One picture and its annotations; crowds are left out, there is no character in them."""

    path: Path
    size_hw: tuple[int, int]
    annotations: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def with_masks(self) -> list[int]:
        """Indices of the annotations whose mask is known."""
        return [index for index, one in enumerate(self.annotations) if not _is_box(one)]

    def pixels(self) -> Array:
        """H×W×3 uint8."""
        return to_array(self.picture())[0]

    def picture(self) -> Tensor:
        """1×3×H×W in [0, 1]; BadInput if it is not of the size that was annotated."""
        image = seen(self.path)
        if tuple(image.shape[-2:]) != self.size_hw:
            raise BadInput(
                f"{self.path} must be {self.size_hw[1]}×{self.size_hw[0]}, as it was annotated",
                f"{image.shape[-1]}×{image.shape[-2]}",
            )
        return image

    def read(self) -> tuple[Array, Labels]:
        """H×W×3 uint8 and its labels, in the order of the annotations."""
        masks = [self._mask(one) for one in self.annotations]
        known = [not _is_box(one) for one in self.annotations]
        empty = np.zeros((0, *self.size_hw), np.uint8)
        labels = Labels(np.stack(masks) if masks else empty, np.array(known, bool))
        return self.pixels(), labels

    def mask(self, index: int) -> Array:
        """H×W uint8, 0 or 1, of one annotation."""
        return self._mask(self.annotations[index])

    def truth(self) -> Instances:
        """What is to be found, in the order of the annotations."""
        masks = [torch.from_numpy(self._mask(one)).bool() for one in self.annotations]
        if not masks:
            return Instances.none(self.size_hw, "truth")
        return Instances.from_masks(torch.stack(masks), origin="truth")

    def _mask(self, annotation: Mapping[str, Any]) -> Array:
        if _is_box(annotation):
            x, y, width, height = (float(value) for value in annotation["bbox"])
            box = torch.tensor([[x, y, x + width, y + height]])
            return box_as_mask(box[0], self.size_hw).numpy().astype(np.uint8)
        mask = decode_mask(annotation["segmentation"])
        if tuple(mask.shape) != self.size_hw:
            raise BadInput(
                f"masks of {self.path} must be {self.size_hw[1]}×{self.size_hw[0]}",
                f"{mask.shape[1]}×{mask.shape[0]}",
            )
        return mask.numpy().astype(np.uint8)


def read_scenes(root: Path, split: str) -> list[LabelledScene]:
    """What ROOT/instances_SPLIT.json describes; file names in it are relative to ROOT.

    Raises BadInput without such a file, and for one without pictures.
    """
    path = root / f"instances_{split}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} must be a COCO file",
            str(error),
            "`toonout synthesize scenes` makes one for each --split, train and val.",
        ) from error
    scenes = [
        LabelledScene(root / name, size_hw, tuple(one for one in own if not one.get("iscrowd")))
        for name, size_hw, own in pictures_of(document)
    ]
    if not scenes:
        raise BadInput(f"{path} must describe pictures", "none")
    return scenes


def truth_of(scenes: Sequence[LabelledScene]) -> dict[str, Any]:
    """As a COCO document that AP is measured against; picture i has the id i + 1.

    Boxes without a mask are crowds there: who is found in them is neither right nor wrong.
    """
    pictures: list[tuple[str, tuple[int, int], list[Annotation]]] = []
    for scene in scenes:
        own = [_as_crowd(one) if _is_box(one) else dict(one) for one in scene.annotations]
        pictures.append((scene.path.name, scene.size_hw, own))
    return dataset(pictures)


def _is_box(annotation: Mapping[str, Any]) -> bool:
    return bool(annotation.get(_BOX_ONLY)) or not annotation.get("segmentation")


def _as_crowd(annotation: Mapping[str, Any]) -> Annotation:
    return {**annotation, "iscrowd": 1}
