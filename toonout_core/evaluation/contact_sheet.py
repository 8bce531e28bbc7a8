"""Show pictures in rows and columns with their names, to compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import BadInput
from ..host import Step
from ..imaging import from_array, to_array
from ..ops.blur import box_blur
from ..ops.compositing import over, parse_colour
from ..ops.foreground import estimate_foreground
from ..ops.regions import crop
from ..ops.resizing import resize
from .error_maps import error_map

Edges = Literal["as they are", "clean colours", "both"]

_PAPER, _INK = 0.94, (32, 32, 32)
_GAP_PX, _LINE_PX = 8, 24
_TEXT_HEIGHT_PX = 11


def contact_sheet(
    rows: Sequence[Sequence[Tensor]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    cell_px: int = 256,
) -> Tensor:
    """Lay pictures 1×3×H×W or 1×1×H×W in [0, 1] out in one, 1×3×H×W, a strip of text over each row.

    Each is scaled to fit a cell of `cell_px`. Letters other than ASCII are shown as "?".
    """
    if not rows or any(len(row) != len(column_names) for row in rows):
        raise BadInput(
            f"a sheet must have rows of {len(column_names)} pictures",
            ", ".join(str(len(row)) for row in rows) or "no row",
        )
    cells = [[_fitted(picture, cell_px) for picture in row] for row in rows]
    heights = [max(int(cell.shape[-2]) for cell in row) for row in cells]
    widths = [max(int(row[i].shape[-1]) for row in cells) for i in range(len(column_names))]
    lefts = [_GAP_PX + sum(widths[:i]) + i * _GAP_PX for i in range(len(widths))]
    tops = [2 * _LINE_PX + sum(heights[:i]) + i * (_LINE_PX + _GAP_PX) for i in range(len(heights))]
    size_hw = (tops[-1] + heights[-1] + _GAP_PX, lefts[-1] + widths[-1] + _GAP_PX)
    sheet = torch.full((1, 3, *size_hw), _PAPER)
    for top, row in zip(tops, cells, strict=True):
        for left, cell in zip(lefts, row, strict=True):
            sheet[..., top : top + cell.shape[-2], left : left + cell.shape[-1]] = cell
    texts = [(name, left, _LINE_PX) for name, left in zip(column_names, lefts, strict=True)]
    texts += [(name, _GAP_PX, top) for name, top in zip(row_names, tops, strict=True)]
    return _written(sheet, texts)


@dataclass(frozen=True)
class Look:
    """One row of `cutout_sheet`: a matte 1×1×H×W and the colours 1×3×H×W shown under it."""

    name: str
    alpha: Tensor
    colours: Tensor


def cutout_sheet(
    image: Tensor, looks: Sequence[Look], backgrounds: Sequence[str], *, cell_px: int = 256
) -> Tensor:
    """Show a picture, its mattes, cutouts over the colours named, and a detail → 1×3×h×w.

    The detail is 1:1, over the last colour, where the first matte is softest. If mattes differ, a
    column shows in red what each lacks against the first one, and in cyan what it has more.
    """
    first = looks[0].alpha
    box = softest_box(first, cell_px)
    differ = any(not torch.equal(look.alpha, first) for look in looks)
    rows: list[list[Tensor]] = []
    for look in looks:
        cutouts = [over(look.colours, look.alpha, parse_colour(name)) for name in backgrounds]
        against = [error_map(look.alpha, first, image)] if differ else []
        rows.append([image, look.alpha, *against, *cutouts, crop(cutouts[-1], box)])
    columns = ["picture", "matte", *(["against the first"] if differ else []), *backgrounds]
    names = [look.name for look in looks]
    return contact_sheet(rows, names, [*columns, "detail, 1:1"], cell_px=cell_px)


def batch_sheets(
    image: Tensor,
    mattes: Sequence[tuple[str, Tensor]],
    backgrounds: Sequence[str],
    edges: Edges,
    cell_px: int,
    report: Step,
) -> Tensor:
    """Draw a `cutout_sheet` for each picture of B×3×H×W and its mattes, names and B×1×H×W."""
    sheets: list[Tensor] = []
    for index in range(len(image)):
        one = image[index : index + 1]
        looks = [
            look
            for name, alpha in mattes
            for look in _looks(name, one, alpha[index : index + 1], edges)
        ]
        sheets.append(cutout_sheet(one, looks, backgrounds, cell_px=cell_px))
        report(1, preview=sheets[-1][0])
    # where the mattes of a picture agree, its sheet lacks a column: a batch needs one size
    width = max(int(sheet.shape[-1]) for sheet in sheets)
    padded = [pad(sheet, (0, width - int(sheet.shape[-1])), value=1.0) for sheet in sheets]
    return torch.cat(padded)


def _looks(name: str, image: Tensor, alpha: Tensor, edges: Edges) -> list[Look]:
    looks: list[Look] = []
    if edges != "clean colours":
        looks.append(Look(name, alpha, image))
    if edges != "as they are":
        looks.append(Look(f"{name}, clean colours", alpha, estimate_foreground(image, alpha)))
    return looks


def _fitted(picture: Tensor, cell_px: int) -> Tensor:
    height, width = int(picture.shape[-2]), int(picture.shape[-1])
    scale = cell_px / max(height, width)
    size_hw = (max(round(height * scale), 1), max(round(width * scale), 1))
    return resize(picture.detach().cpu(), size_hw).expand(-1, 3, -1, -1)


def _written(sheet: Tensor, texts: Sequence[tuple[str, int, int]]) -> Tensor:
    """Write text, each above its pixel (left, bottom)."""
    from ..opencv import cv2

    canvas = np.ascontiguousarray(to_array(sheet)[0])
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, _TEXT_HEIGHT_PX)
    for text, left, bottom in texts:
        letters = text.encode("ascii", "replace").decode("ascii")
        cv2.putText(canvas, letters, (left, bottom - 7), font, scale, _INK, 1, cv2.LINE_AA)
    return from_array(canvas)


def softest_box(alpha: Tensor, side_px: int) -> tuple[int, int, int, int]:
    """Find the square where 1×1×H×W is softest: x0, y0, x1, y1, as far as the picture goes."""
    height, width = int(alpha.shape[-2]), int(alpha.shape[-1])
    soft = box_blur(alpha * (1 - alpha), min(side_px, height, width))
    place = int(soft.flatten().argmax())
    tops_left = (place // width, place % width)
    top, left = (
        min(max(centre - side_px // 2, 0), max(side - side_px, 0))
        for centre, side in zip(tops_left, (height, width), strict=True)
    )
    return left, top, min(left + side_px, width), min(top + side_px, height)
