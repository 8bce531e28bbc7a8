"""Guarded inversion: the colours of soft pixels from the old background, which is seen beside them.

I = αF + (1−α)B. B at a soft pixel is the mean of the pixels with α < 2 % around it: from far to
near, cells of the whole picture first, then box windows, each of which counts as far as it holds
such pixels. Then F = (I − (1−α)B) / α. An α that is off by δ moves this by (F−B)·δ/α, so that it is
mixed with a smooth estimate F₀:

    F = F₀ + α² / (α² + k² + v/(|F₀−B|²+d) + q·α²o²) · (clip((I − (1−α)B) / α) − F₀)

This is the mean of least variance of the two if k is the error of α relative to that of F₀. It is
trusted less where B is not one colour (v: its variance in the nearest window, which also tells that
parts of the figure are missing in the matte), and where it is no colour (o: how far it lies outside
of 0 … 1, which tells that α is too small).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .blur import box_blur, run_parallel
from .spreading import CELL_PX, colour_cells

# α below this shows the background alone
SEEN_ALPHA = 0.02
# other pixels count for the background only where it is nowhere seen
FAINT = 1e-3
# radii of the windows in pictures of up to a megapixel, far to near; they grow with the picture
RADII_PX = (4, 2)
# k, d and q above
ALPHA_ERROR = 0.12
ALIKE = 0.01
OVERSHOOT = 3.0
# a colour from further away than the windows is known as well as one of this variance
FAR_VARIANCE = 0.01
# α below this divides like this
LEAST_ALPHA = 0.1
# side of the squares that are worked on if they hold a soft pixel; whole cells
TILE_PX = 64

Window = tuple[int, slice, slice]


def invert_background_(foreground: Tensor, image: Tensor, alpha: Tensor) -> Tensor:
    """Improve the smooth estimate `foreground` B×3×H×W float32 where 0 < α < 1, in place.

    `image` B×3×H×W and `alpha` B×1×H×W float32 in [0, 1] on its device. Returns `foreground`.
    """
    windows = _soft_windows(alpha)
    radii_px = window_radii(*alpha.shape[-2:])
    cells = {item: _far_background(image[item], alpha[item]) for item in {w[0] for w in windows}}

    def work(item: int, rows: slice, columns: slice) -> None:
        _invert_window_(
            foreground[item], image[item], alpha[item], cells[item], (rows, columns), radii_px
        )

    run_parallel(work, windows) if foreground.device.type == "cpu" else [work(*w) for w in windows]
    return foreground


def window_radii(height: int, width: int) -> list[int]:
    """In pixels, for a picture of that size."""
    scale = max(math.sqrt(height * width / 1e6), 1.0)
    return [round(radius * scale) for radius in RADII_PX]


def _soft_windows(alpha: Tensor) -> list[Window]:
    """Rows of tiles that hold soft pixels: item, rows, columns."""
    height, width = alpha.shape[-2:]
    soft = ((alpha > 0) & (alpha < 1)).to(torch.float32)
    tiles = functional.max_pool2d(soft, TILE_PX, ceil_mode=True)[:, 0].cpu() > 0
    windows: list[Window] = []
    for item, top in torch.nonzero(tiles.any(-1)).tolist():
        rows = slice(top * TILE_PX, min((top + 1) * TILE_PX, height))
        ends = functional.pad(tiles[item, top].to(torch.int8), (1, 1)).diff().nonzero()
        for left, right in ends.view(-1, 2).tolist():
            windows.append((item, rows, slice(left * TILE_PX, min(right * TILE_PX, width))))
    return windows


def _far_background(image: Tensor, alpha: Tensor) -> Tensor:
    """3×H×W and 1×H×W → 3×h×w, one cell more on each side."""
    weight = torch.where(alpha < SEEN_ALPHA, 1.0, FAINT * (1 - alpha))
    cells = torch.from_numpy(colour_cells(image.to(torch.float32), weight[0])).to(image.device)
    return functional.pad(cells[None], (1, 1, 1, 1), mode="replicate")[0]


def _enlarged(cells: Tensor, rows: slice, columns: slice) -> Tensor:
    """The padded cells' colours in a window that starts with a cell, 1×3×h×w."""
    part = cells[
        None,
        :,
        rows.start // CELL_PX : -(-rows.stop // CELL_PX) + 2,
        columns.start // CELL_PX : -(-columns.stop // CELL_PX) + 2,
    ]
    full = functional.interpolate(
        part, scale_factor=CELL_PX, mode="bilinear", align_corners=False
    )[..., CELL_PX:-CELL_PX, CELL_PX:-CELL_PX]
    return full[..., : rows.stop - rows.start, : columns.stop - columns.start]


def _widen(part: slice, margin: int, length: int) -> slice:
    """To whole cells."""
    margin = -(-margin // CELL_PX) * CELL_PX
    return slice(max(0, part.start - margin), min(length, part.stop + margin))


def _invert_window_(
    foreground: Tensor,
    image: Tensor,
    alpha: Tensor,
    cells: Tensor,
    window: tuple[slice, slice],
    radii_px: list[int],
) -> None:
    rows, columns = window
    height, width = alpha.shape[-2:]
    outer_rows, outer_columns = (
        _widen(part, radii_px[0] + 1, length)
        for part, length in ((rows, height), (columns, width))
    )
    inside = (
        ...,
        slice(rows.start - outer_rows.start, rows.stop - outer_rows.start),
        slice(columns.start - outer_columns.start, columns.stop - outer_columns.start),
    )
    far = _enlarged(cells, outer_rows, outer_columns)
    around = alpha[None, :, outer_rows, outer_columns]
    colours = image[None, :, outer_rows, outer_columns].to(torch.float32)
    background, variance = _near_background(colours, around, far, radii_px, inside)
    target = foreground[None, :, rows, columns]
    result = _mix(colours[inside], around[inside], background, variance, target)
    a = around[inside]
    target.copy_(torch.where((a > 0) & (a < 1), result, target))


def _near_background(
    colours: Tensor, alpha: Tensor, far: Tensor, radii_px: list[int], inside: tuple[object, ...]
) -> tuple[Tensor, Tensor]:
    """B 1×3×h×w and its variance 1×1×h×w inside of the window.

    Differences from `far` are averaged: their squares lose no digits.
    """
    seen = (alpha < SEEN_ALPHA).to(torch.float32)
    apart = (colours - far) * seen
    planes = torch.cat((apart, apart.square().sum(1, keepdim=True), seen), 1)
    mean = planes.new_tensor((0.0, 0.0, 0.0, 3 * FAR_VARIANCE)).view(1, 4, 1, 1)
    for radius in radii_px:
        means = box_blur(planes, 2 * radius + 1)[inside]
        mean = (means[:, :4] + FAINT * mean) / (means[:, 4:] + FAINT)
    shift = mean[:, :3]
    variance = (mean[:, 3:] - shift.square().sum(1, keepdim=True)).clamp_(min=0) / 3
    return far[inside] + shift, variance


def _mix(
    image: Tensor, alpha: Tensor, background: Tensor, variance: Tensor, smooth: Tensor
) -> Tensor:
    """F of the formula above."""
    raw = (image - (1 - alpha) * background) / alpha.clamp(min=LEAST_ALPHA)
    inverse = raw.clamp(0, 1)
    squared = alpha.square()
    doubt = variance / ((smooth - background).square().mean(1, keepdim=True) + ALIKE)
    doubt += OVERSHOOT * squared * (raw - inverse).square().amax(1, keepdim=True)
    doubt += ALPHA_ERROR**2
    return smooth + squared / (squared + doubt) * (inverse - smooth)
