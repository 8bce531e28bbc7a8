"""Every option of the tables, by where it stands."""

from __future__ import annotations

import importlib
import pkgutil

from toonout_core import options
from toonout_core.motion.options import KenBurnsOptions, PuppetOptions
from toonout_core.options.option import Option, options_of


def every() -> dict[str, Option]:
    """`cutout.GROW` → the option; those in tuples too."""
    found: dict[str, Option] = {}
    for info in pkgutil.iter_modules(options.__path__):
        module = importlib.import_module(f"{options.__name__}.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, Option):
                found[f"{info.name}.{name}"] = value
            elif isinstance(value, tuple) and name.isupper():
                named = (item for item in value if isinstance(item, Option))
                found |= {f"{info.name}.{name}.{item.name}": item for item in named}
    for record in (KenBurnsOptions, PuppetOptions):
        found |= {f"{record.__name__}.{one.name}": one for one in options_of(record)}
    return found
