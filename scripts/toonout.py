"""ToonOut in AUTOMATIC1111 and its relatives; all of it is in toonout_webui/.

The host runs every .py file of this folder at every start, and takes the script classes that it
finds among their names. Hosts disagree about what is on sys.path and when, clones have names that
are no module names, and there may be two of them: so the repository is made a package of a name of
its own, and everything inside reaches everything else by relative imports, as in ComfyUI.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "toonout_extension"


def start() -> ModuleType | None:
    """The extension, freshly imported for the sake of Reload UI; None in a second clone."""
    before = sys.modules.get(PACKAGE)
    if before is not None and list(before.__path__) != [str(ROOT)]:
        print(f"ToonOut: {ROOT} stays off, as {before.__path__[0]} is running. Remove one of them.")
        return None
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(ROOT)]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        extension = importlib.import_module(f"{PACKAGE}.toonout_webui.extension")
        extension.register()
    except BaseException:
        del sys.modules[PACKAGE]
        raise
    return extension


try:
    if extension := start():
        ToonOutExtras = extension.Extras
        ToonOutGenerate = extension.Generate
except Exception as error:  # noqa: BLE001 (one line instead of a traceback; the host goes on)
    print(
        f"ToonOut: cannot start: {type(error).__name__}: {' '.join(str(error).split())}. "
        f"Update the extension in {ROOT}, or remove it and install it again."
    )
