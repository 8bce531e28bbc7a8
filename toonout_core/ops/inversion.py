"""Guarded inversion: the colours of soft pixels from the old background, which is seen beside them.

I = αF + (1−α)B. B at a soft pixel is the mean of the pixels with α < 2 % around it: from cells of
the whole picture (`colour_cells`) where none is near, else from a small window. Then
F = (I − (1−α)B) / α. An α that is off by δ moves this by (F−B)·δ/α, so that it is mixed with a
smooth estimate F₀:

    F = F₀ + α² / (α² + k² + v/(|F₀−B|²+d) + q·α²o²) · (clip((I − (1−α)B) / α) − F₀)

This is the mean of least variance of the two if k is the error of α relative to that of F₀. It is
trusted less where B is not one colour (v: its variance around there) and where it gives none
(o: how far the unclipped colour lies outside of 0 … 1, which tells that α is too small).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .blur import box_blur
from .blur_fusion import TRANSPARENT
from .spreading import CELL_PX, MIDDLE, colour_cells

# α below this shows the background alone
SEEN_ALPHA = 0.02
# weight of other pixels where the background is nowhere seen, and of far cells where it is not near
FAINT = 1e-3
# radius of the small window in pictures of up to a megapixel; it grows with the picture
NEAR_PX = 2
# k, d and q above, found on pictures that no published figure is from
ALPHA_ERROR = 0.12
ALIKE = 0.03
OVERSHOOT = 3.0
# α below this divides like this
LEAST_ALPHA = 0.1
# side of the squares that are worked on if they hold a soft pixel
TILE_PX = 64
# tiles side by side that are worked on at once: their planes shall stay near the processor
TILES = 16

Window = tuple[slice, slice]


class Inversion:
    """Improves the smooth estimate of a foreground where 0 < α < 1, a band of rows at a time.

    `image` B×3×H×W float and `alpha` B×1×H×W float32, both in [0, 1] and on one device. The
    picture as a whole is looked at here; later only rows near to the band are, so that the others
    may be overwritten by then.
    """

    def __init__(self, image: Tensor, alpha: Tensor) -> None:
        self._image, self._alpha = image, alpha
        self._cells: dict[int, Tensor] = {}
        for item, opacity in enumerate(alpha):
            if any(bool(_is_soft(rows).any()) for rows in opacity.split(8 * TILE_PX, -2)):
                self._cells[item] = _far_background(image[item], opacity)

    def __call__(self, item: int, band: slice, foreground: Tensor) -> None:
        """Change `foreground`, 3×h×W float32, of the rows `band` of a picture, in place."""
        if item not in self._cells:
            return
        image, alpha = self._image[item], self._alpha[item]
        for rows, columns in soft_windows(alpha[:, band]):
            window = (slice(rows.start + band.start, rows.stop + band.start), columns)
            target = foreground[:, rows, columns]
            _invert_window_(target, image, alpha, self._cells[item], window)


def near_radius(height: int, width: int) -> int:
    """Return the radius of the small window in pixels, for a picture of that size."""
    return round(NEAR_PX * max(math.sqrt(height * width / 1e6), 1.0))


def soft_windows(alpha: Tensor) -> list[Window]:
    """Find the rows and columns of the tiles of 1×h×W that hold soft pixels, up to TILES of them as
    one.
    """
    height, width = alpha.shape[-2:]
    tiles = functional.max_pool2d(_is_soft(alpha), TILE_PX, ceil_mode=True)[0].cpu() > 0
    windows: list[Window] = []
    for top in torch.nonzero(tiles.any(-1))[:, 0].tolist():
        rows = slice(top * TILE_PX, min((top + 1) * TILE_PX, height))
        ends = functional.pad(tiles[top].to(torch.int8), (1, 1)).diff().nonzero()
        for left, right in ends.view(-1, 2).tolist():
            for first in range(left, right, TILES):
                end = min(first + TILES, right) * TILE_PX
                windows.append((rows, slice(first * TILE_PX, min(end, width))))
    return windows


def _is_soft(alpha: Tensor) -> Tensor:
    """Return 1 where 0 < α < 1 in a file of 8 bit, else 0: a network's α is hardly ever 0 or 1."""
    return ((alpha > TRANSPARENT) & (alpha < 1 - TRANSPARENT)).to(torch.float32)


