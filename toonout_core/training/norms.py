"""What BatchNorm does while a network learns: take statistics, share them, or keep its own."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

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
