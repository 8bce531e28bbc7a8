"""Prepare a BiRefNet for training: its first weights, its random parts, what is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import MethodType
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
from ..norms import batch_norms


def start_network(config: BiRefNetConfig, host: Host) -> LoadedNetwork:
    """Load the network of `config.init` in float32, with gradients switched on."""
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


def configure(network: nn.Module, config: BiRefNetConfig) -> nn.Module:
    """Set what is random, what learns, and what is computed again."""
    blocks = [module for module in network.modules() if isinstance(module, SwinBlock)]
    for index, block in enumerate(blocks):
        block.drop_path.rate = config.drop_path * index / max(len(blocks) - 1, 1)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = config.dropout
    if not config.gradient:
        # each gradient is averaged over the processes, and these parameters would have none
        for name, parameter in network.named_parameters():
            parameter.requires_grad_("gdt_convs_pred" not in name)
    if config.checkpointing:
        for module in network.modules():
            if isinstance(module, SwinBlock | ASPPDeformable):
                compute_again(module)
    return network


def compute_again(module: nn.Module) -> None:
    """Keep only the inputs of `module`; the backward pass computes its forward pass once more.

    The second pass leaves BatchNorm's running statistics alone.
    """
    # a method, not a closure: a copy of the module must compute with its own weights
    module.forward = MethodType(_forward_again, module)


def _forward_again(module: nn.Module, *args: Any) -> Any:
    forward = partial(type(module).forward, module)
    if not torch.is_grad_enabled():
        return forward(*args)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_untouched(module)

    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts)


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
