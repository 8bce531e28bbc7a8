"""The models that are in memory, for every part of the WebUI."""

from __future__ import annotations

from ..toonout_core.serving.pipelines import Pipelines
from .program import WebUIProgram

PIPELINES = Pipelines(WebUIProgram())


def model_names() -> list[str]:
    """Published models, then other weight files in the folders."""
    return PIPELINES.model_names()


def default_model() -> str:
    """What the settings say."""
    return PIPELINES.default_model()
