"""Choose instances by number, point, box, score or size, and tidy what was found."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances, Order
from ..ops.adjust import AdjustOptions
from ..ops.regions import connected_components
from ..segmentation.sharing import share_matte

_UNCHANGED = AdjustOptions()
_SEPARATORS = re.compile(r"[\n;]+")


@dataclass(frozen=True)
class TidyOptions:
    """What `tidy` does to found instances, in this order; the defaults change nothing.

    drop_duplicates     leaves one out that lies in larger ones by four fifths
    adjust              adjusts every mask: specks, holes, edges
    min_area            share of the picture that an instance must cover
    limit               keeps so many, those of the best scores; 0: all
    order               sorts them; None: as found
    """

    drop_duplicates: bool = False
    adjust: AdjustOptions = _UNCHANGED
    min_area: float = 0.0
    limit: int = 0
    order: Order | None = None


def tidy(instances: Instances, options: TidyOptions) -> Instances:
    """Tidy what was found; see TidyOptions."""
    if options.drop_duplicates:
        instances = instances.without_duplicates()
    if options.adjust != _UNCHANGED:
        instances = instances.adjust(options.adjust)
    if options.min_area > 0:
        instances = instances.without_small(options.min_area)
    if 0 < options.limit < len(instances):
        best = instances.ranking("score")[: options.limit]
        instances = instances[sorted(best.tolist())]
    return instances if options.order is None else instances.sorted_by(options.order)


def separate(masks: Tensor) -> Instances:
    """N×H×W in [0, 1] → an instance for every connected region of what is above one half.

    Soft pixels go to the region that they belong to, as in `share_matte`.
    """
    origin = "connected regions of the mask"
    parts: list[Tensor] = []
    for mask in masks.to("cpu", torch.float32):
        regions = connected_components(mask > 0.5)
        if len(regions):
            hard = Instances.from_masks(regions.masks())
            parts.append(share_matte(mask[None, None], hard).masks)
    size_hw = (int(masks.shape[-2]), int(masks.shape[-1]))
    if not parts:
        return Instances.none(size_hw, origin)
    return Instances.from_masks(torch.cat(parts), origin=origin)


# ---------------------------------------------------------------- choosing


@dataclass(frozen=True)
class Choice:
    """All conditions must hold; the defaults choose everything.

    numbers       as in parse_numbers; the order in which they are written is kept
    points_xy     N×2 in pixels: those at the points
    boxes_xyxy    N×4 in pixels: for each, the one that overlaps it most
    inside        H×W: those that lie in it by half
    min_score, min_area, max_area     areas as shares of the picture
    order         None: as they are; `limit` 0: all
    """

    numbers: str = ""
    points_xy: Tensor | None = None
    boxes_xyxy: Tensor | None = None
    inside: Tensor | None = None
    min_score: float = 0.0
    min_area: float = 0.0
    max_area: float = 1.0
    order: Order | None = None
    reverse: bool = False
    limit: int = 0


def choose(instances: Instances, choice: Choice) -> tuple[Instances, Instances]:
    """Return the chosen ones, and the rest in the order that they were in."""
    places: set[int] | None = None
    if choice.points_xy is not None or choice.boxes_xyxy is not None:
        places = _at_points(instances, choice.points_xy) | _at_boxes(instances, choice.boxes_xyxy)
    fits = _fitting(instances, choice)
    numbers = parse_numbers(choice.numbers, len(instances))
    kept = [i for i in numbers if i in fits and (places is None or i in places)]
    if choice.order is not None:
        chosen = instances[kept]
        kept = [kept[i] for i in chosen.ranking(choice.order, reverse=choice.reverse).tolist()]
    kept = kept[: choice.limit or None]
    return instances[kept], instances[[i for i in range(len(instances)) if i not in kept]]


@dataclass(frozen=True)
class Places:
    """Where the characters that are meant lie, in several frames.

    `points`: as `parse_points` reads them, the same in all frames; empty: anywhere. `boxes`: as
    `boxes_of_frame` reads them. `inside`: F×H×W, of fewer frames the last one goes on.
    """

    points: str = ""
    boxes: Any = None
    inside: Tensor | None = None

    def limit(self, choice: Choice, frame: int, size_hw: tuple[int, int]) -> Choice:
        """Return the choice among those that lie there in a frame."""
        inside = self.inside
        return replace(
            choice,
            points_xy=parse_points(self.points, size_hw) if self.points.strip() else None,
            boxes_xyxy=None if self.boxes is None else boxes_of_frame(self.boxes, frame),
            inside=None if inside is None else inside[min(frame, len(inside) - 1)],
        )


def choose_of_frames(
    frames: Sequence[Instances], choice: Choice, places: Places = Places()
) -> list[tuple[Instances, Instances]]:
    """Return what `choose` gives for each frame, among those that lie at the places."""
    return [
        choose(found, places.limit(choice, number, found.size_hw))
        for number, found in enumerate(frames)
    ]


def _fitting(instances: Instances, choice: Choice) -> set[int]:
    height, width = instances.size_hw
    shares = instances.areas_px / (height * width)
    fits = (instances.scores >= choice.min_score).cpu()
    fits &= ((shares >= choice.min_area) & (shares <= choice.max_area)).cpu()
    if choice.inside is not None:
        inside = choice.inside.to(instances.masks.device)
        for index, mask in enumerate(instances.masks):
            part = torch.minimum(mask.to(torch.float32), inside.to(torch.float32))
            fits[index] &= float(part.sum()) >= 0.5 * float(mask.sum())
    return {index for index, fit in enumerate(fits.tolist()) if fit}


def _at_points(instances: Instances, points_xy: Tensor | None) -> set[int]:
    """Find the smallest of the masks at each point; where there is none, the smallest of
    the boxes.
    """
    found: set[int] = set()
    areas = instances.areas_px.tolist()
    height, width = instances.size_hw
    for x, y in [] if points_xy is None else points_xy.tolist():
        column, row = int(x), int(y)
        if not (0 <= column < width and 0 <= row < height):
            continue
        at = [i for i in range(len(instances)) if float(instances.masks[i, row, column]) > 0.5]
        if not at:
            boxes = instances.boxes_xyxy.tolist()
            at = [i for i, box in enumerate(boxes) if _holds(box, column, row)]
        if at:
            found.add(min(at, key=lambda i: areas[i]))
    return found


def _holds(box: list[int], column: int, row: int) -> bool:
    return box[0] <= column < box[2] and box[1] <= row < box[3]


def _at_boxes(instances: Instances, boxes_xyxy: Tensor | None) -> set[int]:
    if boxes_xyxy is None or not len(instances) or not len(boxes_xyxy):
        return set()
    from torchvision.ops import box_iou

    theirs = instances.boxes_xyxy.to("cpu", torch.float32)
    best = box_iou(boxes_xyxy.to("cpu", torch.float32), theirs).max(1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {index for index, overlap in pairs if overlap > 0}


# ---------------------------------------------------------------- reading what people write


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
