"""Read the numbers, points and boxes by which users and other nodes say who is meant."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput

_SEPARATORS = re.compile(r"[\n;]+")


def parse_numbers(text: str, count: int) -> list[int]:
    """Read text such as "0, 2-4, -1" as indices among `count`, in that order, each once.

    An empty text, or "all", means all. A range is cut to what there is; a single number must exist.
    """
    if text.strip().lower() in ("", "all", "*"):
        return list(range(count))
    numbers: list[int] = []
    for word in re.split(r"[\s,;]+", re.sub(r"(?<=\d)\s*-\s*(?=-?\d)", "-", text.strip())):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", word)
        if match is None:
            if word:
                raise BadInput('numbers must be written like "0, 2-4, -1"', repr(text))
            continue
        numbers += _numbers(match, count)
    return list(dict.fromkeys(numbers))


def _numbers(match: re.Match[str], count: int) -> list[int]:
    first = int(match[1])
    first += count if first < 0 else 0
    if match[2] is None:
        if not 0 <= first < count and count:
            raise BadInput(
                f"a number must be one of the {count} characters, 0 … {count - 1}",
                match[0],
                f'If it may be missing, write it as a range, "{max(int(match[1]), 0)}-'
                f'{max(int(match[1]), 0)}".',
            )
        return [first] if count else []
    last = int(match[2])
    last += count if last < 0 else 0
    step = 1 if last >= first else -1
    return [number for number in range(first, last + step, step) if 0 <= number < count]


def parse_points(text: str, size_hw: tuple[int, int]) -> Tensor:
    """Read points → N×2. A line is "x, y" in pixels or "30%, 50%"; JSON is [{"x": …, "y": …}]."""
    return _parse(text, size_hw, ("x", "y"), 'a point must be written like "120, 340"')


def parse_boxes(text: str, size_hw: tuple[int, int]) -> Tensor:
    """Read boxes → N×4. A line is "x0, y0, x1, y1" in pixels or percent.

    JSON is [{"x": …, "y": …, "width": …, "height": …}].
    """
    rows = _parse(
        text,
        size_hw,
        ("x", "y", "width", "height"),
        'a box must be written like "20, 30, 200, 400"',
    )
    return _check_boxes(rows)


def boxes_of_frame(value: Any, frame: int) -> Tensor:
    """Read ComfyUI's BOUNDING_BOX → N×4: one box, a list for all frames, or a list for each."""
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, Sequence) and value and isinstance(value[0], Sequence):
        value = value[frame] if frame < len(value) else value[-1]
    rows = [_corners(item) for item in value or ()]
    return _check_boxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))


def _corners(item: Any) -> list[float]:
    if not isinstance(item, dict) or not {"x", "y", "width", "height"} <= {*item}:
        raise BadInput("a box must have x, y, width and height", repr(item))
    x, y = float(item["x"]), float(item["y"])
    return [x, y, x + float(item["width"]), y + float(item["height"])]


def _check_boxes(boxes_xyxy: Tensor) -> Tensor:
    for box in boxes_xyxy.tolist():
        if not (box[0] < box[2] and box[1] < box[3] and all(map(math.isfinite, box))):
            raise BadInput(
                "a box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1",
                ", ".join(f"{edge:g}" for edge in box),
            )
    return boxes_xyxy


def _parse(text: str, size_hw: tuple[int, int], keys: tuple[str, ...], expected: str) -> Tensor:
    rows: list[list[float]] = []
    if text.strip().startswith(("[", "{")):
        rows = _from_json(text, keys, expected)
    else:
        for line in _SEPARATORS.split(text):
            words = [word for word in re.split(r"[\s,]+", line.strip()) if word]
            if words:
                rows.append(_coordinates(words, size_hw, len(keys), expected))
    if not all(math.isfinite(value) for row in rows for value in row):
        raise BadInput(expected, repr(text[:80]))
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, len(keys))


def _coordinates(
    words: list[str], size_hw: tuple[int, int], count: int, expected: str
) -> list[float]:
    if len(words) != count:
        raise BadInput(expected, repr(" ".join(words)))
    values: list[float] = []
    for position, word in enumerate(words):
        side = size_hw[1 - position % 2]
        try:
            number = float(word.removesuffix("%"))
        except ValueError:
            raise BadInput(expected, repr(" ".join(words))) from None
        values.append(number / 100 * side if word.endswith("%") else number)
    return values


def _from_json(text: str, keys: tuple[str, ...], expected: str) -> list[list[float]]:
    try:
        items = json.loads(text)
        items = [items] if isinstance(items, dict) else items
        if len(keys) == 2:
            return [[float(item[key]) for key in keys] for item in items]
        return [_corners(item) for item in items]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(expected, repr(text[:80])) from error
