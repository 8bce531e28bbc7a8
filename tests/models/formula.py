"""Weights that need not be stored: each number follows from the tensor's name and its place."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor, nn


def uniform(name: str, count: int) -> np.ndarray:
    """`count` numbers in [−1, 1) (splitmix64)."""
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64)
        z += np.uint64(((zlib.crc32(name.encode()) << 32) + 0x9E3779B97F4A7C15) % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)) / 2.0**24 * 2 - 1


def tensor(name: str, shape: torch.Size) -> Tensor:
    """By kind: convolution, bias, or the scale of a BatchNorm."""
    u = uniform(name, shape.numel())
    if len(shape) == 4:
        u *= np.sqrt(6 / np.prod(shape[1:]))
    else:
        u = 0.1 * u if name.endswith(".bias") else 1 + 0.2 * u
    return torch.from_numpy(u.astype(np.float32)).view(shape)


def state(network: nn.Module, prefix: str, statistics: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for `network`, which may be on meta; `statistics`: of BatchNorm, as stored."""
    found: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if name.endswith((".running_mean", ".running_var")):
            found[name] = statistics[f"bn.{name}"]
        elif not name.endswith(".num_batches_tracked"):
            found[name] = tensor(prefix + name, value.shape)
    return found
