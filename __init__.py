"""ToonOut for ComfyUI: the nodes are listed in nodes.py, imported when ComfyUI asks for them."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """The extension that ComfyUI registers."""
    from .nodes import extension

    return extension()
