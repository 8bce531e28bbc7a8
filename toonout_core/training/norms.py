"""What BatchNorm does while a network learns: take statistics, share them, or keep its own."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from ..errors import BadInput

Norms = Literal["batch", "sync", "kept"]


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """All of a network, whatever their dimensions."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def set_mode(network: nn.Module, norms: Norms) -> None:
    """Training mode, in which BatchNorm may keep its values."""
    network.train()
    if norms == "kept":
        for module in batch_norms(network):
            module.train(False)


def share_statistics(network: nn.Module, norms: Norms, *, joined: bool) -> nn.Module:
    """`network`, whose BatchNorm sees the pictures of all processes if `norms` is "sync"."""
    if norms == "sync" and joined:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return network


def require_cuda(norms: Norms, device: torch.device) -> None:
    """Raises BadInput where statistics cannot be shared."""
    if norms == "sync" and device.type != "cuda":
        raise BadInput("--norms sync must have cuda", device.type, "Give --norms batch or kept.")
