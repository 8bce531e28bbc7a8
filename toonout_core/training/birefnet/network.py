"""A BiRefNet made ready for training: where it starts, what of it is random, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ...errors import BadInput
from ...host import Host
from ...loading import LoadedNetwork, load_network
from ...models.birefnet import ARCHITECTURE
from ...models.birefnet.aspp import ASPPDeformable
from ...models.birefnet.swin import SwinBlock
from ..config import BiRefNetConfig
from ..norms import batch_norms, require_cuda, set_mode, share_statistics


def start_network(config: BiRefNetConfig, host: Host) -> LoadedNetwork:
    """The network of `config.init`, in float32, its weights ready for gradients."""
    if not config.init:
        raise BadInput(
            "--init must name what fine-tuning starts from: toonout, or a weight file of BiRefNet",
            "nothing",
        )
    loaded = load_network(config.init, host, precision="fp32")
    if loaded.architecture is not ARCHITECTURE:
        raise BadInput("--init must be a BiRefNet", loaded.architecture.id)
    loaded.network.requires_grad_(True)
    return loaded


def check_config(config: BiRefNetConfig, device: torch.device) -> None:
    """Raises BadInput for what cannot work."""
    if config.size_px % 32 or config.size_px < 32:
        raise BadInput("--size-px must be a multiple of 32", str(config.size_px))
    if config.batch < 1 or (config.batch == 1 and config.norms == "batch"):
        raise BadInput(
            "--batch must be at least 2 where BatchNorm takes its statistics from the batch",
            str(config.batch),
            "Or give --norms kept.",
        )
    require_cuda(config.norms, device)


def configure(network: nn.Module, config: BiRefNetConfig, joined: bool) -> nn.Module:
    """Set what is random, and what is computed again, once; SyncBatchNorm if it is wanted."""
    blocks = [module for module in network.modules() if isinstance(module, SwinBlock)]
    for index, block in enumerate(blocks):
        block.drop_path.rate = config.drop_path * index / max(len(blocks) - 1, 1)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = config.dropout
    network = share_statistics(network, config.norms, joined=joined)
    if config.checkpointing:
        for module in network.modules():
            if isinstance(module, SwinBlock | ASPPDeformable):
                compute_again(module)
    return network


def set_training(network: nn.Module, config: BiRefNetConfig) -> None:
    """Training mode, in which BatchNorm may keep its values."""
    set_mode(network, config.norms)


def compute_again(module: nn.Module) -> None:
    """Keep only what enters `module`; the gradient computes its forward pass once more.

    The second pass leaves BatchNorm's running statistics alone.
    """
    inner = module.forward

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_untouched(module)

    def forward(*args: Any) -> Any:
        if not torch.is_grad_enabled():
            return inner(*args)
        return checkpoint(inner, *args, use_reentrant=False, context_fn=contexts)

    module.forward = forward


@contextmanager
def _statistics_untouched(module: nn.Module) -> Iterator[None]:
    norms = [norm for norm in batch_norms(module) if norm.training]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # new = 1·old + 0·batch
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
