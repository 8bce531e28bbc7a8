"""Choose where characters stand in a picture: like people in photographs, in rows, in tiles.

Boxes are N×4 float64, x, y, width, height as shares of the canvas.

The numbers below describe the boxes of people in COCO val2017 (Lin et al. 2014, annotations CC BY
4.0): 533 photographs with 2 164 people who are no crowd, boxes of at least 2 % a side, measured for
this package. That subset has 4.0 people a photograph, the whole of val2017 has 4.1. No box of COCO
is in this package; `read_layouts` takes a COCO file where somebody has one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import BadInput
from ..words import Array

Generator = np.random.Generator
Kind = Literal["people", "row", "tiles", "close", "portrait"]

# deciles, from the least to the most
_TALLEST = (0.029, 0.164, 0.281, 0.381, 0.47, 0.567, 0.649, 0.737, 0.836, 0.95, 1.0)
_OTHERS = (0.025, 0.165, 0.235, 0.305, 0.4, 0.509, 0.612, 0.707, 0.807, 0.898, 1.0)  # to tallest
_LOG_ASPECT = (-2.39, -1.193, -0.992, -0.845, -0.693, -0.562, -0.431, -0.303, -0.155, 0.093, 1.892)
_LEFT_SHARE = (0.0, 0.01, 0.142, 0.298, 0.412, 0.5, 0.572, 0.696, 0.842, 0.996, 1.0)
_BELOW_SHARE = (0.0, 0.003, 0.058, 0.144, 0.279, 0.363, 0.457, 0.549, 0.659, 0.898, 1.0)
_ASIDE = (-0.917, -0.461, -0.318, -0.201, -0.104, 0.023, 0.136, 0.235, 0.341, 0.481, 0.925)
# who is shorter by d stands higher by 0.88 d: heads are at one height; r = 0.73, residual 0.18
_FEET_SLOPE = 0.88
_FEET_SPREAD = 0.18

# photographs have crowds far away; a drawing of nobody but a speck teaches nothing
_LEAST_TALLEST = 0.25
_SMALLEST, _LARGEST = 0.02, 0.85
_ATTEMPTS = 50

_EXAMPLES = "COCO's own are instances_val2017.json and person_keypoints_val2017.json."


def people_boxes(rng: Generator, count: int) -> Array:
    """Draw `count` boxes from the statistics above; the tallest is the first."""
    height = max(_draw(rng, _TALLEST), _LEAST_TALLEST)
    width = height * _aspect(rng)
    centre = _draw(rng, _LEFT_SHARE) * max(1 - width, 0) + width / 2
    feet = 1 - _draw(rng, _BELOW_SHARE) * (1 - height)
    boxes = np.zeros((count, 4))
    boxes[0] = centre - width / 2, feet - height, width, height
    for index in range(1, count):
        own = height * _draw(rng, _OTHERS)
        width = own * _aspect(rng)
        x = centre + _draw(rng, _ASIDE) - width / 2
        y = feet - _FEET_SLOPE * (height - own) + rng.normal(0, _FEET_SPREAD) - own
        boxes[index] = x, min(max(y, 0), max(1 - own, 0)), width, own
    return boxes


def stretch_layout(rng: Generator, layout: Array) -> Array:
    """Move a photograph's boxes to the origin, enlarge them 1.1 to 1.8 times, and shift them at
    random.

    Boxes that are specks or the whole canvas are left out, and those whose middle cannot be seen.
    """
    boxes = np.array(layout, np.float64)
    boxes[:, :2] -= boxes[:, :2].min(0)
    boxes *= rng.uniform(1.1, 1.8)
    room = 1 - (boxes[:, :2] + boxes[:, 2:]).max(0)
    boxes[:, :2] += rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    good = (boxes[:, 2:].max(1) < _LARGEST) & (boxes[:, 2:].min(1) > _SMALLEST)
    return boxes[good & (middle > 0.05).all(1) & (middle < 0.95).all(1)]


def person_boxes(rng: Generator, count: int, layouts: Sequence[Array] = ()) -> Array:
    """Return exactly `count` boxes of photographs in `layouts` with as many people, else from the
    statistics.

    Where a photograph has more people, the largest ones are taken.
    """
    fitting = [layout for layout in layouts if len(layout) >= count]
    for _ in range(_ATTEMPTS):
        if fitting:
            layout = fitting[int(rng.integers(len(fitting)))]
        else:
            # some fall out of the canvas
            layout = people_boxes(rng, count + 2)
        boxes = stretch_layout(rng, layout)
        if len(boxes) >= count:
            order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")
            return boxes[order[:count]]
    return tile_boxes(rng, count)


def row_boxes(rng: Generator, aspects: Sequence[float]) -> Array:
    """Place boxes side by side from left to right, each covering 15 to 80 % of its neighbour's
    width.

    `aspects`: width over height of each figure. Heights are 0.7 to 1.2 times a size drawn for all
    from Normal(0.33, 0.2) within 0.15 … 0.75. A wide figure does not count as taller.
    """
    size = float(rng.normal(0.33, 0.2))
    while not 0.15 <= size <= 0.75:
        size = float(rng.normal(0.33, 0.2))
    feet = rng.uniform(size, 1.0)
    boxes = np.zeros((len(aspects), 4))
    right = 0.0
    for index, aspect in enumerate(aspects):
        height = size * rng.uniform(0.7, 1.2) / max(aspect, 1)
        width = height * aspect
        left = right - rng.uniform(0.15, 0.8) * min(width, boxes[index - 1, 2]) if index else 0.0
        boxes[index] = left, feet + rng.normal(0, 0.05) - height, width, height
        right = left + width
    over = boxes[:, 0].max() + boxes[-1, 2]
    boxes[:, :2] += (rng.uniform(min(0, 1 - over), max(0, 1 - over)), 0)
    boxes[:, 1] = np.clip(boxes[:, 1], 0, np.maximum(1 - boxes[:, 3], 0))
    return boxes


def tile_boxes(rng: Generator, count: int) -> Array:
    """Cut the canvas into `count` rectangles, the largest across its longer side each time.

    They are a tenth larger on every side, so that figures stick out.
    """
    tiles = [np.array([0.0, 0.0, 1.0, 1.0])]
    while len(tiles) < count:
        tile = tiles.pop(max(range(len(tiles)), key=lambda i: float(tiles[i][2] * tiles[i][3])))
        axis = int(tile[3] > tile[2]) if rng.random() < 0.9 else int(tile[3] <= tile[2])
        first, second = tile.copy(), tile.copy()
        first[2 + axis] *= rng.uniform(0.35, 0.65)
        second[axis] += first[2 + axis]
        second[2 + axis] -= first[2 + axis]
        tiles += [first, second]
    boxes = np.stack(tiles)
    boxes[:, :2] -= boxes[:, 2:] * 0.05
    boxes[:, 2:] *= 1.1
    return boxes


def close_boxes(rng: Generator, aspects: Sequence[float]) -> Array:
    """Place large boxes side by side whose middles are 20 to 80 % of their mean width apart.

    `aspects`: width over height of each figure.
    """
    size = rng.uniform(0.5, 0.95)
    boxes = np.zeros((len(aspects), 4))
    middle = 0.0
    for index, aspect in enumerate(aspects):
        height = size * rng.uniform(0.7, 1.1) / max(aspect, 1)
        width = height * aspect
        if index:
            middle += rng.uniform(0.2, 0.8) * (width + boxes[index - 1, 2]) / 2
        feet = 0.5 + size / 2 + rng.normal(0, 0.05)
        boxes[index] = middle - width / 2, feet - height, width, height
    extent = boxes[:, 0].min(), (boxes[:, 0] + boxes[:, 2]).max()
    boxes[:, 0] += 0.5 + rng.normal(0, 0.05) - sum(extent) / 2
    boxes[:, 1] += rng.normal(0, 0.04)
    return boxes


def portrait_box(rng: Generator, aspect: float) -> Array:
    """Make one box, 1×4, higher than the canvas, with its upper end in it: the rest is cut off.

    `aspect`: width over height of the figure.
    """
    height = rng.uniform(1.1, 2.0) / max(aspect, 1)
    width = height * aspect
    middle = 0.5 + rng.normal(0, 0.1)
    return np.array([[middle - width / 2, rng.uniform(-0.05, 0.2), width, height]])


def match_boxes(boxes: Array, aspects: Sequence[float]) -> Array:
    """Order `boxes` like the figures: both are sorted by aspect, the widest gets the widest."""
    matched = np.empty_like(boxes)
    by_shape = np.argsort(boxes[:, 2] / boxes[:, 3], kind="stable")
    matched[np.argsort(aspects, kind="stable")] = boxes[by_shape]
    return matched


def read_layouts(path: Path) -> list[Array]:
    """Read the people of every photograph in a COCO file (category "person", no crowds), as boxes.

    Raises BadInput if the file is none or has no people.
    """
    document = _read_coco(path)
    try:
        found = _people(document)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadInput(
            f"images, categories and annotations in {path} must be as in COCO's files",
            f"{type(error).__name__}: {error}",
            _EXAMPLES,
        ) from error
    if not found:
        raise BadInput(
            f"{path} must have annotations of the category person, one at least no crowd",
            "none",
            _EXAMPLES,
        )
    return [np.array(boxes) for boxes in found.values()]


def _read_coco(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput("layouts must be a file that can be read", str(error)) from error
    except ValueError as error:
        raise BadInput(f"{path} must be a whole JSON file", str(error), _EXAMPLES) from error
    parts = ("images", "categories", "annotations")
    missing = [part for part in parts if not isinstance(document, dict) or part not in document]
    if missing:
        raise BadInput(
            f"{path} must be a COCO file with {', '.join(parts)}",
            f"one without {', '.join(missing)}",
            _EXAMPLES,
        )
    return document


def _people(document: dict[str, Any]) -> dict[Any, list[list[float]]]:
    """Return the boxes of each photograph, by its number, as shares of it."""
    person = {c["id"] for c in document["categories"] if c["name"] == "person"}
    size = {i["id"]: (i["width"], i["height"]) for i in document["images"]}
    found: dict[Any, list[list[float]]] = {}
    for annotation in document["annotations"]:
        if annotation["category_id"] in person and not annotation.get("iscrowd"):
            width, height = size[annotation["image_id"]]
            x, y, w, h = annotation["bbox"]
            box = [x / width, y / height, w / width, h / height]
            if min(box[2:]) > 0:
                found.setdefault(annotation["image_id"], []).append(box)
    return found


def _aspect(rng: Generator) -> float:
    return float(np.exp(_draw(rng, _LOG_ASPECT)))


def _draw(rng: Generator, deciles: tuple[float, ...]) -> float:
    return float(np.interp(rng.random() * (len(deciles) - 1), range(len(deciles)), deciles))
