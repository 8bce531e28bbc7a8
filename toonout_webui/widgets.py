"""Gradio components for CutoutOptions, made from the tables of options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ..toonout_core.options.models import MODEL
from ..toonout_core.options.option import Option
from ..toonout_core.serving.options import OPTIONS, Group, options_in
from . import hosts
from .pipelines import default_model, model_names

GROUPS: dict[Group, str] = {
    "edge": "Edges and colours",
    "matte": "Adjust the matte",
    "background": "Background",
    "crop": "Crop",
    "model": "Model details",
}
BACKGROUND_PICTURE = "background_picture"
_MOST_ON_SLIDER = 1000

ElemId = Callable[[str], str]


def build(elem_id: ElemId, *, background_picture: bool = True) -> dict[str, Any]:
    """Name → component, in the order of CutoutOptions; last the picture of the background."""
    made: dict[str, Any] = {}
    with gr.Row():
        made |= _made("main", elem_id)
    for group, title in GROUPS.items():
        with gr.Accordion(title, open=False), gr.Row():
            made |= _made(group, elem_id)
            if group == "background" and background_picture:
                made[BACKGROUND_PICTURE] = hosts.image(
                    label="Background picture",
                    type="pil",
                    image_mode="RGB",
                    interactive=True,
                    height=300,
                    elem_id=elem_id(BACKGROUND_PICTURE),
                )
    ordered = {name: made[name] for name in OPTIONS}
    return ordered | {name: part for name, part in made.items() if name not in ordered}


def _made(group: Group, elem_id: ElemId) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for option in options_in(group):
        menu = {"choices": model_names(), "value": default_model()} if option is MODEL else {}
        made[option.name] = component(option, elem_id(option.name), **menu)
    return made


def component(option: Option, elem_id: str, **how: Any) -> Any:
    """The component of an option of `toonout_core.options`; `how`: a menu that the host fills."""
    common: dict[str, Any] = {
        "value": option.default, "label": option.on_page, "info": option.help, "elem_id": elem_id,
    } | how  # fmt: skip
    if option.kind == "switch":
        return gr.Checkbox(elem_classes=["toonout-switch"], **common)
    if option.kind == "choice":
        return gr.Dropdown(**({"choices": list(option.choices)} | common))
    if option.kind == "text":
        return gr.Textbox(max_lines=1, **common)
    if option.most > _MOST_ON_SLIDER:
        return gr.Number(precision=0, **common)
    return gr.Slider(option.least, option.most, step=option.step, **common)


def edge_model(elem_id: str) -> Any:
    """Which matting model makes the edges of characters that a detector found."""
    return gr.Dropdown(
        choices=model_names(), value=default_model(), label="Model of the edges", elem_id=elem_id
    )


def split(values: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What components gave → options of CutoutOptions, and the picture of the background."""
    options = {name: value for name, value in values.items() if name in OPTIONS}
    return options, values.get(BACKGROUND_PICTURE)
