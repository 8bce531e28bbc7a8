"""A network in another number type, without holding it twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .architecture import StateDict

# what is read of a file at a time: a tenth, but small files at once
_LEAST_BYTES = 32 << 20
_PARTS = 10

_Place = tuple[str, nn.Module, Tensor]  # name in the network, where it is, what is there


def cast_(network: nn.Module, dtype: torch.dtype, again: Callable[[], StateDict]) -> None:
    """Give every floating point tensor of `network` the type `dtype`, in place.

    `again` maps the file anew and returns its tensors under the network's names. Each mapping
    serves a part of the tensors and is let go after it: pages of a file that were read count as
    memory as long as their mapping lives. Afterwards nothing of a file is held, integers neither.
    """
    places = _places(network)
    limit = max(sum(place[2].nbytes for place in places) // _PARTS, _LEAST_BYTES)
    part: list[_Place] = []
    for place in places:
        part.append(place)
        if sum(one[2].nbytes for one in part) >= limit:
            _cast_part(part, dtype, again())
            part = []
    if part:
        _cast_part(part, dtype, again())


def _cast_part(part: list[_Place], dtype: torch.dtype, state: StateDict) -> None:
    for key, module, tensor in part:
        # norms may have been folded, and what a file leaves out is in the network alone
        source = tensor if isinstance(module, nn.BatchNorm2d) else state.get(key, tensor)
        wanted = dtype if tensor.is_floating_point() else tensor.dtype
        _put(module, key.rpartition(".")[2], source.to(wanted, copy=True))


def _places(network: nn.Module) -> list[_Place]:
    """Return all parameters and buffers."""
    return [
        (f"{prefix}.{name}" if prefix else name, module, tensor.detach())
        for prefix, module in network.named_modules()
        for name, tensor in (
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        )
    ]


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    if name in module._parameters:  # pyright: ignore[reportPrivateUsage]
        module.get_parameter(name).data = value
    else:
        setattr(module, name, value)
