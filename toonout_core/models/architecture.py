"""What makes a network recognisable from its state dict alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """One network family: how to recognise it, build it and feed it."""

    id: str
    keys: tuple[str, ...]  # all of them present: it is this one
    build: Callable[[StateDict], nn.Module]  # constructor arguments read from shapes
    multiple_of: int  # height and width of the input must be multiples of it
    half: bool  # sound in fp16 / bf16
    input_size_hw: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bytes_per_pixel: int  # of working memory, fp32, per input pixel
    rename_keys: Callable[[StateDict], dict[str, Tensor]] | None = None

    def matches(self, state: StateDict) -> bool:
        return all(key in state for key in self.keys)


def count_items(state: StateDict, prefix: str) -> int:
    """Length of the `nn.ModuleList` or `nn.Sequential` at `prefix` (its largest index + 1)."""
    indices = [
        int(key[len(prefix) + 1 :].split(".", 1)[0])
        for key in state
        if key.startswith(f"{prefix}.") and key[len(prefix) + 1 :].split(".", 1)[0].isdigit()
    ]
    return max(indices) + 1 if indices else 0
