"""Guarded inversion: the colours of soft pixels from the old background, which is seen beside them.

I = αF + (1−α)B. B at a soft pixel is the mean of the pixels with α < 2 % around it: from cells of
the whole picture (`colour_cells`) where none is near, else from a small window. The same window
gives the colour of the body, the mean of the pixels with α > 98 %. `mixing` finds F from these.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .blur import box_blur
from .blur_fusion import TRANSPARENT
from .mixing import Known, mix
from .spreading import CELL_PX, MIDDLE, colour_cells

# α below this shows the background alone, and above 1 minus this the character
SEEN_ALPHA = 0.02
# weight of other pixels where the background is nowhere seen, and of far cells where it is not near
FAINT = 1e-3
# radius of the small window, in pixels that are looked at
NEAR_PX = 2
# side of the squares that are worked on if they hold a soft pixel
TILE_PX = 64
# tiles side by side that are looked at at once: their planes shall stay near the processor
TILES = 16
# soft pixels that are solved at once
PIXELS = 16384

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

    # a thread does not know by itself that its caller is in this mode, as ComfyUI is
    @torch.inference_mode()
    def __call__(self, item: int, band: slice, foreground: Tensor) -> None:
        """Change `foreground`, 3×h×W float32, of the rows `band` of a picture, in place."""
        if item not in self._cells:
            return
        waiting: list[tuple[Tensor, Tensor, Known]] = []
        pixels = 0
        for rows, columns in soft_windows(self._alpha[item, :, band]):
            target = foreground[:, rows, columns]
            window = (slice(rows.start + band.start, rows.stop + band.start), columns)
            known, soft = self.look(item, window, target)
            waiting.append((target, soft, known))
            # each step costs some time for itself, however few pixels there are
            pixels += known.alpha.shape[1]
            if pixels >= PIXELS:
                _solve_(waiting)
                pixels = 0
        _solve_(waiting)

    def look(self, item: int, window: Window, smooth: Tensor) -> tuple[Known, Tensor]:
        """Return what is known of the soft pixels of a window, and where they are, 1×h×w bool.
        `smooth` is F₀ of the window, 3×h×w.
        """
        return _look(smooth, self._image[item], self._alpha[item], self._cells[item], window)


def _solve_(waiting: list[tuple[Tensor, Tensor, Known]]) -> None:
    """Write colours into targets 3×h×w, where they are soft, by what is known; empty the list."""
    if not waiting:
        return
    targets, soft, known = zip(*waiting, strict=True)
    colours = mix(Known(*(torch.cat(parts, 1) for parts in zip(*known, strict=True))))
    parts = colours.split([one.alpha.shape[1] for one in known], 1)
    for target, where, part in zip(targets, soft, parts, strict=True):
        target.masked_scatter_(where, part)
    waiting.clear()


def pixel_step(height: int, width: int) -> int:
    """Return how far apart the pixels are that are looked at around soft ones.

    It grows with the picture. So windows grow, too, but not the work that they make.
    """
    return max(round(math.sqrt(height * width / 1e6)), 1)


def soft_windows(alpha: Tensor) -> list[Window]:
    """Find the rows and columns of the tiles of 1×h×W that hold soft pixels, up to TILES of them as
    one.
    """
    height, width = alpha.shape[-2:]
    away = (alpha[0] - 0.5).abs_()
    if height % TILE_PX or width % TILE_PX:
        away = functional.pad(away, (0, -width % TILE_PX, 0, -height % TILE_PX), value=1.0)
    least = away.view(-1, TILE_PX, away.shape[1]).amin(1)
    least = least.view(len(least), -1, TILE_PX).amin(2)
    tiles = (least < 0.5 - TRANSPARENT).cpu()
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
    """Tell where 0 < α < 1 in a file of 8 bit: a network's α is hardly ever 0 or 1."""
    return (alpha - 0.5).abs_() < 0.5 - TRANSPARENT


def _far_background(image: Tensor, alpha: Tensor) -> Tensor:
    """Return the colour and the variance of each cell: 3×H×W and 1×H×W → 1×4×h×w."""

    def weight(opacity: Tensor) -> Tensor:
        return torch.where(opacity < SEEN_ALPHA, 1.0, FAINT * (1 - opacity))

    step = pixel_step(*alpha.shape[-2:])
    some = (slice(None), slice(None, None, step), slice(None, None, step))
    cells = torch.from_numpy(colour_cells(image[some], alpha[some][0], weight))
    deviation = (cells[:3] - MIDDLE).square().sum(0, keepdim=True)
    cells[3:] = (cells[3:] - deviation).clamp(min=0) / 3
    return cells[None].to(image.device)


def _look(
    smooth: Tensor, image: Tensor, alpha: Tensor, cells: Tensor, window: Window
) -> tuple[Known, Tensor]:
    soft = _is_soft(alpha[:, window[0], window[1]])
    inner_rows, inner_columns = torch.nonzero(soft[0], as_tuple=True)
    rows, columns = inner_rows + window[0].start, inner_columns + window[1].start
    smooth = smooth[:, inner_rows, inner_columns]
    # sums are taken in a window that is larger than needed by a place, so that the mirror at a cut
    # edge does no harm
    step = pixel_step(*alpha.shape[-2:])
    beyond = (NEAR_PX + 1) * step
    top, left = (max(part.start - beyond, 0) // step * step for part in window)
    around = (slice(top, window[0].stop + beyond, step), slice(left, window[1].stop + beyond, step))
    part, colours = alpha[(slice(None), *around)], image[(slice(None), *around)]
    planes = image.new_empty((8, *part.shape[-2:]), dtype=torch.float32)
    behind = torch.lt(part, SEEN_ALPHA, out=planes[6:7])
    solid = torch.gt(part, 1 - SEEN_ALPHA, out=planes[7:])
    torch.mul(colours, behind, out=planes[:3])
    torch.mul(colours, solid, out=planes[3:6])
    down, across = ((rows - top) // step, (columns - left) // step)
    near = box_blur(planes[None], 2 * NEAR_PX + 1)[0, :, down, across]
    far = _far_at(cells, step, rows, columns)
    behind_share, body_share = near[6:7], near[7:]
    known = Known(
        shown=image[:, rows, columns].to(torch.float32),
        alpha=alpha[:, rows, columns],
        smooth=smooth,
        background=(near[:3] + FAINT * far[:3]) / (behind_share + FAINT),
        variance=far[3:],
        body=(near[3:6] + FAINT * smooth) / (body_share + FAINT),
        behind_share=behind_share,
        body_share=body_share,
    )
    return known, soft


def _far_at(cells: Tensor, step: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Return what 1×4×h×w cells of every `step`th pixel hold at N pixels of the picture, bilinear:
    4×N.
    """
    centres = torch.stack((columns, rows), -1) + 0.5
    size = centres.new_tensor((cells.shape[-1], cells.shape[-2])) * (CELL_PX * step)
    grid = (2 / size * centres - 1)[None, None]
    sampled = functional.grid_sample(cells, grid, padding_mode="border", align_corners=False)
    return sampled[0, :, 0]
