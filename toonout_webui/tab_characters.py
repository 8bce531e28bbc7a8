"""Characters of one picture: numbered, picked, each cut out by itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import gradio as gr

from ..toonout_core import BadInput, ToonOutError
from ..toonout_core.options import characters as table
from ..toonout_core.options.models import DETECTOR, FAST
from ..toonout_core.output.publishing import Part
from ..toonout_core.output.writing import publish_parts
from . import characters, hosts, previews, sending
from .cutting import wish
from .pipelines import PIPELINES
from .tab_folder import output_folder
from .widgets import component, edge_model

MARGIN_PX = 8
KINDS = ("masks", "mattes", "cutouts", "background", "overlay")

_lock = threading.Lock()
_last: dict[Any, characters.Found] = {}  # one: what was shown last


def elem_id(name: str) -> str:
    """Of a component of this tab."""
    return f"toonout_characters_{name}"


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    with gr.Row(equal_height=False):
        with gr.Column(variant="compact"):
            source = hosts.image(
                label="Picture", type="pil", image_mode="RGBA", interactive=True, height=420,
                elem_id=elem_id("source"),
            )  # fmt: skip
            start = gr.Button("Find characters", variant="primary", elem_id=elem_id("start"))
            inputs = _inputs()
        with gr.Column(variant="compact"):
            status = gr.HTML(elem_id=elem_id("status"))
            overlay = hosts.image(
                label="Numbers", type="pil", interactive=False, elem_id=elem_id("overlay")
            )  # fmt: skip
            each = hosts.gallery(
                label="Each by itself", elem_id=elem_id("each"), elem_classes=["toonout-checker"]
            )
            cutout, mask, buttons, how = _chosen()
            kinds, save, layered = _files()
    start.click(
        run, [source, *inputs], [overlay, each, cutout, mask, status]
    )  # fmt: skip
    save.click(save_files, [source, *inputs, kinds], [status])
    layered.click(save_layers, [source, *inputs], [status])
    sending.connect(buttons, source, cutout, mask, how)


def _inputs() -> list[Any]:
    with gr.Row():
        detector = component(
            DETECTOR, elem_id("detector"),
            choices=characters.detector_names(), value=characters.DEFAULT_DETECTOR,
        )  # fmt: skip
        model = edge_model(elem_id("model"))
    with gr.Row():
        min_score = component(table.MIN_SCORE, elem_id("min_score"))
        numbers = component(table.NUMBERS, elem_id("numbers"))
    fast = component(FAST, elem_id("fast"))
    return [detector, model, min_score, numbers, fast]


def _files() -> tuple[Any, Any, Any]:
    kinds = gr.CheckboxGroup(
        choices=list(KINDS), value=["cutouts"], label="Files of each",
        info="They go to toonout, in the host's folder of Extras.", elem_id=elem_id("kinds"),
    )  # fmt: skip
    with gr.Row():
        save = gr.Button("Save files", elem_id=elem_id("save"))
        layered = gr.Button("Save as PSD", elem_id=elem_id("save_psd"))
    return kinds, save, layered


def _chosen() -> tuple[Any, Any, dict[str, Any], Any]:
    with gr.Row():
        cutout = hosts.image(
            label="Those that were picked", type="pil", image_mode="RGBA", interactive=False,
            elem_id=elem_id("cutout"), elem_classes=["toonout-checker"],
        )  # fmt: skip
        mask = hosts.image(
            label="Their mask", type="pil", image_mode="RGB", interactive=False,
            elem_id=elem_id("mask"),
        )  # fmt: skip
    buttons, how = sending.buttons(elem_id)
    return cutout, mask, buttons, how


def run(
    image: Any, detector: str, model: str, min_score: float, numbers: str, fast: bool
) -> tuple[Any, list[Any], Any, Any, str]:
    """Overlay, cutouts of each, cutout and mask of those that were picked, status."""
    nothing: tuple[Any, list[Any], Any, Any] = (None, [], None, None)
    try:
        found = find(image, detector, model, min_score, fast)
        chosen = found.choose(numbers or "")
    except ToonOutError as error:
        return *nothing, previews.sentence(str(error), "bad")
    each = [(found.cutout([index], MARGIN_PX), str(index)) for index in range(len(found))]
    told = f"{len(found)} found ({found.instances.origin}), picked: {_spelled(chosen)}"
    overlay, cutout, mask = found.overlay_picture(), found.cutout(chosen), found.mask(chosen)
    return overlay, each, cutout, mask, previews.sentence(told, "good")


def find(
    image: Any, detector: str, model: str, min_score: float, fast: bool = False
) -> characters.Found:
    """The characters; those that were found last are not looked for again. Raises ToonOutError."""
    if image is None:
        raise BadInput("a picture must be there", "none", "Choose a picture first.")
    options = wish({"model": model, "fast": fast})
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    key = (digest, image.size, image.mode, detector, options, min_score)
    with hosts.job("ToonOut"), _lock:
        found = _last.get(key)
        if found is None:
            found = characters.find(image, detector, options, min_score=min_score)
            _last.clear()
            _last[key] = found
        return found


PIPELINES.also_forget(_last.clear)


def save_files(
    image: Any,
    detector: str,
    model: str,
    min_score: float,
    numbers: str,
    fast: bool,
    kinds: list[str] | None,
) -> str:
    """A status: where the files of the characters lie that were picked."""
    wanted = frozenset(kind for kind in KINDS if kind in (kinds or ()))

    def parts(found: characters.Found) -> list[Part]:
        if not wanted:
            raise BadInput("there must be something to save", "none", "Choose what to save.")
        return found.parts(found.choose(numbers or ""), wanted, MARGIN_PX)  # pyright: ignore

    return _saved(lambda: find(image, detector, model, min_score, fast), parts)


def save_layers(
    image: Any, detector: str, model: str, min_score: float, numbers: str, fast: bool
) -> str:
    """A status: where the PSD lies, with a layer for each character that was picked."""

    def parts(found: characters.Found) -> list[Part]:
        chosen = found.choose(numbers or "")
        return [found.layered(chosen)] if chosen else []

    return _saved(lambda: find(image, detector, model, min_score, fast), parts)


def _saved(
    search: Callable[[], characters.Found], parts_of: Callable[[characters.Found], list[Part]]
) -> str:
    try:
        parts = parts_of(search())
        if not parts:
            raise BadInput("there must be a character to save", "none")
        folder = output_folder("")
        paths, notes = publish_parts(parts, folder, f"{datetime.now():%Y%m%d-%H%M%S}")
    except (ToonOutError, OSError) as error:
        return previews.sentence(str(error), "bad")
    told = [f"{len(paths)} files: {folder}", *(path.name for path in paths), *notes]
    return previews.sentence("\n".join(told), "good")


def _spelled(indices: list[int]) -> str:
    return ", ".join(map(str, indices)) or "none"
