"""The table of contents of the ComfyUI pack: every node class, in menu order."""

from __future__ import annotations

from typing import Any

from .comfy_nodes.adjusting import AdjustMatte
from .comfy_nodes.composing import Compose
from .comfy_nodes.host import register_folders
from .comfy_nodes.loading import LoadMatting
from .comfy_nodes.matting import EstimateForeground, MatteImage
from .comfy_nodes.reading import LoadFolder
from .comfy_nodes.saving import SaveCutout
from .comfy_nodes.types import Extension

NODES: list[type[Any]] = [
    LoadMatting,
    MatteImage,
    EstimateForeground,
    AdjustMatte,
    Compose,
    SaveCutout,
    LoadFolder,
]


def extension() -> Extension:
    """What ComfyUI asks for nodes."""
    register_folders()
    return Extension(NODES)
