"""The U-Net that gives a picture its lost alpha channel back."""

from __future__ import annotations

from math import isqrt

from ...words import NetworkInput
from ..architecture import Architecture, StateDict, count_items
from .unet import UNet

__all__ = ["ARCHITECTURE", "UNet", "build"]


def build(state: StateDict) -> UNet:
    """Make a U-Net of the shapes in `state`, without its values."""
    levels = count_items(state, "encoder")
    # separable: 0 depthwise, 1 pointwise, 2 norm; else: 0 convolution, 1 norm
    separable = state["encoder.0.conv1.1.weight"].ndim > 1
    norm = "2" if separable else "1"
    widths = tuple(
        int(state[f"encoder.{level}.conv2.{norm}.weight"].shape[0]) for level in range(levels)
    )
    return UNet(widths=widths, patch=isqrt(int(state["head.weight"].shape[0])), separable=separable)


ARCHITECTURE = Architecture(
    id="unet",
    keys=("stem.weight", "encoder.0.conv1.0.weight", "decoder.0.conv2.0.weight", "head.weight"),
    build=build,
    multiple_of=64,
    half=True,
    input=NetworkInput((512, 512), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    bytes_per_pixel=400,
)
