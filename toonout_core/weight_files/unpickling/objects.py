"""The objects that a pickle becomes here: names, stand-ins, storages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


class Damage(ValueError):
    """The pickle says something that cannot be followed."""


class Foreign(ValueError):
    """The file may be sound, but is of another kind."""


@dataclass(frozen=True)
class Name:
    """A function or class that the file names: `module name`."""

    text: str


@dataclass(eq=False)
class StandIn:
    """An object of a class that is not known here, or the result of an unknown function."""

    name: str
    state: dict[Any, Any] = field(default_factory=dict[Any, Any])


@dataclass(eq=False)
class Storage:
    """Numbers that tensors are views of."""

    flat: Tensor
