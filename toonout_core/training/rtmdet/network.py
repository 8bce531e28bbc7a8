"""An RTMDet-Ins made ready for training: where it starts, what it tells its readers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ...errors import BadInput
from ...host import Host
from ...loading import load_network
from ...models.rtmdet_ins import ARCHITECTURE, RTMDetIns
from ..checks import require_counts, require_sides
from ..instance_config import RTMDetConfig

_WIDTHS, _DEPTHS = (64, 128, 256, 512, 1024), (3, 6, 6, 3)
_CHANNELS, _NECK_BLOCKS = 256, 3
_FIRST_SCORE = 0.01  # of every cell of a new network
_FIRST_DISTANCE = 2.0  # strides from a cell to the sides of its box; below 0 there is no gradient


def check_config(config: RTMDetConfig) -> None:
    """Raises BadInput for what cannot work."""
    unit = ARCHITECTURE.multiple_of
    require_sides("--size-px", config.size_px, unit=unit, least=unit)
    require_counts(config, "epochs")
    low, high = config.scales
    if not 0 < low <= high:
        raise BadInput("--scales must be two numbers above 0, the smaller first", f"{low} {high}")
    if config.mask_stride not in (1, 2, 4, 8):
        raise BadInput("--mask-stride must be 1, 2, 4 or 8", str(config.mask_stride))


def start_network(config: RTMDetConfig, host: Host) -> RTMDetIns:
    """The network of `config.init` in float32, or a new one; one class, ready for gradients.

    Of a network of several classes the first is kept: in COCO those are people.
    """
    if not config.init:
        return new_network(config)
    network = load_network(config.init, host, task=None, precision="fp32").network
    if not isinstance(network, RTMDetIns):
        raise BadInput("--init must be an RTMDet-Ins", config.init)
    for output in network.bbox_head.rtm_cls:
        _keep_first(output)
    return network.requires_grad_(True)


def new_network(config: RTMDetConfig) -> RTMDetIns:
    """Random, the same for the same seed; cells find little and boxes are not empty at first."""
    torch.manual_seed(config.seed)
    channels = round(_CHANNELS * config.width)
    network = RTMDetIns(
        widths=tuple(round(width * config.width) for width in _WIDTHS),
        depths=tuple(_scaled(depth, config.depth) for depth in _DEPTHS),
        neck_channels=channels,
        neck_blocks=_scaled(_NECK_BLOCKS, config.depth),
        channels=channels,
        mask_channels=channels,
    )
    for output in network.bbox_head.rtm_cls:
        nn.init.constant_(_bias(output), -math.log(1 / _FIRST_SCORE - 1))
    for output in network.bbox_head.rtm_reg:
        nn.init.constant_(_bias(output), _FIRST_DISTANCE)
    return network


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights, and what must not decay: norms and biases."""
    decaying = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def configuration_text(size_px: int) -> str:
    """What published checkpoints say of the side that they are tested with, in their form."""
    return f"test_pipeline = [dict(type='Pad', size=({size_px}, {size_px}))]\n"


def _scaled(blocks: int, depth: float) -> int:
    return max(round(blocks * depth), 1)


def _bias(layer: nn.Module) -> torch.Tensor:
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return layer.bias


@torch.no_grad()
def _keep_first(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Conv2d)
    layer.weight = nn.Parameter(layer.weight[:1].clone())
    layer.bias = nn.Parameter(_bias(layer)[:1].clone())
    layer.out_channels = 1
