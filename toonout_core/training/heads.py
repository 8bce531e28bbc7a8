"""Start a head of the built-in matting network: all else is frozen, only the head learns."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import nn

from ..errors import BadInput
from ..host import Host
from ..loading import load_network
from ..models.lite_unet import LiteUNet
from ..models.lite_unet.characters import CharacterHead
from ..models.lite_unet.detail import DetailHead
from ..models.lite_unet.lite_unet import LEVELS

Kind = Literal["characters", "detail"]

_DEFAULT = "toonout-mini"
_CHARACTER_WIDTHS = (48, 64, 128)


def _characters(network: LiteUNet) -> CharacterHead:
    return CharacterHead(network.encoder.channels[1:], network.widths[1:LEVELS], _CHARACTER_WIDTHS)


def _detail(network: LiteUNet) -> DetailHead:
    return DetailHead(network.encoder.channels[:LEVELS], network.widths[:LEVELS])


_NEW: dict[Kind, Callable[[LiteUNet], nn.Module]] = {"characters": _characters, "detail": _detail}


def start_network(kind: Kind, config: Any, host: Host) -> LiteUNet:
    """Load the matting network of `config.init` in float32; only its head has gradients.

    `config.head`: "" continues with the head that is there or begins one, "new" begins one, and a
    file gives its head. Raises BadInput for weights that do not fit.
    """
    init = config.init or _DEFAULT
    network = load_network(init, host, precision="fp32").network
    if not isinstance(network, LiteUNet):
        raise BadInput(
            "--init must be a matting model as `toonout train unet` makes it with an encoder", init
        )
    network = network.requires_grad_(False)
    if config.head:
        setattr(network, kind, _other_head(kind, network, config, host))
    elif getattr(network, kind) is None:
        setattr(network, kind, new_head(kind, network, config.seed))
    getattr(network, kind).requires_grad_(True)
    return network.to(memory_format=torch.channels_last)


def new_head(kind: Kind, network: LiteUNet, seed: int) -> nn.Module:
    """Make a random head for the features of `network`; the same seed gives the same head."""
    torch.manual_seed(seed)
    return _NEW[kind](network)


def _other_head(kind: Kind, network: LiteUNet, config: Any, host: Host) -> nn.Module:
    head = new_head(kind, network, config.seed)
    if config.head == "new":
        return head
    other = load_network(config.head, host, precision="fp32").network
    learnt = getattr(other, kind) if isinstance(other, LiteUNet) else None
    try:
        head.load_state_dict((learnt or other).state_dict())
    except RuntimeError as error:
        raise BadInput(
            f"--head must be weights with a head for {kind} that fits --init", config.head
        ) from error
    return head


def with_head(kind: Kind, network: LiteUNet, head: nn.Module) -> LiteUNet:
    """Copy the network, with a copy of that head, in inference mode."""
    whole = deepcopy(network)
    setattr(whole, kind, deepcopy(head))
    return whole.train(False)
