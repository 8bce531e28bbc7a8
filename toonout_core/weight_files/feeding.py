"""What a weight file may state of how its network is fed, in its safetensors metadata.

The keys, with an example of each: `mean` "0.485,0.456,0.406" and `std` "0.229,0.224,0.225" (red,
green and blue of a picture from 0 to 1), `fit` "squash" or "pad", `size` "1024" or "2560x1440"
(width x height), `patch_order` "channel_first" or "channel_last". What a file states wins over the
weights table and over what is usual for the architecture, as only who made the weights knows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ..errors import BadInput
from ..models import Architecture
from ..words import Colour, NetworkInput, PatchOrder, TrainedFit

LARGEST_STD = 2.0
SMALLEST_STD = 0.001
SIZES_PX = (32, 4096)


@dataclass(frozen=True)
class Feeding:
    """What a file states; None means that nothing is said. `size` is height and width."""

    mean: Colour | None = None
    std: Colour | None = None
    fit: TrainedFit | None = None
    size: tuple[int, int] | None = None
    patch_order: PatchOrder | None = None

    def stated(self) -> dict[str, str]:
        """Spell it as metadata; `read_feeding` reads it back."""
        values = {key: getattr(self, key) for key in KEYS}
        return {key: _spelled(key, value) for key, value in values.items() if value is not None}

    def of(self, usual: NetworkInput) -> NetworkInput:
        """Return `usual` with what is stated in its place."""
        return NetworkInput(
            size_hw=self.size or usual.size_hw,
            mean=self.mean or usual.mean,
            std=self.std or usual.std,
            fit=self.fit or usual.fit,
            fill=usual.fill,
        )

    def check(self, architecture: Architecture) -> None:
        """Raise BadInput if something is stated that a network of this kind never asks for."""
        used = _USED[architecture.task]
        if architecture.patch_order is None:
            used = tuple(key for key in used if key != "patch_order")
        unused = [key for key in self.stated() if key not in used]
        if unused:
            may = ", ".join(used)
            raise BadInput(
                f"weights of {architecture.id} may state {may} only", f"{', '.join(unused)} too"
            )
        if architecture.task != "matting" and self.size and self.size[0] != self.size[1]:
            raise BadInput(
                f"size must be that of a square for {architecture.id}", _spelled("size", self.size)
            )


NOTHING_STATED = Feeding()


def read_feeding(notes: Mapping[str, str]) -> Feeding:
    """Read what metadata, or the options of the shell, state. BadInput names what is wrong."""
    return Feeding(**{key: read(key, notes[key]) for key, read in KEYS.items() if key in notes})


def _spelled(key: str, value: Any) -> str:
    if key == "size":
        height, width = value
        return str(width) if height == width else f"{width}x{height}"
    if isinstance(value, str):
        return value
    return ",".join(repr(number).removesuffix(".0") for number in value)


def _colour(least: float, most: float) -> Callable[[str, str], Colour]:
    def read(key: str, text: str) -> Colour:
        try:
            red, green, blue = (float(part) for part in text[:200].split(","))
        except ValueError:
            red, green, blue = math.nan, math.nan, math.nan
        if not all(least <= number <= most for number in (red, green, blue)):
            raise BadInput(
                f"{key} must be three numbers from {least:g} to {most:g}, such as 0.5,0.5,0.5 (for "
                "red, green and blue of a picture from 0 to 1)",
                repr(text[:60]),
            )
        return red, green, blue

    return read


def _choice(choices: tuple[Any, ...]) -> Callable[[str, str], Any]:
    def read(key: str, text: str) -> Any:
        if text not in choices:
            raise BadInput(f"{key} must be {' or '.join(choices)}", repr(text[:60]))
        return text

    return read


def _size(key: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", text)
    width, height = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    least, most = SIZES_PX
    if not least <= min(width, height) <= max(width, height) <= most:
        raise BadInput(
            f"{key} must be a side or WIDTHxHEIGHT from {least} to {most} pixels, such as 1024",
            repr(text[:60]),
        )
    return height, width


KEYS: dict[str, Callable[[str, str], Any]] = {
    "mean": _colour(0, 1),
    "std": _colour(SMALLEST_STD, LARGEST_STD),
    "fit": _choice(get_args(TrainedFit)),
    "size": _size,
    "patch_order": _choice(get_args(PatchOrder)),
}
# detectors have their own way of fitting, and the refiner its own colours
_USED = {
    "matting": tuple(KEYS),
    "instances": ("mean", "std", "size"),
    "refine": ("size",),
}
