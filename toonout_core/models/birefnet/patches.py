"""The picture as a stack of patches, and the one way in which BiRefNet resizes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from ...words import PatchOrder


def image_patches(image: Tensor, size_hw: Sequence[int], order: PatchOrder) -> Tensor:
    """Patches of size_hw stacked along the channels: B×C×H×W → B×(C·rows·cols)×h×w.

    Channel index: (c·rows + row)·cols + col for "channel_first"; for "channel_last", which networks
    trained before November 2024 expect, (col·rows + row)·C + c. The state dict does not show it.
    """
    batch, channels, height, width = image.shape
    rows, cols = height // size_hw[0], width // size_hw[1]
    grid = image.view(batch, channels, rows, size_hw[0], cols, size_hw[1])
    axes = (0, 1, 2, 4, 3, 5) if order == "channel_first" else (0, 4, 2, 1, 3, 5)
    return grid.permute(axes).reshape(batch, channels * rows * cols, *size_hw)


def resize(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Bilinear, corner pixels on corner pixels."""
    if tuple(x.shape[-2:]) == tuple(size_hw):
        return x
    return F.interpolate(x, size=tuple(size_hw), mode="bilinear", align_corners=True)
