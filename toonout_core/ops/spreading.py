"""Give colours to pixels that have none: those of the surroundings, near ones first.

Pull-push (Gortler et al. 1996, "The Lumigraph", section 3.4): first weighted means are taken over
cells of twice the size each time. Then, from coarse to fine, each cell takes what it knows itself,
and the less that is, the more of its parent's colour.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..words import Array
from .blur import through_opencv

# side of the finest cells
CELL_PX = 8
# a cell listens to its surroundings as much as to 1 % of full weight in itself
AROUND_WEIGHT = np.float32(0.01)
# squares of differences from this grey lose fewer digits than those of colours
MIDDLE = 0.5
# rows worked on at a time on the CPU
ROWS = 8 * CELL_PX


def spread_colours_(
    image: Tensor, alpha: Tensor, where: Tensor, least_alpha: float, empty: float
) -> Tensor:
    """Overwrite `image` B×3×H×W where `where` B×1×H×W bool, by its colours weighed with `alpha`
    B×1×H×W, of which less than `least_alpha` counts as nothing. A picture without any alpha turns
    `empty`. Returns `image`."""
    spread = spread_colours_cpu_ if through_opencv(image) else spread_colours_torch_
    return spread(image, alpha, where, least_alpha, empty)


def colour_cells(image: Tensor, alpha: Tensor, weigh: Callable[[Tensor], Tensor]) -> Array:
    """Means of 3×H×W weighed with `weigh(alpha)`, H×W, one for each cell of CELL_PX pixels a side:
    4×h×w, the colour and its summed squared difference from MIDDLE.

    Cells of little weight take theirs from around them. Some rows after the other: planes of a
    whole picture would take as much memory as the picture.
    """
    strips: list[Array] = []
    for rows in _rows(len(alpha)):
        part, weight = image[:, rows].to(torch.float32), weigh(alpha[rows])
        if through_opencv(part):
            strips.append(_cell_means(part.numpy(), weight.numpy(), 0.0, squares=True))
        else:
            squares = (part - MIDDLE).square_().sum(0, keepdim=True)
            planes = torch.cat((part, squares))[None]
            strips.append(_cell_means_torch(planes, weight[None, None], 0.0)[0])
    return _push(np.concatenate(strips, 1), 0.0)


def _push(cells: Array, empty: float) -> Array:
    """Means of weight·colour, C×h×w, and weight → C×h×w colours."""
    colours, weight = cells[:-1], cells[-1:]
    height, width = weight.shape[-2:]
    if height == 1 and width == 1:
        found = weight > 0
        return np.where(found, colours / np.where(found, weight, 1), np.float32(empty))
    even = np.pad(cells, ((0, 0), (0, height % 2), (0, width % 2)))
    coarser = _push(_halved(even), empty)
    around = _doubled(coarser)[:, :height, :width]
    return (colours + AROUND_WEIGHT * around) / (weight + AROUND_WEIGHT)


def _halved(planes: Array) -> Array:
    """C×h×w of even sides → means of 2×2."""
    rows = planes[:, ::2] + planes[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def _doubled(planes: Array) -> Array:
    """C×h×w → C×2h×2w, bilinear: a new pixel lies a quarter away from the middle of an old one."""
    for axis in (1, 2):
        edges = [(0, 0)] * 3
        edges[axis] = (1, 1)
        wide = np.pad(planes, edges, mode="edge")
        before, middle, after = (
            np.take(wide, range(start, start + planes.shape[axis]), axis) for start in range(3)
        )
        pair = (0.75 * middle + 0.25 * before, 0.75 * middle + 0.25 * after)
        shape = list(planes.shape)
        shape[axis] *= 2
        planes = np.stack(pair, axis + 1).reshape(shape)
    return planes


# ---------------------------------------------------------------- torch


def spread_colours_torch_(
    image: Tensor, alpha: Tensor, where: Tensor, least_alpha: float, empty: float
) -> Tensor:
    """Do what `spread_colours_` does, on any device; the small cells are worked on by the CPU."""
    if bool(where.any()):
        cells = _cell_means_torch(image, alpha, least_alpha)
        _paint_torch_(image, where, np.stack([_push(item, empty) for item in cells]))
    return image


def _cell_means_torch(image: Tensor, alpha: Tensor, least_alpha: float) -> Array:
    weight = functional.threshold(alpha, least_alpha, 0.0)
    down, right = -image.shape[-2] % CELL_PX, -image.shape[-1] % CELL_PX
    planes = functional.pad(torch.cat((image * weight, weight), 1), (0, right, 0, down))
    return functional.avg_pool2d(planes, CELL_PX).cpu().numpy()


def _paint_torch_(image: Tensor, where: Tensor, colours: Array) -> None:
    full = functional.interpolate(
        torch.from_numpy(colours).to(image.device),
        scale_factor=CELL_PX,
        mode="bilinear",
        align_corners=False,
    )
    image.copy_(torch.where(where, full[:, :, : image.shape[-2], : image.shape[-1]], image))


# ---------------------------------------------------------------- OpenCV


def spread_colours_cpu_(
    image: Tensor, alpha: Tensor, where: Tensor, least_alpha: float, empty: float
) -> Tensor:
    """Do what `spread_colours_` does, some rows after the other: cv2.resize has threads
    of its own.
    """
    for item in range(image.shape[0]):
        picture, mask = image[item].numpy(), where[item, 0].numpy()
        if mask.any():
            cells = _cell_means(picture, alpha[item, 0].numpy(), least_alpha)
            _paint_(picture, mask.view(np.uint8), _push(cells, empty))
    return image


def _cell_means(image: Array, alpha: Array, least_alpha: float, *, squares: bool = False) -> Array:
    """3×H×W and H×W → 4×h×w, or 5×h×w with the squares of colours before the weight."""
    from ..opencv import cv2

    height, width = alpha.shape
    columns = -(-width // CELL_PX)
    cells = np.empty((5 if squares else 4, -(-height // CELL_PX), columns), np.float32)
    for rows in _rows(height):
        target = cells[:, rows.start // CELL_PX : -(-rows.stop // CELL_PX)]
        weight = alpha[rows] * (alpha[rows] > least_alpha)
        down, right = -len(weight) % CELL_PX, -width % CELL_PX
        for channel in range(len(cells)):
            if channel < 3:
                plane = image[channel, rows] * weight
            elif channel < len(cells) - 1:
                plane = np.square(image[:, rows] - MIDDLE).sum(0) * weight
            else:
                plane = weight
            if down or right:
                # what is missing at the edge counts as nothing
                plane = np.pad(plane, ((0, down), (0, right)))
            size_wh = (columns, target.shape[1])
            target[channel] = cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA)
    return cells


def _paint_(image: Array, where: Array, colours: Array) -> None:
    """Enlarge cells 3×h×w, and write them into 3×H×W where H×W uint8 says so."""
    from ..opencv import cv2

    height, width = where.shape
    padded = np.pad(colours, ((0, 0), (1, 1), (0, 0)), mode="edge")
    for rows in _rows(height):
        mask = where[rows]
        if not mask.any():
            continue
        first, last = rows.start // CELL_PX, -(-rows.stop // CELL_PX)
        size_wh = (colours.shape[-1] * CELL_PX, (last - first + 2) * CELL_PX)
        for cells, target in zip(padded, image, strict=True):
            full = cv2.resize(cells[first : last + 2], size_wh, interpolation=cv2.INTER_LINEAR)
            cv2.copyTo(full[CELL_PX : CELL_PX + len(mask), :width], mask, target[rows])


def _rows(height: int) -> list[slice]:
    return [slice(top, min(top + ROWS, height)) for top in range(0, height, ROWS)]
