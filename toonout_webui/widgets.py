"""Gradio components for CutoutOptions, made from the record itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import gradio as gr

from ..toonout_core.options.option import Option
from . import hosts
from .options import CutoutOptions, Group, shown
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
        made |= {option.name: _component(option, elem_id) for option in _of_group("main")}
    for group, title in GROUPS.items():
        with gr.Accordion(title, open=False), gr.Row():
            made |= {option.name: _component(option, elem_id) for option in _of_group(group)}
            if group == "background" and background_picture:
                made[BACKGROUND_PICTURE] = hosts.image(
                    label="Background picture",
                    type="pil",
                    image_mode="RGB",
                    interactive=True,
                    elem_id=elem_id(BACKGROUND_PICTURE),
                )
    order = [option.name for option in fields(CutoutOptions)]
    ordered = {name: made[name] for name in order}
    return ordered | {name: part for name, part in made.items() if name not in ordered}


def _of_group(group: Group) -> list[Field[Any]]:
    return [option for option in fields(CutoutOptions) if shown(option).group == group]


def _component(option: Field[Any], elem_id: ElemId) -> Any:
    show = shown(option)
    common = {"label": show.label, "info": show.info, "elem_id": elem_id(option.name)}
    if option.name == "model":
        return gr.Dropdown(choices=model_names(), value=default_model(), **common)
    if isinstance(option.default, bool):
        return gr.Checkbox(value=option.default, elem_classes=["toonout-switch"], **common)
    if show.choices:
        return gr.Dropdown(choices=list(show.choices), value=option.default, **common)
    if isinstance(option.default, str):
        return gr.Textbox(value=option.default, max_lines=1, **common)
    if show.most > 10_000:
        return gr.Number(value=option.default, precision=0, **common)
    return gr.Slider(show.least, show.most, value=option.default, step=show.step, **common)


def component(option: Option, elem_id: str) -> Any:
    """The component of an option of `toonout_core.options`."""
    common: dict[str, Any] = {
        "value": option.default, "label": option.on_page, "info": option.help, "elem_id": elem_id
    }  # fmt: skip
    if option.kind == "switch":
        return gr.Checkbox(elem_classes=["toonout-switch"], **common)
    if option.kind == "choice":
        return gr.Dropdown(choices=list(option.choices), **common)
    if option.kind == "text":
        return gr.Textbox(max_lines=1, **common)
    if option.most > _MOST_ON_SLIDER:
        return gr.Number(precision=0, **common)
    return gr.Slider(option.least, option.most, step=option.step, **common)


def split(values: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What components gave → options of CutoutOptions, and the picture of the background."""
    names = {option.name for option in fields(CutoutOptions)}
    options = {name: value for name, value in values.items() if name in names}
    return options, values.get(BACKGROUND_PICTURE)
