"""IS-Net, used twice: to cut out anime characters, and to refine a coarse mask of one."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ...words import NetworkInput
from ..architecture import Architecture, StateDict
from .isnet import ISNet

__all__ = ["ARCHITECTURE", "ARCHITECTURE_REFINER", "ISNet", "build"]

_FIRST = "conv_in.weight"


def build(state: StateDict) -> ISNet:
    """Make an IS-Net of the shapes in `state`, without its values."""
    width, channels_in = state[_FIRST].shape[:2]
    return ISNet(channels_in=int(channels_in), width=int(width))


def rename_keys(state: StateDict) -> dict[str, Tensor]:
    """Leave out the network that taught it to describe masks: it serves training only."""
    return {key: value for key, value in state.items() if not key.startswith("gt_encoder.")}


def _sees(channels: int, state: StateDict) -> bool:
    first = state[_FIRST]
    return first.ndim == 4 and first.shape[1] == channels


_KEYS = (
    _FIRST,
    "stage1.rebnconvin.conv_s1.weight",
    "stage6.rebnconv4.conv_s1.weight",
    "stage1d.rebnconv1d.conv_s1.weight",
    "side1.weight",
)

# Apache-2.0, https://github.com/SkyTNT/anime-segmentation: a picture in [0, 1], its long side
# enlarged or shrunk to the canvas, black beside it
ARCHITECTURE = Architecture(
    id="isnet",
    keys=_KEYS,
    condition=lambda state: _sees(3, state),
    build=build,
    multiple_of=1,
    half=True,
    input=NetworkInput((1024, 1024), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "pad", fill=0.0),
    bytes_per_pixel=1000,
    rename_keys=rename_keys,
)

# second stage of Instance-guided Cartoon Editing (arXiv:2312.01943): blue, green, red in [0, 1]
# and a coarse mask; never enlarged, black to the right and below
ARCHITECTURE_REFINER = replace(
    ARCHITECTURE,
    id="isnet_refiner",
    task="refine",
    condition=lambda state: _sees(4, state),
    # measured on a small trained one (not on published weights): alpha differs from that of fp32 by
    # up to 0.003 in fp16 and 0.03 in bf16
    half=True,
    input=replace(ARCHITECTURE.input, size_hw=(720, 720)),
)
