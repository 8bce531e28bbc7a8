"""RTMDet-Ins in all its sizes (l, m, s, tiny, …), with heads whose norms are per level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...words import NetworkInput
from ..architecture import Architecture, StateDict, batch_counter, count_items, size_of
from .config import read_settings
from .dynamic_masks import hidden_channels
from .head import STRIDES
from .rtmdet_ins import RTMDetIns

__all__ = ["ARCHITECTURE", "RTMDetIns", "build"]

_HEAD = "bbox_head"
_LEVELS = range(1, len(STRIDES))
# what training and other readers keep beside the network
_NOT_NETWORK = ("data_preprocessor.", "ema_", "steps")


def build(state: StateDict) -> RTMDetIns:
    """Make an RTMDet-Ins of the shapes in `state`, without its values."""
    stages = [f"backbone.stage{stage}" for stage in (1, 2, 3, 4)]
    depth = count_items(state, f"{_HEAD}.cls_convs.0")
    kernel_length = size_of(state, f"{_HEAD}.rtm_kernel.0.weight")
    prototypes = size_of(state, f"{_HEAD}.mask_head.projection.weight")
    hidden_channels(kernel_length, prototypes)  # raises ValueError if they do not fit
    return RTMDetIns(
        widths=(
            size_of(state, "backbone.stem.2.conv.weight"),
            *(size_of(state, f"{stage}.0.conv.weight") for stage in stages),
        ),
        depths=tuple(
            count_items(state, f"{stage}.{2 if stage is stages[-1] else 1}.blocks")
            for stage in stages
        ),
        neck_channels=size_of(state, "neck.out_convs.0.conv.weight"),
        neck_blocks=count_items(state, "neck.top_down_blocks.0.blocks"),
        channels=size_of(state, f"{_HEAD}.cls_convs.0.0.conv.weight"),
        classes=size_of(state, f"{_HEAD}.rtm_cls.0.weight"),
        depth=depth,
        kernel_length=kernel_length,
        prototypes=prototypes,
        mask_channels=size_of(state, f"{_HEAD}.mask_head.fusion_conv.weight"),
        mask_depth=count_items(state, f"{_HEAD}.mask_head.stacked_convs"),
        shared_convs=_same_convolutions(state),
        shared_towers=_same_towers(state),
    )


def _same_convolutions(state: StateDict) -> bool:
    """Tell whether all levels of the towers of scores and of boxes share their convolutions."""
    return all(
        key not in state or torch.equal(state[key], first)
        for tower in ("cls_convs", "reg_convs")
        for index in range(count_items(state, f"{_HEAD}.{tower}.0"))
        for first in [state[f"{_HEAD}.{tower}.0.{index}.conv.weight"]]
        for key in (f"{_HEAD}.{tower}.{level}.{index}.conv.weight" for level in _LEVELS)
    )


def _same_towers(state: StateDict) -> bool:
    """Tell whether boxes are read from the tower of scores, whose tensors are then listed twice."""
    return all(
        torch.equal(value, state[key.replace("reg_convs", "cls_convs")])
        for key, value in state.items()
        if key.startswith(f"{_HEAD}.reg_convs.") and not key.endswith("num_batches_tracked")
    )


def rename_keys(state: StateDict) -> dict[str, Tensor]:
    """Leave out what is no part of the network."""
    return {key: value for key, value in state.items() if not key.startswith(_NOT_NETWORK)}


def default_value(key: str, state: StateDict) -> Tensor | None:
    """Return the other name of a tensor that the file lists once, or a counter."""
    first = key.replace(f"{_HEAD}.reg_convs.", f"{_HEAD}.cls_convs.")
    if first in state:
        return state[first]
    if first.endswith(".conv.weight") and first.startswith(f"{_HEAD}.cls_convs."):
        _, _, level, rest = first.split(".", 3)
        return state.get(f"{_HEAD}.cls_convs.0.{rest}") if level != "0" else None
    return batch_counter(key, state)


def configure(network: nn.Module, text: str) -> None:
    """Take over the input side and the norms' eps of the configuration that a
    checkpoint carries.
    """
    assert isinstance(network, RTMDetIns)
    settings = read_settings(text)
    network.side_px = settings.side_px
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and settings.eps is not None:
            module.eps = settings.eps


ARCHITECTURE = Architecture(
    id="rtmdet_ins",
    task="instances",
    keys=(
        "backbone.stage1.1.attention.fc.weight",
        "neck.reduce_layers.0.conv.weight",
        f"{_HEAD}.cls_convs.0.0.conv.weight",
        f"{_HEAD}.rtm_kernel.0.weight",
        f"{_HEAD}.mask_head.projection.weight",
    ),
    build=build,
    multiple_of=32,
    # measured on a small trained one (not on published weights): against fp32, masks have an IoU of
    # at least 0.99 in fp16 and 0.98 in bf16, scores differ by up to 0.002 and 0.02
    half=True,
    input=NetworkInput((640, 640), fit="pad", fill=114 / 255),
    bytes_per_pixel=500,
    configure=configure,
    rename_keys=rename_keys,
    default_value=default_value,
)
