"""What ComfyUI's page draws on our nodes, where it can: a colour picker, before and after."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..toonout_core.host import Step
from ..toonout_core.imaging import from_comfy, to_comfy
from ..toonout_core.ops.compositing import checkerboard, over
from ..toonout_core.options.option import Option
from .types import known_input, widget

_PAGE = "comfyui-frontend-package"
# before, the page filled this view on ComfyUI's own node only
_COMPARES_SINCE = (1, 58)
_CELL_PX = 16


def colour_widget(option: Option, **how: Any) -> Any:
    """The picker, or a text in releases that have none."""
    return widget(option, kind=getattr(io, "Color", None), **how)


def compare_widgets() -> list[Any]:
    """The view that shows picture and cutout with a slider between them; none in older releases."""
    if not _page_compares():
        return []
    tip = "The picture before and after. Move the line."
    return [known_input(io.ImageCompare, "compare_view", optional=True, tooltip=tip)]


def compared(before: Tensor | None, cutout: Tensor) -> Any:
    """What is shown of the first frame: IMAGE 1×H×W×4 over the pattern of transparency, 1×H×W×3 as
    it is; and where the page can compare, the picture `before` with it."""
    colours, alpha = from_comfy(cutout)
    if alpha is not None:
        size_hw = (int(alpha.shape[-2]), int(alpha.shape[-1]))
        colours = over(colours, alpha, checkerboard(size_hw, _CELL_PX))
    after = ui.PreviewImage(to_comfy(colours))
    if before is None or not _page_compares():
        return after
    first = ui.PreviewImage(before[:1, ..., :3])
    return {"a_images": first.values, "b_images": after.values}


def without_pictures(report: Step) -> Step:
    """`report` that shows no picture meanwhile where the page compares: the last one would stay
    below that view."""

    def step(count: int = 1, *, preview: Tensor | None = None) -> None:
        report(count)

    return step if _page_compares() else report


@cache
def _page_compares() -> bool:
    try:
        version = metadata.version(_PAGE)
    except metadata.PackageNotFoundError:
        return False
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return hasattr(io, "ImageCompare") and numbers >= _COMPARES_SINCE
