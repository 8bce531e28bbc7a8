"""Colours for pixels that have none: those of the surroundings, near ones first.

Pull-push (Gortler et al. 1996, "The Lumigraph", section 3.4): weighted means over cells of twice
the size each time, then from coarse to fine each cell takes what it knows itself, and the more of
its parent's colour the less that is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from .blur import run_parallel, through_opencv

Array = npt.NDArray[Any]

# side of the finest cells
CELL_PX = 8
# a cell listens to its surroundings as much as to 1 % of full weight in itself
AROUND_WEIGHT = np.float32(0.01)
# rows of one piece of work on the CPU
ROWS = 8 * CELL_PX


def spread_colours_(
    image: Tensor, alpha: Tensor, where: Tensor, least_alpha: float, empty: float
) -> Tensor:
    """Overwrites `image` B×3×H×W where `where` B×1×H×W bool, by its colours weighed with `alpha`
    B×1×H×W, of which less than `least_alpha` counts as nothing. A picture without any alpha turns
    `empty`. Returns `image`."""
    spread = spread_colours_cpu_ if through_opencv(image) else spread_colours_torch_
    return spread(image, alpha, where, least_alpha, empty)


def _push_all(cells: Array, empty: float) -> Array:
    return np.stack([_push(item, empty) for item in cells])


def _push(cells: Array, empty: float) -> Array:
    """4×h×w means of weight·colour and weight → 3×h×w colours."""
    colours, weight = cells[:3], cells[3:]
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
    return functional.avg_pool2d(torch.from_numpy(planes)[None], 2)[0].numpy()


def _doubled(planes: Array) -> Array:
    """C×h×w → C×2h×2w, bilinear."""
    larger = functional.interpolate(
        torch.from_numpy(planes)[None], scale_factor=2, mode="bilinear", align_corners=False
    )
    return larger[0].numpy()


# ---------------------------------------------------------------- torch


def spread_colours_torch_(
    image: Tensor, alpha: Tensor, where: Tensor, least_alpha: float, empty: float
) -> Tensor:
    """`spread_colours_` on any device; the small cells go by the CPU."""
    _paint_torch_(image, where, _push_all(_cell_means_torch(image, alpha, least_alpha), empty))
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
    """`spread_colours_`, a few rows a thread."""
    _paint_cpu_(image, where, _push_all(_cell_means_cpu(image, alpha, least_alpha), empty))
    return image


def _cell_means_cpu(image: Tensor, alpha: Tensor, least_alpha: float) -> Array:
    import cv2

    batch, _, height, width = image.shape
    columns = -(-width // CELL_PX)
    cells = np.empty((batch, 4, -(-height // CELL_PX), columns), np.float32)
    pictures, alphas = image.numpy(), alpha.numpy()

    def work(item: int, part: slice) -> None:
        target = cells[item, :, part.start // CELL_PX : -(-part.stop // CELL_PX)]
        weight = alphas[item, 0, part]
        weight = weight * (weight > least_alpha)
        down, right = -len(weight) % CELL_PX, -width % CELL_PX
        for channel in range(4):
            plane = pictures[item, channel, part] * weight if channel < 3 else weight
            if down or right:
                # what is missing at the edge counts as nothing
                plane = np.pad(plane, ((0, down), (0, right)))
            size_wh = (columns, target.shape[1])
            target[channel] = cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA)

    run_parallel(work, [(item, part) for item in range(batch) for part in _rows(height)])
    return cells


def _paint_cpu_(image: Tensor, where: Tensor, colours: Array) -> None:
    import cv2

    batch, channels, height, width = image.shape
    padded = np.pad(colours, ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    pictures, masks = image.numpy(), where.numpy().view(np.uint8)

    def work(item: int, part: slice) -> None:
        mask = masks[item, 0, part]
        if not mask.any():
            return
        first, last = part.start // CELL_PX, -(-part.stop // CELL_PX)
        size_wh = (colours.shape[-1] * CELL_PX, (last - first + 2) * CELL_PX)
        for channel in range(channels):
            cells = padded[item, channel, first : last + 2]
            full = cv2.resize(cells, size_wh, interpolation=cv2.INTER_LINEAR)
            full = full[CELL_PX : CELL_PX + len(mask), :width]
            cv2.copyTo(full, mask, pictures[item, channel, part])

    run_parallel(work, [(item, part) for item in range(batch) for part in _rows(height)])


def _rows(height: int) -> list[slice]:
    return [slice(top, min(top + ROWS, height)) for top in range(0, height, ROWS)]
