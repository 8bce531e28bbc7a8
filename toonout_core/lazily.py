"""Import names of a package when they are first asked for, so that starting costs no time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module


def lazily(package: str, homes: Mapping[str, Collection[str]]) -> Callable[[str], object]:
    """Make the `__getattr__` of a package. `homes`: its modules, and the names that each holds."""

    def find(name: str) -> object:
        for home, names in homes.items():
            if name in names:
                value = getattr(import_module(f".{home}", package), name)
                setattr(sys.modules[package], name, value)
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
