"""Write instances as annotations of a COCO data set, with run-length encoded masks, and read them.

Written from the format that the COCO API documents (Lin et al. 2014, cocodataset.org).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances

Annotation = dict[str, Any]

CATEGORY_ID = 1
_HALF = 0.5  # where a soft mask ends


# ---------------------------------------------------------------- run lengths


def encode_mask(mask: Tensor, *, compressed: bool = True) -> dict[str, Any]:
    """H×W bool (or float, above one half) → {"size": [H, W], "counts": …}.

    Counts are lengths of runs down the columns, of 0 and 1 in turn, beginning with 0; a text if
    `compressed`, else a list.
    """
    if mask.ndim != 2:
        raise BadInput("a mask must be H×W", f"shape {tuple(mask.shape)}")
    solid = mask if mask.dtype == torch.bool else mask > _HALF
    columns = solid.t().cpu().numpy().ravel()
    edges = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    starts = [0, 0] if columns.size and columns[0] else [0]
    counts: list[int] = np.diff([*starts, *edges.tolist(), columns.size]).tolist()
    return {"size": list(mask.shape), "counts": _pack(counts) if compressed else counts}


def decode_mask(rle: Mapping[str, Any]) -> Tensor:
    """Read a mask, H×W bool. Raises BadInput for polygons, and for counts that do not
    fill the size.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        given = rle["counts"]
        counts = _unpack(given) if isinstance(given, str | bytes) else [int(n) for n in given]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            "a segmentation must be run lengths with size and counts",
            "polygons" if isinstance(rle, list) else f"{type(rle).__name__} ({error})",
            "Convert it with a tool that knows COCO.",
        ) from error
    if min(height, width, *counts, 0) < 0 or sum(counts) != height * width:
        raise BadInput(
            f"run lengths must fill {height}×{width} = {height * width} pixels",
            f"{sum(counts)} in {len(counts)} runs",
        )
    values = np.arange(len(counts)) % 2 == 1
    return torch.from_numpy(np.repeat(values, counts).reshape(width, height).T.copy())


def _pack(counts: Sequence[int]) -> str:
    """Pack numbers as text: five bits a character, lowest first; from the fourth number on, its
    difference to the one two before.
    """
    letters: list[str] = []
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits, rest = rest & 31, rest >> 5
            more = rest != (-1 if bits & 16 else 0)
            letters.append(chr(48 + bits + 32 * more))
    return "".join(letters)


def _unpack(text: str | bytes) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii") if isinstance(text, str) else text:
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the character {chr(letter)!r} in the counts")
        value |= (bits & 31) << shift
        shift += 5
        if bits < 32:
            value -= (bits & 16) << (shift - 4)  # the sign bit
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("counts that end in the middle of a number")
    return counts


# ---------------------------------------------------------------- annotations


def to_annotations(instances: Instances, *, compressed: bool = True) -> list[Annotation]:
    """Write an annotation for each instance, without the ids that a data set gives: see
    `dataset`.
    """
    boxes: list[list[int]] = instances.boxes_xyxy.tolist()
    annotations: list[Annotation] = []
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        mask = instances.masks[index]
        annotation: Annotation = {
            "category_id": CATEGORY_ID,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": int((mask if mask.dtype == torch.bool else mask > _HALF).sum()),
            "iscrowd": 0,
            "score": _shortest(instances.scores[index]),
            "segmentation": encode_mask(mask, compressed=compressed),
        }
        if instances.tags is not None:
            annotation["tag_string"] = instances.tags[index]
        annotations.append(annotation)
    return annotations


def from_annotations(
    annotations: Sequence[Mapping[str, Any]], size_hw: tuple[int, int]
) -> Instances:
    """Read the annotations of one picture of that size; masks are bool, a missing score is 1."""
    masks = torch.zeros((len(annotations), *size_hw), dtype=torch.bool)
    for index, annotation in enumerate(annotations):
        mask = decode_mask(annotation["segmentation"])
        if tuple(mask.shape) != tuple(size_hw):
            raise BadInput(
                f"masks must have the picture's size {size_hw[0]}×{size_hw[1]}",
                f"{mask.shape[0]}×{mask.shape[1]}",
            )
        masks[index] = mask
    boxes = torch.tensor([annotation["bbox"] for annotation in annotations]).reshape(-1, 4)
    boxes = torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1).round().to(torch.int64)
    scores = torch.tensor([float(annotation.get("score", 1)) for annotation in annotations])
    tags = [annotation.get("tag_string") for annotation in annotations]
    known = tuple(str(tag) for tag in tags if tag is not None)
    return Instances(masks, boxes, scores, known if known and len(known) == len(tags) else None)


def dataset(
    pictures: Iterable[tuple[str, tuple[int, int], Sequence[Annotation]]], *, description: str = ""
) -> dict[str, Any]:
    """Make a COCO document of pictures: file name, size_hw and `to_annotations` of each."""
    images: list[dict[str, Any]] = []
    annotations: list[Annotation] = []
    for name, (height, width), own in pictures:
        image_id = len(images) + 1
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for annotation in own:
            number = len(annotations) + 1
            annotations.append({"id": number, "image_id": image_id, **annotation})
    return {
        "info": {"description": description},
        "licenses": [],
        "categories": [{"id": CATEGORY_ID, "name": "character", "supercategory": "character"}],
        "images": images,
        "annotations": annotations,
    }


def pictures_of(
    document: Mapping[str, Any],
) -> list[tuple[str, tuple[int, int], list[Annotation]]]:
    """Return what `dataset` was given. Raises BadInput if that cannot be seen."""
    try:
        own: dict[int, list[Annotation]] = {image["id"]: [] for image in document["images"]}
        for annotation in document["annotations"]:
            named = {k: v for k, v in annotation.items() if k not in ("id", "image_id")}
            own[annotation["image_id"]].append(named)
        return [
            (str(image["file_name"]), (int(image["height"]), int(image["width"])), own[image["id"]])
            for image in document["images"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            "a COCO file must hold images and annotations of them",
            f"{type(error).__name__} at {error}",
        ) from error


def _shortest(score: Tensor) -> float:
    """Spell a score by the fewest digits that are read as the same float32."""
    return float(str(np.float32(score.item())))
