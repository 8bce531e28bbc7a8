"""The refiner made ready for training."""

from __future__ import annotations

import torch
from torch import nn

from ...errors import BadInput
from ...host import Host
from ...imaging import reverse_colours
from ...loading import load_network
from ...models.isnet import ISNet
from ..checks import require_counts, require_pair, require_sides
from ..instance_config import RefinerConfig
from ..processes import Processes

_CHANNELS = 4


def check_config(config: RefinerConfig, here: Processes) -> None:
    """Raises BadInput for what cannot work."""
    require_sides("--size-px", config.size_px, unit=1, least=32)
    require_counts(config, "epochs")
    require_pair(config, here)
    if config.width < 4 or config.width % 4:
        raise BadInput("--width must be a multiple of 4", str(config.width))


def start_network(config: RefinerConfig, host: Host) -> ISNet:
    """The network of `config.init` in float32, or a new one; ready for gradients.

    A matting IS-Net becomes a refiner that ignores coarse masks at first.
    """
    if not config.init:
        torch.manual_seed(config.seed)
        return ISNet(channels_in=_CHANNELS, width=config.width)
    network = load_network(config.init, host, task=None, precision="fp32").network
    if not isinstance(network, ISNet):
        raise BadInput("--init must be an IS-Net, such as anime-refiner", config.init)
    if network.conv_in.in_channels != _CHANNELS:
        network.conv_in = _with_a_mask(network.conv_in)
    return network.requires_grad_(True)


@torch.no_grad()
def _with_a_mask(layer: nn.Conv2d) -> nn.Conv2d:
    """Red, green, blue → blue, green, red and a mask of no weight."""
    wider = nn.Conv2d(_CHANNELS, layer.out_channels, 3, stride=2, padding=1)
    unseen = torch.zeros_like(wider.weight[:, :1])
    wider.weight.copy_(torch.cat((reverse_colours(layer.weight), unseen), 1))
    assert wider.bias is not None
    assert layer.bias is not None
    wider.bias.copy_(layer.bias)
    return wider
