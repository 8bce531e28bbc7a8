"""The kinds of value that several rooms name, and the record of what a network is fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    Array = npt.NDArray[Any]
else:  # whoever reads the table of weights needs neither numpy nor torch
    Array = Any

Task = Literal["matting", "instances", "refine", "depth", "inpaint"]
Dtype = Literal["fp32", "fp16", "bf16"]
Precision = Literal["auto", Dtype]
# how a BiRefNet cuts the picture into the patches that its decoder sees: see weights.py
PatchOrder = Literal["channel_first", "channel_last"]
# "squash" stretches a picture to the input size, "pad" keeps its aspect and fills the rest
TrainedFit = Literal["squash", "pad"]
Fit = Literal["auto", TrainedFit]  # "auto": as the network was trained
Colour = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class NetworkInput:
    """What a network was trained to see: pictures of this size, each value (v - mean) / std."""

    size_hw: tuple[int, int] = (1024, 1024)
    mean: Colour = (0.485, 0.456, 0.406)  # of the pictures of ImageNet, where v is in [0, 1]
    std: Colour = (0.229, 0.224, 0.225)
    fit: TrainedFit = "squash"
    fill: float | None = None  # value beside a padded picture; None: its edges, repeated

    def normalise(self, image: Tensor, white: float = 1.0) -> Tensor:
        """B×3×H×W in [0, `white`] → the values that the network was trained on."""
        mean, std = (
            image.new_tensor([white * value for value in values]).view(-1, 1, 1)
            for values in (self.mean, self.std)
        )
        return (image - mean).div_(std)
