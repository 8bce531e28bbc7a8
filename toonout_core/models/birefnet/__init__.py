"""BiRefNet in all its published shapes: ToonOut, general, HR, lite, and the 2024-03 layout."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt

from torch import Tensor

from ...words import NetworkInput
from ..architecture import Architecture, StateDict, batch_counter, count_items, size_of
from .attention import relative_position_index
from .birefnet import BiRefNet
from .decoder import TrainingOutput

__all__ = [
    "ARCHITECTURE",
    "ARCHITECTURE_EP480",
    "BiRefNet",
    "TrainingOutput",
    "build",
]

_BLOCK = "decoder.decoder_block1"
_COARSEST_IMAGE = "decoder.ipt_blk5.conv1.weight"


def _window(table: Tensor) -> int:
    """Return the side w of the attention window whose bias table has (2w − 1)² rows."""
    return (isqrt(int(table.shape[0])) + 1) // 2


def build(state: StateDict) -> BiRefNet:
    """Make a BiRefNet of the shapes in `state`, without its values."""
    stages = range(count_items(state, "bb.layers"))
    tables = [
        state[f"bb.layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages
    ]
    dim = size_of(state, "bb.patch_embed.proj.weight")
    branches = count_items(state, f"{_BLOCK}.dec_att.aspp_deforms")
    newer = _COARSEST_IMAGE in state
    return BiRefNet(
        dim=dim,
        depths=tuple(count_items(state, f"bb.layers.{stage}.blocks") for stage in stages),
        heads=tuple(int(table.shape[1]) for table in tables),
        window=_window(tables[0]),
        mlp_ratio=size_of(state, "bb.layers.0.blocks.0.mlp.fc1.weight") / dim,
        inner=size_of(state, f"{_BLOCK}.conv_in.weight"),
        branch=size_of(state, f"{_BLOCK}.dec_att.aspp1.atrous_conv.regular_conv.weight"),
        image_inner=size_of(state, "decoder.ipt_blk1.conv1.weight"),
        kernels=tuple(
            size_of(
                state, f"{_BLOCK}.dec_att.aspp_deforms.{index}.atrous_conv.regular_conv.weight", -1
            )
            for index in range(branches)
        ),
        image_at_coarsest=newer,
        gates=tuple(level for level in (4, 3, 2) if f"decoder.gdt_convs_{level}.0.weight" in state),
        patch_order="channel_first" if newer else "channel_last",
    )


def default_value(key: str, state: StateDict) -> Tensor | None:
    """Return what a file may leave out because it follows from the rest: position indices,
    counters.
    """
    prefix, _, name = key.rpartition(".")
    table = state.get(f"{prefix}.relative_position_bias_table")
    if name == "relative_position_index" and table is not None:
        return relative_position_index(_window(table))
    return batch_counter(key, state)


_KEYS = (
    "bb.patch_embed.proj.weight",
    "bb.layers.0.blocks.0.attn.relative_position_bias_table",
    "squeeze_module.0.conv_in.weight",
    f"{_BLOCK}.dec_att.aspp1.atrous_conv.offset_conv.weight",
    "decoder.ipt_blk1.conv1.weight",
    "decoder.conv_out1.0.weight",
)

ARCHITECTURE = Architecture(
    id="birefnet",
    keys=(*_KEYS, _COARSEST_IMAGE),
    build=build,
    multiple_of=32,
    half=True,
    input=NetworkInput(),
    bytes_per_pixel=1000,
    default_value=default_value,
    patch_order="channel_first",
)

ARCHITECTURE_EP480 = replace(
    ARCHITECTURE,
    id="birefnet_ep480",
    keys=_KEYS,
    input=NetworkInput((1024, 1024), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    patch_order="channel_last",
)
