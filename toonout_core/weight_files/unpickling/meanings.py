"""The few functions that a pickle may name, and what they mean here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .objects import Damage, Storage

Meaning = Callable[[tuple[Any, ...]], Any]

_AXES = 16
_COLLECTIONS = {"__builtin__ set", "builtins set", "__builtin__ frozenset", "builtins frozenset"}


def _rebuild_tensor(arguments: tuple[Any, ...]) -> Tensor:
    """Make a tensor from storage, offset, size and stride; what follows them serves
    training only.
    """
    storage, offset, size, stride = arguments[:4]
    numbers: list[Any] = [offset, *size, *stride]
    if not isinstance(storage, Storage) or len(size) != len(stride) or len(size) > _AXES:
        raise Damage("a tensor has no storage or shape")
    if not all(isinstance(number, int) and 0 <= number < 2**40 for number in numbers):
        raise Damage("a tensor's shape is not one")
    last, count = offset, 1
    for length, step in zip(size, stride, strict=True):
        last += (length - 1) * step
        count *= length
    # a view that repeats elements could be made of any size from nothing
    if count > storage.flat.numel() or (count and last >= storage.flat.numel()):
        raise Damage("a tensor is larger than its storage")
    return torch.as_strided(storage.flat, tuple(size), tuple(stride), offset)


def _rebuild_parameter(arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if arguments:
        raise Damage("a dictionary is written in a form of long ago")
    return {}


def _collection(arguments: tuple[Any, ...]) -> list[Any]:
    # the list itself: a copy for every mention could fill any memory
    return arguments[0] if arguments and isinstance(arguments[0], list) else []


MEANINGS: dict[str, Meaning] = {
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    "torch._utils _rebuild_parameter_with_state": _rebuild_parameter,
    "collections OrderedDict": _ordered_dict,
    **dict.fromkeys(_COLLECTIONS, _collection),
}
