"""Make sprite sheets: the frames of a clip side by side in one picture, and a list for
game engines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import BadInput

LONGEST_PX = 32_768  # most engines stop at 16384 or below
_VISIBLE = 0.5 / 255  # alpha that is more than 0 in 8 bit

# what a point of a frame is called, and where it lies in the trimmed frame, in shares of its sides
PIVOTS: dict[str, tuple[float, float]] = {
    "centre": (0.5, 0.5),
    "bottom": (0.5, 1.0),
    "top-left": (0.0, 0.0),
}


@dataclass(frozen=True)
class SheetOptions:
    """How frames are laid out.

    `columns` 0: as many as make the sheet nearly square. `trim`: cut all frames to the one box that
    holds all that is visible. `padding_px`: empty room around every frame. `power_of_two`: sides of
    the sheet are filled up, as old graphics cards want.
    """

    columns: int = 0
    trim: bool = True
    padding_px: int = 0
    power_of_two: bool = False
    pivot: str = "bottom"

    def __post_init__(self) -> None:
        if self.columns < 0 or self.padding_px < 0:
            raise BadInput(
                "columns and padding must be 0 or more", f"{self.columns} and {self.padding_px}"
            )
        if self.pivot not in PIVOTS:
            raise BadInput(f"pivot must be one of {', '.join(PIVOTS)}", repr(self.pivot))


@dataclass(frozen=True, eq=False)
class SpriteSheet:
    """A sheet of frames.

    `image` 1×3×H×W and `alpha` 1×1×H×W in [0, 1]; `box_xyxy`: the part of the source frames that
    each of the N `frames_xy` (upper left corners on the sheet) shows.
    """

    image: Tensor
    alpha: Tensor
    box_xyxy: tuple[int, int, int, int]
    frames_xy: tuple[tuple[int, int], ...]
    source_hw: tuple[int, int]
    pivot: str


def sprite_sheet(
    image: Tensor, alpha: Tensor, options: SheetOptions = SheetOptions()
) -> SpriteSheet:
    """Lay frames B×3×H×W with alpha B×1×H×W out on one sheet, in reading order."""
    if not len(image) or alpha.shape != (len(image), 1, *image.shape[-2:]):
        raise BadInput(
            "a sprite sheet must have frames, each with its alpha",
            f"{tuple(image.shape)} and {tuple(alpha.shape)}",
        )
    box = visible_box(alpha) if options.trim else (0, 0, image.shape[-1], image.shape[-2])
    left, top, right, bottom = box
    step_x = right - left + 2 * options.padding_px
    step_y = bottom - top + 2 * options.padding_px
    columns = options.columns or _square_columns(len(image), step_x, step_y)
    columns = min(columns, len(image))
    width, height = columns * step_x, -(-len(image) // columns) * step_y
    if options.power_of_two:
        width, height = (2 ** math.ceil(math.log2(side)) for side in (width, height))
    if max(width, height) > LONGEST_PX:
        raise BadInput(
            f"the sides of a sprite sheet must be at most {LONGEST_PX} pixels",
            f"{width}×{height}",
            "Take fewer or smaller frames, or another number of columns.",
        )
    sheet = image.new_zeros(1, 3, height, width)
    opacity = alpha.new_zeros(1, 1, height, width)
    places: list[tuple[int, int]] = []
    for index in range(len(image)):
        x = index % columns * step_x + options.padding_px
        y = index // columns * step_y + options.padding_px
        places.append((x, y))
        target = (..., slice(y, y + bottom - top), slice(x, x + right - left))
        source = (slice(index, index + 1), slice(None), slice(top, bottom), slice(left, right))
        visible = alpha[source] > _VISIBLE
        sheet[target] = image[source] * visible  # no hidden background travels along
        opacity[target] = alpha[source]
    size_hw = (int(image.shape[-2]), int(image.shape[-1]))
    return SpriteSheet(sheet, opacity, box, tuple(places), size_hw, options.pivot)


def visible_box(alpha: Tensor) -> tuple[int, int, int, int]:
    """Draw a box x1, y1, x2, y2 (exclusive) around what any frame of B×1×H×W shows; all if nothing
    does.
    """
    seen = (alpha > _VISIBLE).flatten(0, 1).any(0)
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    if not len(rows):
        return 0, 0, int(alpha.shape[-1]), int(alpha.shape[-2])
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _square_columns(count: int, width: int, height: int) -> int:
    """Return the number of columns whose sheet has the shortest longer side; the least
    of several.
    """
    return min(range(1, count + 1), key=lambda n: (max(n * width, -(-count // n) * height), n))


def aseprite_json(
    sheet: SpriteSheet, picture_name: str, durations_ms: Sequence[float]
) -> dict[str, Any]:
    """Write the list that goes with a sheet, as Aseprite exports it ("array"); durations
    are in ms.
    """
    if len(durations_ms) != len(sheet.frames_xy):
        raise BadInput(
            f"{len(sheet.frames_xy)} frames must have as many durations", str(len(durations_ms))
        )
    left, top, right, bottom = sheet.box_xyxy
    source_h, source_w = sheet.source_hw
    width, height = right - left, bottom - top
    stem = picture_name.rpartition(".")[0] or picture_name
    frames = [
        {
            "filename": f"{stem} {index}",
            "frame": {"x": x, "y": y, "w": width, "h": height},
            "rotated": False,
            "trimmed": (width, height) != (source_w, source_h),
            "spriteSourceSize": {"x": left, "y": top, "w": width, "h": height},
            "sourceSize": {"w": source_w, "h": source_h},
            "duration": round(duration),
        }
        for index, ((x, y), duration) in enumerate(zip(sheet.frames_xy, durations_ms, strict=True))
    ]
    return {"frames": frames, "meta": _meta(sheet, picture_name)}


def _meta(sheet: SpriteSheet, picture_name: str) -> dict[str, Any]:
    left, top, right, bottom = sheet.box_xyxy
    share_x, share_y = PIVOTS[sheet.pivot]
    bounds = {"x": left, "y": top, "w": right - left, "h": bottom - top}
    pivot = {"x": round((right - left) * share_x), "y": round((bottom - top) * share_y)}
    return {
        "app": "toonout",
        "version": "1",
        "image": picture_name,
        "format": "RGBA8888",
        "size": {"w": int(sheet.image.shape[-1]), "h": int(sheet.image.shape[-2])},
        "scale": "1",
        "frameTags": [],
        "slices": [
            {
                "name": "pivot",
                "color": "#0000ffff",
                "keys": [{"frame": 0, "bounds": bounds, "pivot": pivot}],
            }
        ],
    }
