"""What BatchNorm does while a network learns: take statistics, share them, or keep its own."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from ..errors import BadInput
from .processes import Processes

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


def require_cuda(norms: Norms, here: Processes) -> None:
    """Raises BadInput where several processes cannot share statistics."""
    if here.joined and norms == "sync" and here.device.type != "cuda":
        device = here.device.type
        raise BadInput("--norms sync must have cuda", device, "Give --norms batch or kept.")


def require_pair(norms: Norms, batch: int, here: Processes) -> None:
    """Raises BadInput where statistics would be those of one picture."""
    seen = batch * here.world if norms == "sync" else batch
    if seen < 2 and norms != "kept":
        raise BadInput(
            "--batch must be at least 2 where BatchNorm takes its statistics from the batch",
            str(batch),
            "Or give --norms kept.",
        )
