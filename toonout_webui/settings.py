"""The settings page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
from modules import shared

from ..toonout_core.options import models
from ..toonout_core.serving.pipelines import table_names
from ..toonout_core.serving.program import DEFAULT_MEGABYTES, DEFAULT_MEGAPIXELS, DEFAULT_MODEL

SECTION = ("toonout", "ToonOut")
CATEGORY = "postprocessing"  # of the host's settings; without one they are "Uncategorized"
Kind = Literal["choice", "switch", "text", "count"]


@dataclass(frozen=True)
class Setting:
    """One row of the page."""

    key: str
    default: Any
    label: str
    info: str
    kind: Kind
    arguments: dict[str, Any]
    reload: bool = False


def settings() -> list[Setting]:
    """All rows; the host stores them under these keys, which stay for ever."""
    return [
        Setting(
            "toonout_model", DEFAULT_MODEL, "Model that is chosen at the start",
            "also of API calls that name none", "choice", {"choices": table_names()}, reload=True,
        ),
        Setting(
            "toonout_precision", models.PRECISION.default, "Precision",
            "auto: fp16 where the device is good at it", "choice",
            {"choices": list(models.PRECISION.choices)},
        ),
        Setting(
            "toonout_keep_in_vram", False, "Keep the model in the memory of the graphics card",
            "faster for many pictures; leave it off with 8 GB or less", "switch", {},
        ),
        Setting(
            "toonout_kept_models", 1, "Models kept in main memory",
            "0: a model is forgotten after every picture", "count",
            {"minimum": 0, "maximum": 8, "step": 1},
        ),
        Setting(
            "toonout_allow_download", models.ALLOW_DOWNLOAD.default, "Download models on first use",
            "off: never use the network", "switch", {},
        ),
        Setting(
            "toonout_models_path", "", "Folder of weight files",
            "searched first; downloads go there. Empty: models/toonout", "text", {"max_lines": 1},
        ),
        Setting(
            "toonout_comfyui_path", "", "Folder of ComfyUI",
            "its weight files are used too", "text", {"max_lines": 1},
        ),
        Setting(
            "toonout_api_megabytes", DEFAULT_MEGABYTES, "Largest request to the API (MB)",
            "", "count", {"minimum": 1, "maximum": 1024, "step": 1},
        ),
        Setting(
            "toonout_api_megapixels", DEFAULT_MEGAPIXELS, "Largest picture of the API (megapixels)",
            "a request takes about 100 MB of memory for each", "count",
            {"minimum": 1, "maximum": 100, "step": 1},
        ),
    ]  # fmt: skip


def on_ui_settings() -> None:
    """Called by the host when it makes the page."""
    components = {
        "choice": gr.Dropdown, "switch": gr.Checkbox, "text": gr.Textbox, "count": gr.Slider,
    }  # fmt: skip
    for row in settings():
        info = shared.OptionInfo(
            row.default, row.label, components[row.kind], row.arguments, section=SECTION
        )
        info.category_id = CATEGORY
        if row.info:
            info = info.info(row.info)
        shared.opts.add_option(row.key, info.needs_reload_ui() if row.reload else info)
