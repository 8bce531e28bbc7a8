"""The part of ComfyUI's node API that every release since 0.3.64 has, and the sockets of ours."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from comfy_api.latest import ComfyExtension, io

CATEGORY = "toonout"
# ComfyUI's own type since 0.21: its Load Background Removal Model and Remove Background fit to ours
MattingModel = io.Custom("BACKGROUND_REMOVAL")
SegmenterModel = io.Custom("TOON_SEGMENTER")
InstancesLink = io.Custom("TOON_INSTANCES")  # a tuple of Instances, one for each frame
CropLink = io.Custom("TOON_CROP")
Boxes = io.Custom("BOUNDING_BOX")  # ComfyUI's own: for each frame a list of x, y, width, height
Segs = io.Custom("SEGS")  # the Impact Pack's
SOCKET_ONLY = {"forceInput": True}  # for types that newer releases draw as a widget


class Extension(ComfyExtension):
    """A list of node classes in the form that ComfyUI registers."""

    def __init__(self, nodes: list[type[Any]]) -> None:
        super().__init__()
        self._nodes = nodes

    async def get_node_list(self) -> list[type[Any]]:
        return self._nodes


def schema(**options: Any) -> io.Schema:
    """io.Schema without the options that this release does not know."""
    known = {field.name for field in dataclasses.fields(io.Schema)}
    return io.Schema(**{key: value for key, value in options.items() if key in known})


def widget(kind: Any, name: str, **options: Any) -> Any:
    """`kind`.Input without the options that this release does not know, `advanced` for one."""
    known = inspect.signature(kind.Input.__init__).parameters
    return kind.Input(name, **{key: value for key, value in options.items() if key in known})
