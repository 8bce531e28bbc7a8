"""The networks that `train unet` knows: how each starts, and what of it learns how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from ...errors import BadInput
from ...models import Architecture, lite_unet, recognise, unet
from ...models.lite_unet import LITE_SIZES, LiteUNet
from ...models.unet import UNet
from ..checks import require_sides
from ..config import UNetConfig
from ..norms import batch_norms

_KNOWN = (unet.ARCHITECTURE, lite_unet.ARCHITECTURE)


def start_network(config: UNetConfig) -> tuple[nn.Module, Architecture]:
    """A new network of the config's shape, or the one in `config.init`, whatever its shape."""
    if config.init:
        state = load_file(config.init)
        architecture = recognise(state)
        if architecture not in _KNOWN:
            known = " or ".join(item.id for item in _KNOWN)
            raise BadInput(f"--init must be weights of {known}", architecture.id)
        # weight files are half precision as a rule, optimisers are not
        return architecture.load(state).float().requires_grad_(True), architecture
    torch.manual_seed(config.seed)
    if config.arch == "unet":
        network = UNet(widths=config.widths, patch=config.patch, separable=config.separable)
        return network, unet.ARCHITECTURE
    if config.encoder not in LITE_SIZES:
        raise BadInput(f"--encoder must be one of {', '.join(LITE_SIZES)}", repr(config.encoder))
    network = LiteUNet(*LITE_SIZES[config.encoder], config.decoder_widths)
    if config.encoder_weights:
        lite_unet.read_encoder(network.encoder, Path(config.encoder_weights))
    return network, lite_unet.ARCHITECTURE


def check_sides(network: nn.Module, config: UNetConfig) -> None:
    """Raises BadInput for pictures that `network` cannot halve as often as it does."""
    unit = least = lite_unet.ARCHITECTURE.multiple_of
    if isinstance(network, UNet):  # levels may have odd sides, patches may not
        unit, least = network.patch, network.patch << len(network.decoder)
    require_sides("--sizes-px", *config.sizes_px, unit=unit, least=least)
    require_sides("--validate-px", *filter(None, [config.validate_px]), unit=unit, least=least)


def parameter_groups(network: nn.Module, config: UNetConfig) -> list[dict[str, Any]]:
    """For AdamW: only matrices decay; `rate` is the factor of the learning rate."""
    slow = isinstance(network, LiteUNet)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        key = (slow and name.startswith("encoder."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "rate": config.encoder_rate if encoder else 1.0,
            "weight_decay": config.weight_decay if matrix else 0.0,
        }
        for (encoder, matrix), parameters in groups.items()
    ]


def keep_statistics(network: nn.Module) -> None:
    """An encoder that has seen ImageNet keeps what its BatchNorm knows."""
    if isinstance(network, LiteUNet):
        for norm in batch_norms(network.encoder):
            norm.train(False)
