"""One picture: cut it out, look at it, compare models, send it on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from modules import shared

from ..toonout_core import WEIGHTS, ToonOutError
from ..toonout_core.evaluation.alpha_metrics import is_hazy
from ..toonout_core.imaging import read
from ..toonout_core.weight_files.locating import find_file
from . import hosts, previews, sending, widgets
from .cutting import Cut, cut, wish
from .host import WebUIHost
from .pipelines import model_names

log = logging.getLogger("toonout")

PREFIX = "toonout_tab"
Handler = Callable[..., Any]


@dataclass(frozen=True)
class Panel:
    """The components that more than one function needs."""

    source: Any
    options: dict[str, Any]
    cutout: Any
    mask: Any
    slider: Any
    status: Any


def elem_id(name: str) -> str:
    """Of a component of this tab."""
    return f"{PREFIX}_{name}"


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    _offered.clear()
    with gr.Row(equal_height=False):
        with gr.Column(variant="compact"):
            source = hosts.image(
                label="Picture", type="pil", image_mode="RGBA", interactive=True,
                height=420, elem_id=elem_id("source"),
            )  # fmt: skip
            with gr.Row():
                start = gr.Button("Cut out", variant="primary", elem_id=elem_id("start"))
                stop = gr.Button("Stop", elem_id=elem_id("stop"))
            options = widgets.build(elem_id)
        with gr.Column(variant="compact"):
            panel = _results(source, options)
            buttons, how = sending.buttons(elem_id)
            compare, chosen, shown = _comparison()
    start.click(
        runner(panel), [source, *options.values()],
        [panel.cutout, panel.mask, panel.slider, panel.status],
    )  # fmt: skip
    compare.click(comparer(panel), [source, chosen, *options.values()], [shown, panel.status])
    stop.click(interrupt, [], [], queue=False)
    sending.connect(buttons, source, panel.cutout, panel.mask, how)


def _results(source: Any, options: dict[str, Any]) -> Panel:
    status = gr.HTML(elem_id=elem_id("status"))
    with gr.Tabs():
        with gr.TabItem("Cutout"):
            cutout = hosts.image(
                label="Cutout", type="pil", image_mode="RGBA", interactive=False,
                elem_id=elem_id("cutout"), elem_classes=["toonout-checker"],
            )  # fmt: skip
        with gr.TabItem("Before / after"):
            slider = gr.HTML(elem_id=elem_id("slider"))
        with gr.TabItem("Mask"):
            mask = hosts.image(
                label="Mask", type="pil", image_mode="RGB", interactive=False,
                elem_id=elem_id("mask"),
            )  # fmt: skip
    return Panel(source, options, cutout, mask, slider, status)


def _comparison() -> tuple[Any, Any, Any]:
    with gr.Accordion("Compare models", open=False):
        chosen = gr.Dropdown(
            choices=model_names(), value=[], multiselect=True, label="Models, side by side",
            elem_id=elem_id("compared"),
        )  # fmt: skip
        compare = gr.Button("Compare", elem_id=elem_id("compare"))
        shown = hosts.gallery(
            label="Comparison", elem_id=elem_id("comparison"), elem_classes=["toonout-checker"]
        )
    return compare, chosen, shown


def runner(panel: Panel) -> Handler:
    """What "Cut out" does: picture and options → cutout, mask, slider, status."""
    names = list(panel.options)

    def run(image: Any, *values: Any) -> tuple[Any, Any, str, str]:
        if image is None:
            return None, None, "", previews.sentence("Choose a picture first.", "bad")
        chosen, background = widgets.split(dict(zip(names, values, strict=True)))
        try:
            options = wish(chosen)
            with hosts.job("ToonOut"):
                result = cut(image, options, background)
        except ToonOutError as error:
            return None, None, "", previews.sentence(str(error), "bad")
        slider = "" if options.crop else previews.slider(result.matte, result.behind)
        told = previews.sentence(spoken(result), "good")
        return result.main(), result.mask(), slider, told

    return run


BETTER = "toonout"  # what is offered where a matte is hazy
_offered: set[str] = set()


def offer(result: Cut) -> list[str]:
    """A better model and its size, once a page, where the matte asks for one."""
    row = next(row for row in WEIGHTS if row.name == BETTER)
    known = _offered or result.options.model in (row.name, *(r.name for r in WEIGHTS if r.same_as))
    if known or not is_hazy(result.matte.alpha):
        return []
    _offered.add(row.name)
    size = "" if find_file(row, WebUIHost()) else f" ({row.size_bytes / 1e6:.0f} MB to download)"
    return [f"The matte is hazy. The model {row.name}{size} is better: choose it under Model."]


def spoken(result: Cut) -> str:
    """What was done, for readers; infotexts have `Cut.sentence`."""
    where = {"cpu": "the CPU", "cuda": "the graphics card", "mps": "the graphics card"}
    kind = result.device.partition(":")[0]
    said = f"Cut out with {result.options.model} on {where.get(kind, kind)}."
    notes = [f"{note[:1].upper()}{note[1:]}." for note in result.notes]
    return "\n".join([said, *notes, *offer(result)])


def comparer(panel: Panel) -> Handler:
    """What "Compare" does: picture, names and options → gallery, status."""
    names = list(panel.options)

    def compare(image: Any, models: list[str] | None, *values: Any) -> tuple[Any, str]:
        if image is None or not models:
            return [], previews.sentence("Choose a picture, and models to compare.", "bad")
        chosen, background = widgets.split(dict(zip(names, values, strict=True)))
        shown: list[tuple[Any, str]] = []
        failed: list[str] = []
        picture = read(image)
        for model in models:
            try:
                options = replace(wish(chosen), model=model)
                with hosts.job("ToonOut"):
                    shown.append((cut(picture, options, background).main(), model))
            except ToonOutError as error:
                failed.append(f"{model}: {error}")
        return shown, previews.sentence("\n".join(failed), "bad")

    return compare


def interrupt() -> None:
    """The host's own stop."""
    shared.state.interrupt()
