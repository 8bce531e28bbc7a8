"""EfficientNet-Lite encoder and a light decoder that predict alpha: the built-in model."""

from __future__ import annotations

from torch import nn

from ...words import NetworkInput
from ..architecture import Architecture, StateDict, count_items
from .characters import read_certainty
from .encoder import STRIDES, Stage
from .lite_unet import LEVELS, LiteUNet
from .pretrained import LITE_SIZES, read_encoder

__all__ = ["ARCHITECTURE", "LITE_SIZES", "LiteUNet", "build", "read_encoder"]

# parts that a file may have or not, as alpha does not need them, and where their widths are read
_HEADS = {
    "characters": ("join4", "join8", "join16"),
    "detail": ("join2", "join4", "join8", "join16"),
}


def build(state: StateDict) -> LiteUNet:
    """Make a network of the shapes in `state`, without its values."""
    stages = [_stage(state, f"encoder.stages.{index}") for index in range(len(STRIDES))]
    widths = [int(state[f"decoder.{level}.second.conv.weight"].shape[0]) for level in range(LEVELS)]
    return LiteUNet(
        int(state["encoder.stem.conv.weight"].shape[0]),
        stages,
        (*widths, int(state["centre.weight"].shape[0])),
        **{head: _head_widths(state, head) for head in _HEADS},
    )


def _head_widths(state: StateDict, head: str) -> tuple[int, ...] | None:
    """Return the channels of a head, finest first; None where there is none."""
    if f"{head}.out.weight" not in state:
        return None
    return tuple(int(state[f"{head}.{name}.conv.weight"].shape[0]) for name in _HEADS[head])


def _stage(state: StateDict, prefix: str) -> Stage:
    expand = state.get(f"{prefix}.0.expand.conv.weight")
    return Stage(
        channels=int(state[f"{prefix}.0.project.conv.weight"].shape[0]),
        depth=count_items(state, prefix),
        kernel=int(state[f"{prefix}.0.depthwise.conv.weight"].shape[-1]),
        expand=1 if expand is None else int(expand.shape[0]) // int(expand.shape[1]),
    )


def configure(network: nn.Module, text: str) -> None:
    """Set how sure the head for characters is of what it finds, as the file says."""
    assert isinstance(network, LiteUNet)
    if network.characters is not None:
        network.characters.certainty = read_certainty(text)


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
    input=NetworkInput((512, 512), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    bytes_per_pixel=400,
    configure=configure,
    follows_picture=True,
)
