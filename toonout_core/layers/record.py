"""The record of a picture in layers, before it becomes a file of a paint program."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import from_levels, to_levels

MOST_LAYERS = 500


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: 8-bit levels, as files hold them.

    `image` 1×3×h×w and `alpha` 1×1×h×w, uint8, straight. `left_px`, `top_px`: where its upper left
    corner lies on the canvas; it may stick out. `opacity` in [0, 1]. `group`: the name of the group
    that it lies in, "" for none.
    """

    name: str
    image: Tensor
    alpha: Tensor
    left_px: int = 0
    top_px: int = 0
    opacity: float = 1.0
    visible: bool = True
    group: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 4 or self.image.shape[:2] != (1, 3):
            raise BadInput("a layer must be 1×3×h×w", f"shape {tuple(self.image.shape)}")
        if self.alpha.shape != (1, 1, *self.image.shape[-2:]):
            raise BadInput(
                "a layer's alpha must have the size of its colours", str(tuple(self.alpha.shape))
            )
        if self.image.dtype != torch.uint8 or self.alpha.dtype != torch.uint8:
            raise BadInput("a layer must hold uint8 levels", f"{self.image.dtype}")
        if not 0 <= self.opacity <= 1:
            raise BadInput("a layer's opacity must be 0 to 1", str(self.opacity))

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[-2]), int(self.image.shape[-1])


@dataclass(frozen=True, eq=False)
class LayeredPicture:
    """Layers of a canvas, the lowest first. Layers of one group follow one another."""

    size_hw: tuple[int, int]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if min(self.size_hw) < 1:
            raise BadInput("a canvas must have at least one pixel", f"{self.size_hw}")
        if not 1 <= len(self.layers) <= MOST_LAYERS:
            raise BadInput(
                f"a layered picture must have 1 to {MOST_LAYERS} layers", str(len(self.layers))
            )
        blocks = [self.layers[0].group]
        blocks += [b.group for a, b in pairwise(self.layers) if b.group != a.group]
        named = [name for name in blocks if name]
        if len(set(named)) != len(named):
            raise BadInput("the layers of a group must follow one another", ", ".join(blocks))

    def flat(self) -> tuple[Tensor, Tensor]:
        """Lay the visible layers over one another: colours 1×3×H×W, straight, and alpha 1×1×H×W.

        Both are float32 in [0, 1]. It is black where nothing is.
        """
        height, width = self.size_hw
        colours = torch.zeros(1, 3, height, width)  # premultiplied until the end
        alpha = torch.zeros(1, 1, height, width)
        for layer in self.layers:
            region = _region(layer, self.size_hw)
            if not layer.visible or region is None:
                continue
            rows, columns, own_rows, own_columns = region
            own = from_levels(layer.alpha[..., own_rows, own_columns]) * layer.opacity
            image = from_levels(layer.image[..., own_rows, own_columns])
            below = colours[..., rows, columns]
            colours[..., rows, columns] = image * own + below * (1 - own)
            alpha[..., rows, columns] = own + alpha[..., rows, columns] * (1 - own)
        return torch.where(alpha > 0, colours / alpha.clamp_min(1e-6), colours).clamp(0, 1), alpha


def _region(layer: Layer, size_hw: tuple[int, int]) -> tuple[slice, slice, slice, slice] | None:
    """Return the rows and columns of the canvas that a layer covers, then those of the
    layer itself.
    """
    height, width = layer.size_hw
    top, left = max(layer.top_px, 0), max(layer.left_px, 0)
    bottom = min(layer.top_px + height, size_hw[0])
    right = min(layer.left_px + width, size_hw[1])
    if top >= bottom or left >= right:
        return None
    rows = slice(top - layer.top_px, bottom - layer.top_px)
    columns = slice(left - layer.left_px, right - layer.left_px)
    return slice(top, bottom), slice(left, right), rows, columns


def whole_layer(
    name: str, image: Tensor, alpha: Tensor | None = None, *, visible: bool = True, group: str = ""
) -> Layer:
    """Make a layer as large as the canvas. `image` 1×3×H×W, `alpha` 1×1×H×W (None:
    opaque), [0, 1].
    """
    opaque = torch.ones_like(image[:, :1]) if alpha is None else alpha
    levels = to_levels(image.to(torch.float32)), to_levels(opaque.to(torch.float32))
    return Layer(name, levels[0].cpu(), levels[1].cpu(), visible=visible, group=group)


def trimmed(layer: Layer) -> Layer:
    """Cut off the layer's transparent rim; one pixel is left of an empty one."""
    rows = layer.alpha[0, 0].amax(1).nonzero()
    columns = layer.alpha[0, 0].amax(0).nonzero()
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
    left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
    box = (..., slice(top, bottom), slice(left, right))
    return Layer(
        layer.name, layer.image[box], layer.alpha[box], layer.left_px + left, layer.top_px + top,
        layer.opacity, layer.visible, layer.group,
    )  # fmt: skip
