"""What scripts/toonout.py hands to the host: two scripts, and callbacks for its events."""

from __future__ import annotations

import sys

from . import controlnet, generating, hosts, keeping_alpha, routes, sending, settings, tab
from .extras import Extras
from .generating import Generate
from .pipelines import PIPELINES

__all__ = ["Extras", "Generate", "register"]


def register() -> None:
    """Connect the extension with the host; last of all, so that a broken one stays silent."""
    hosts.on("before_image_saved", keeping_alpha.before_image_saved)
    hosts.on("image_grid", keeping_alpha.image_grid)
    hosts.on("before_ui", generating.add_axes)
    hosts.on("before_ui", generating.new_page)
    hosts.on("before_ui", sending.forget)
    hosts.on("before_ui", controlnet.register)
    hosts.on("app_started", controlnet.register)  # without a page there is no UI to come before
    hosts.on("after_component", sending.after_component)
    hosts.on("ui_tabs", tab.on_ui_tabs)
    hosts.on("ui_settings", settings.on_ui_settings)
    hosts.on("app_started", routes.on_app_started)
    hosts.on("script_unloaded", unload)


def unload() -> None:
    """Before Reload UI: give memory back, and make room for changed code."""
    PIPELINES.unload()
    root = __name__.split(".")[0]
    for name in [name for name in sys.modules if name.split(".")[0] == root]:
        del sys.modules[name]
