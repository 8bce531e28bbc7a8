"""HTTP routes of our own: /sdapi reaches no option of an extension's Extras script."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from ..toonout_core.serving.routes import make_router
from . import hosts
from .characters import DETECTORS


def on_app_started(_demo: Any, app: FastAPI) -> None:
    """Called by the host with a new application at every start of its server."""
    app.include_router(make_router(DETECTORS, works=serves()))


def serves() -> bool:
    """Routes that work are there where the host's own API is."""
    asked = hosts.flag("api", False) or hosts.flag("nowebui", False)
    return bool(asked) or hosts.name() == "sdnext"