def _far_background(image: Tensor, alpha: Tensor) -> Tensor:
    """Return the colour and the variance of each cell: 3×H×W and 1×H×W → 1×4×h×w."""

    def weight(opacity: Tensor) -> Tensor:
        return torch.where(opacity < SEEN_ALPHA, 1.0, FAINT * (1 - opacity))

    cells = torch.from_numpy(colour_cells(image, alpha[0], weight))
    deviation = (cells[:3] - MIDDLE).square().sum(0, keepdim=True)
    cells[3:] = (cells[3:] - deviation).clamp(min=0) / 3
    return cells[None].to(image.device)


# a thread does not know by itself that its caller is in this mode, as ComfyUI is
@torch.inference_mode()
def _invert_window_(
    target: Tensor, image: Tensor, alpha: Tensor, cells: Tensor, window: Window
) -> None:
    """Improve the smooth estimate `target` 3×h×w of a window of `image` 3×H×W, in place."""
    inside = (slice(None), *window)
    opacity = alpha[inside]
    soft = _is_soft(opacity) > 0
    rows, columns = torch.nonzero(soft[0], as_tuple=True)
    place = rows * target.shape[-1] + columns

    def at(planes: Tensor) -> Tensor:
        return planes.reshape(len(planes), -1).index_select(1, place)

    # sums are taken in a window that is one pixel larger than needed, so that the mirror at a cut
    # edge does no harm
    radius = near_radius(*alpha.shape[-2:])
    top, left = (max(part.start - radius - 1, 0) for part in window)
    bottom, right = (part.stop + radius + 1 for part in window)
    seen = (alpha[:, top:bottom, left:right] < SEEN_ALPHA).to(torch.float32)
    planes = torch.cat((image[:, top:bottom, left:right] * seen, seen))
    rows, columns = rows + window[0].start, columns + window[1].start
    near = box_blur(planes[None], 2 * radius + 1)[0].reshape(4, -1)
    near = near.index_select(1, (rows - top) * planes.shape[-1] + columns - left)
    far = _far_at(cells, rows, columns)
    background = (near[:3] + FAINT * far[:3]) / (near[3:] + FAINT)
    shown = at(image[inside].to(torch.float32))
    result = _mix(shown, at(opacity), background, far[3:], at(target))
    target.masked_scatter_(soft, result)


def _far_at(cells: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return what 1×4×h×w cells hold at N pixels of the picture, bilinear: 4×N."""
    centres = torch.stack((columns, rows), -1) + 0.5
    size = centres.new_tensor((cells.shape[-1], cells.shape[-2])) * CELL_PX
    grid = (2 / size * centres - 1)[None, None]
    sampled = functional.grid_sample(cells, grid, padding_mode="border", align_corners=False)
    return sampled[0, :, 0]


def _mix(
    shown: Tensor, alpha: Tensor, background: Tensor, variance: Tensor, smooth: Tensor
) -> Tensor:
    """Compute F by the formula above; 3×N, alpha and variance 1×N."""
    raw = (shown - (1 - alpha) * background) / alpha.clamp(min=LEAST_ALPHA)
    inverse = raw.clamp(0, 1)
    squared = alpha.square()
    overshoot = (raw - inverse).square().amax(0, keepdim=True)
    doubt = variance / ((smooth - background).square().mean(0, keepdim=True) + ALIKE)
    doubt += OVERSHOOT * squared * overshoot + ALPHA_ERROR**2
    return smooth + squared / (squared + doubt) * (inverse - smooth)
