"""Large pictures: what a network sees of the whole, and then the edges at full size.

From one level to the next the picture is twice as large, up to its own size. Wherever the matte so
far is neither wholly opaque nor wholly transparent, the head for detail draws it anew. What it says
counts as far as it agrees with that matte over some pixels: it moves and sharpens edges, and adds
hairs, but it cannot add a second subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from .edges import SIDE_PX, EdgeDrawer
from .host import Host, Step, reporting
from .ops.checking import unit_planes
from .ops.resizing import resize

# 1×3×H×W in [0, 1] and its coarse alpha 1×1×H×W, no side above SIDE_PX → better alpha
Draw = Callable[[Tensor, Tensor], Tensor]

CELL = 8  # pixels over which alphas must agree, and how far from an edge it may be drawn anew
# mean differences of alpha over a cell: up to the first one what is new counts wholly, from the
# second on not at all. Where the matte is sure, a closer look that says something else has taken a
# white coat between two lines for background, and the lines alone for the character
_AGREES, _SURE_AGREES = (0.4, 0.8), (0.02, 0.1)
_NEAR = 7  # cells
# of large drawings: up to 0.02 where both looks were right, from 0.05 on where the closer one erred
_SAME_CHARACTER = 0.03
_TRANSPARENT, _OPAQUE = 0.05, 0.95
_LEAST_STEP = 1.25  # a level must be so much larger than the one before


class Flow(Protocol):
    """What predicts alpha: `MattingFlow`."""

    host: Host

    @property
    def predict(self) -> Callable[..., Tensor]: ...

    def native_px(self, resolution: int | None = None) -> int: ...

    def sees_more(self, image: Tensor, resolution: int | None = None) -> bool: ...


def predict_detail(
    flow: Flow,
    image: Tensor,
    *,
    resolution: int | None = None,
    label: str = "matting",
    report: Step | None = None,
    **options: Any,
) -> Tensor:
    """As `flow.predict`, but pictures above the model's size are seen in parts, too.

    Frames are taken one at a time. Where a model looks closer at large pictures by itself, this
    look takes the place of the first level's tiles.
    """
    image = unit_planes(image, "image", 3)
    side = flow.native_px(resolution)
    if not level_sizes((int(image.shape[-2]), int(image.shape[-1])), side):
        return flow.predict(image, resolution=resolution, label=label, report=report, **options)
    alpha = image.new_empty((len(image), 1, *image.shape[-2:]), dtype=torch.float32)
    with reporting(flow.host, len(image), label, report) as step:
        for i, frame in enumerate(image.split(1)):
            alpha[i] = _of_frame(flow, frame, resolution, options)[0]
            step(1)
    return alpha


def _of_frame(flow: Flow, frame: Tensor, resolution: int | None, options: dict[str, Any]) -> Tensor:
    side = flow.native_px(resolution)
    with ExitStack() as bars:
        report = bars.enter_context(flow.host.progress(2, "the whole"))

        def begin(count: int) -> None:
            nonlocal report
            bars.close()
            report = bars.enter_context(flow.host.progress(count, "detail"))

        def draw(image: Tensor, coarse: Tensor) -> Tensor:
            drawn = drawer.draw(image.contiguous(), coarse.contiguous())
            report(1)
            return drawn

        whole = flow.predict(frame, resolution=resolution, report=report, **options)
        closer = None
        if flow.sees_more(frame, resolution):
            closer = whole
            whole = flow.predict(frame, resolution=side, report=report, **options)
        drawer = EdgeDrawer(flow.host)
        return refined(frame.to(torch.float32), whole, side, draw, begin, closer)


def level_sizes(size_hw: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """Sizes that are looked at after the whole, whose longer side was `side`; the last is the
    picture's own. Empty for a picture that is hardly larger."""
    longest = max(size_hw)
    sizes: list[tuple[int, int]] = []
    seen = float(side)
    while longest > seen * _LEAST_STEP:
        seen = longest if longest <= seen * 2 * _LEAST_STEP else seen * 2
        scale = min(seen / longest, 1)
        sizes.append((max(round(size_hw[0] * scale), 1), max(round(size_hw[1] * scale), 1)))
    return sizes


def refined(
    image: Tensor,
    coarse: Tensor,
    side: int,
    draw: Draw,
    begin: Callable[[int], object],
    closer: Tensor | None = None,
) -> Tensor:
    """1×3×H×W and its alpha 1×1×H×W from a look at the whole, `side` long → alpha, by `draw`.

    `begin` is told how many parts a level has. `closer`: alpha from a second look at the whole that
    saw more of it; it takes the place of the first level, wholly where both looks see the same
    character.
    """
    alpha, own_hw = coarse, (int(image.shape[-2]), int(image.shape[-1]))
    for number, size_hw in enumerate(level_sizes(own_hw, side)):
        alpha = resize(alpha, size_hw)
        if number == 0 and closer is not None and _agree(coarse, closer):
            alpha = resize(closer, size_hw)
        elif number == 0 and closer is not None:
            alpha = held(alpha, resize(closer, size_hw) - alpha, open_cells(alpha))
        else:
            alpha = _level(resize(image, size_hw), alpha, draw, begin)
    return resize(alpha, own_hw)


