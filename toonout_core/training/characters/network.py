"""Load a built-in matting network with a head for characters; only the head learns."""

from __future__ import annotations

from copy import deepcopy

import torch

from ...errors import BadInput
from ...host import Host
from ...loading import load_network
from ...models.lite_unet import LiteUNet
from ...models.lite_unet.characters import CharacterHead
from ...models.lite_unet.lite_unet import LEVELS
from ..instance_config import CharactersConfig

_WIDTHS = (48, 64, 128)
_DEFAULT = "toonout-mini"


def start_network(config: CharactersConfig, host: Host) -> LiteUNet:
    """Load the matting network of `config.init` in float32; only its head has gradients."""
    init = config.init or _DEFAULT
    network = load_network(init, host, precision="fp32").network
    if not isinstance(network, LiteUNet):
        raise BadInput(
            "--init must be a matting model as `toonout train unet` makes it with an encoder", init
        )
    network = network.requires_grad_(False)
    if config.head:
        network.characters = _other_head(network, config, host)
    elif network.characters is None:
        network.characters = new_head(network, config.seed)
    network.characters.requires_grad_(True)
    return network.to(memory_format=torch.channels_last)


def new_head(network: LiteUNet, seed: int) -> CharacterHead:
    """Make a random head for the features of `network`; the same seed gives the same head."""
    torch.manual_seed(seed)
    return CharacterHead(network.encoder.channels[1:], network.widths[1:LEVELS], _WIDTHS)


def _other_head(network: LiteUNet, config: CharactersConfig, host: Host) -> CharacterHead:
    head = new_head(network, config.seed)
    if config.head == "new":
        return head
    other = load_network(config.head, host, precision="fp32").network
    learnt = other.characters if isinstance(other, LiteUNet) else None
    try:
        head.load_state_dict((learnt or other).state_dict())
    except RuntimeError as error:
        raise BadInput(
            "--head must be weights with a head for characters that fits --init", config.head
        ) from error
    return head


def with_head(network: LiteUNet, head: CharacterHead) -> LiteUNet:
    """Copy the network, with a copy of that head, in inference mode."""
    whole = deepcopy(network)
    whole.characters = deepcopy(head)
    return whole.train(False)
