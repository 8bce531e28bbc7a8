"""Large pictures: what a network sees of the whole, and then the edges at full size.

From one level to the next the picture is twice as large, up to its own size. Wherever the matte so
far is neither wholly opaque nor wholly transparent, the head for detail draws it anew. What it says
is held to that matte (`ops/looks.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import torch
from torch import Tensor

from .edges import SIDE_PX, EdgeDrawer
from .host import Host, Step, reporting
from .ops.checking import unit_planes
from .ops.looks import CELL, held, open_cells
from .ops.resizing import resize

# 1×3×H×W in [0, 1] and its coarse alpha 1×1×H×W, no side above SIDE_PX → better alpha
Draw = Callable[[Tensor, Tensor], Tensor]

_LEAST_STEP = 1.25  # a level must be so much larger than the one before


class Flow(Protocol):
    """What predicts alpha: `MattingFlow`."""

    host: Host

    @property
    def predict(self) -> Callable[..., Tensor]: ...

    def seen_px(self, size_hw: tuple[int, int], resolution: int | None = None) -> int: ...


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

    Frames are taken one at a time. Raises as `flow.predict`.
    """
    image = unit_planes(image, "image", 3)
    size_hw = (int(image.shape[-2]), int(image.shape[-1]))
    if not level_sizes(size_hw, flow.seen_px(size_hw, resolution)):
        return flow.predict(image, resolution=resolution, label=label, report=report, **options)
    alpha = image.new_empty((len(image), 1, *image.shape[-2:]), dtype=torch.float32)
    with reporting(flow.host, len(image), label, report) as step:
        for i, frame in enumerate(image.split(1)):
            alpha[i] = _of_frame(flow, frame, resolution, options)[0]
            step(1)
    return alpha


def _of_frame(flow: Flow, frame: Tensor, resolution: int | None, options: dict[str, Any]) -> Tensor:
    side = flow.seen_px((int(frame.shape[-2]), int(frame.shape[-1])), resolution)
    with ExitStack() as bars:
        report = bars.enter_context(flow.host.progress(1, "the whole"))

        def begin(count: int) -> None:
            nonlocal report
            bars.close()
            report = bars.enter_context(flow.host.progress(count, "detail"))

        def draw(image: Tensor, coarse: Tensor) -> Tensor:
            drawn = drawer.draw(image.contiguous(), coarse.contiguous())
            report(1)
            return drawn

        whole = flow.predict(frame, resolution=resolution, report=report, **options)
        drawer = EdgeDrawer(flow.host)
        return refined(frame.to(torch.float32), whole, side, draw, begin)


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
    image: Tensor, coarse: Tensor, side: int, draw: Draw, begin: Callable[[int], object]
) -> Tensor:
    """1×3×H×W and its alpha 1×1×H×W from a look at the whole, `side` long → alpha, by `draw`.

    `begin` is told how many parts a level has.
    """
    alpha, own_hw = coarse, (int(image.shape[-2]), int(image.shape[-1]))
    for size_hw in level_sizes(own_hw, side):
        alpha = _level(resize(image, size_hw), resize(alpha, size_hw), draw, begin)
    return resize(alpha, own_hw)


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
