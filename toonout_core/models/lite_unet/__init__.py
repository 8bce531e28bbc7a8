"""EfficientNet-Lite encoder and a light decoder that predict alpha: the built-in model."""

from __future__ import annotations

from torch import Tensor

from ..architecture import Architecture, StateDict, count_items
from .encoder import STRIDES, Stage
from .lite_unet import LEVELS, LiteUNet
from .pretrained import LITE_SIZES, read_encoder

__all__ = ["ARCHITECTURE", "LITE_SIZES", "LiteUNet", "build", "read_encoder"]

# other parts of a file that the alpha does not need
_BESIDE = ("characters.",)


def build(state: StateDict) -> LiteUNet:
    """A network of the shapes in `state`, without its values."""
    stages = [_stage(state, f"encoder.stages.{index}") for index in range(len(STRIDES))]
    widths = [int(state[f"decoder.{level}.second.conv.weight"].shape[0]) for level in range(LEVELS)]
    return LiteUNet(
        int(state["encoder.stem.conv.weight"].shape[0]),
        stages,
        (*widths, int(state["centre.weight"].shape[0])),
    )


def _stage(state: StateDict, prefix: str) -> Stage:
    expand = state.get(f"{prefix}.0.expand.conv.weight")
    return Stage(
        channels=int(state[f"{prefix}.0.project.conv.weight"].shape[0]),
        depth=count_items(state, prefix),
        kernel=int(state[f"{prefix}.0.depthwise.conv.weight"].shape[-1]),
        expand=1 if expand is None else int(expand.shape[0]) // int(expand.shape[1]),
    )


def _alpha_alone(state: StateDict) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(_BESIDE)}


ARCHITECTURE = Architecture(
    id="lite-unet",
    keys=(
        "encoder.stem.conv.weight",
        "encoder.stages.6.0.project.conv.weight",
        "decoder.3.first.conv.weight",
        "context.weight",
        "head.weight",
    ),
    build=build,
    multiple_of=32,
    half=True,
    input_size_hw=(512, 512),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    bytes_per_pixel=400,
    rename_keys=_alpha_alone,
    follows_picture=True,
)