def _agree(coarse: Tensor, closer: Tensor) -> bool:
    """Whether two looks at the whole see the same character, but for its edges."""
    sure = (coarse < _TRANSPARENT) | (coarse > _OPAQUE)
    other = ((closer - coarse).abs() * sure).sum()
    return float(other) <= _SAME_CHARACTER * float(coarse.sum())


def _level(image: Tensor, coarse: Tensor, draw: Draw, begin: Callable[[int], object]) -> Tensor:
    cells = open_cells(coarse)
    places = list(tiles(cells, (int(image.shape[-2]), int(image.shape[-1])), SIDE_PX))
    begin(len(places))
    # what is not looked at stays as it is
    change, weight = torch.zeros_like(coarse), torch.full_like(coarse, 1e-6)
    for rows, columns in places:
        seen, known = image[..., rows, columns], coarse[..., rows, columns]
        share = _window(seen)
        change[..., rows, columns] += (draw(seen, known) - known) * share
        weight[..., rows, columns] += share
    return held(coarse, change.div_(weight), cells)


def tiles(cells: Tensor, size_hw: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of tiles that overlap by a quarter and hold an open cell."""
    for top in _starts(size_hw[0], side):
        for left in _starts(size_hw[1], side):
            bottom, right = min(top + side, size_hw[0]), min(left + side, size_hw[1])
            part = cells[..., top // CELL : -(-bottom // CELL), left // CELL : -(-right // CELL)]
            if bool(part.any()):
                yield slice(top, bottom), slice(left, right)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    overlap = side // 4
    count = -(-(length - overlap) // (side - overlap))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _window(tile: Tensor) -> Tensor:
    """How much a tile's pixels count, H×W: all in its middle, nearly nothing at its border."""
    sides: list[Tensor] = []
    for length in tile.shape[-2:]:
        place = torch.arange(length, dtype=torch.float32, device=tile.device) + 0.5
        inwards = torch.minimum(place, length - place) / (length / 4)
        sides.append(inwards.clamp(max=1).mul(torch.pi / 2).sin().square())
    return sides[0][:, None] * sides[1]


def open_cells(alpha: Tensor) -> Tensor:
    """1×1×H×W → 1×1×h×w bool, of cells: where it is uncertain or has an edge, and beside those."""
    whole = _padded(alpha)
    most = functional.max_pool2d(whole, CELL)
    least = -functional.max_pool2d(-whole, CELL)
    found = ((most > _TRANSPARENT) & (least < _OPAQUE)).to(alpha)
    return functional.max_pool2d(found, 3, 1, 1) > 0


def held(coarse: Tensor, change: Tensor, cells: Tensor) -> Tensor:
    """`coarse` + `change`, as far as cells are open and its mean over a cell is small, and where
    closed cells near by were not to change either; 1×1×H×W."""
    whole = _padded(change)
    trust = _ramp(functional.avg_pool2d(whole, CELL).abs(), _AGREES) * cells
    trust *= _ramp(_near_by(functional.avg_pool2d(whole.abs(), CELL), ~cells), _SURE_AGREES)
    trust = functional.avg_pool2d(functional.pad(trust, (1, 1, 1, 1), mode="replicate"), 3, 1)
    smooth = functional.interpolate(
        trust, scale_factor=CELL, mode="bilinear", align_corners=False
    )[..., : coarse.shape[-2], : coarse.shape[-1]]  # fmt: skip
    return change.mul_(smooth).add_(coarse).clamp_(0, 1)


def _ramp(differs: Tensor, counts: tuple[float, float]) -> Tensor:
    """1 up to the first limit, 0 from the second one on."""
    wholly, not_at_all = counts
    return ((not_at_all - differs) / (not_at_all - wholly)).clamp_(0, 1)


def _near_by(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the cells that count in a window around each; 0 where there are none."""
    sums = functional.avg_pool2d(torch.cat((values * counted, counted.to(values)), 1), _NEAR, 1,
                                 _NEAR // 2)  # fmt: skip
    total, count = sums.split(1, 1)
    return total / count.clamp(min=1e-6)


def _padded(planes: Tensor) -> Tensor:
    """To whole cells."""
    down, right = (-int(length) % CELL for length in planes.shape[-2:])
    return functional.pad(planes, (0, right, 0, down), mode="replicate")
