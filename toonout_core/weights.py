"""WEIGHTS: the one table of published weight files. Menus, README and downloads follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["matting", "instances", "refine", "depth", "inpaint"]
PatchOrder = Literal["channel_first", "channel_last"]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Weights:
    """One published weight file."""

    name: str
    task: Task
    architecture: str  # id in models.ARCHITECTURES
    file: str  # in the repository; in assets/ if `repo` is empty
    licence: str  # SPDX id of the weights, not of our code
    source: str  # paper or origin
    repo: str = ""  # on the Hugging Face hub; empty: the file is part of this package
    revision: str = ""  # commit
    sha256: str = ""  # empty: known to the hub only, which reports it with the download
    size_bytes: int = 0
    input_size_hw: tuple[int, int] = (1024, 1024)
    mean: tuple[float, float, float] = _IMAGENET_MEAN
    std: tuple[float, float, float] = _IMAGENET_STD
    patch_order: PatchOrder = "channel_first"  # BiRefNet only; cannot be seen in the file

    @property
    def embedded(self) -> bool:
        return not self.repo


WEIGHTS: tuple[Weights, ...] = (
    Weights(
        name="toonout-mini",
        task="matting",
        architecture="unet",
        file="toonout-mini.safetensors",
        licence="CC-BY-SA-4.0",
        source="this project; U-Net, arXiv:1505.04597",
        input_size_hw=(512, 512),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
)


def find(name: str) -> Weights | None:
    """The row of that name."""
    return next((row for row in WEIGHTS if row.name == name), None)
