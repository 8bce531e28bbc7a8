"""From our tab to img2img, inpaint and Extras, whose components are met while the page is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ..toonout_core import BadInput
from ..toonout_core.imaging import Picture, from_pil, to_pil
from ..toonout_core.ops.compositing import over, parse_colour
from . import hosts

UPLOAD_BASE, UPLOAD_MASK = "img_inpaint_base", "img_inpaint_mask"
MASK_MODE = "img2img_mask_mode"
# what is painted anew → the host's word for it; white in our masks is the character
REPAINTED = {"the character": "Inpaint masked", "the background": "Inpaint not masked"}
CANVAS = "img2maskimg"

_met: dict[str, Any] = {}


def after_component(component: Any, **arguments: Any) -> None:
    """Called by the host for every component that it makes."""
    elem_id = str(arguments.get("elem_id") or getattr(component, "elem_id", ""))
    classes = getattr(component, "elem_classes", None) or []
    if elem_id in (UPLOAD_BASE, UPLOAD_MASK, MASK_MODE):
        _met[elem_id] = component
    if "logical_image_foreground" in classes:
        _met[f"foreground {elem_id}"] = component


def forget() -> None:
    """Before a new page."""
    _met.clear()


LABELS = {
    "img2img": "Send to img2img",
    "inpaint": "Send to inpaint (picture and mask)",
    "canvas": "Send to the inpaint canvas",
    "extras": "Send to Extras",
}


def places() -> set[str]:
    """Where something can be sent to on this page; hosts differ."""
    there = {
        "img2img": _paste_fields("img2img").get("init_img") is not None,
        "inpaint": {UPLOAD_BASE, UPLOAD_MASK} <= set(_met),
        "canvas": _canvas() is not None,
        "extras": _paste_fields("extras").get("init_img") is not None,
    }
    return {name for name, found in there.items() if found}


def buttons(elem_id: Callable[[str], str]) -> tuple[dict[str, Any], tuple[Any, Any]]:
    """Name → button; the colour behind a cutout for img2img, and what inpaint paints anew."""
    there = places()
    with gr.Row():
        made = {
            name: gr.Button(label, elem_id=elem_id(f"send_{name}"))
            for name, label in LABELS.items()
            if name in there
        }
    colour = gr.Textbox(
        value="white", max_lines=1, label="Colour behind the cutout in img2img",
        elem_id=elem_id("send_colour"), visible="img2img" in there,
    )  # fmt: skip
    repaint = gr.Radio(
        choices=list(REPAINTED), value="the character", label="Repaint in inpaint",
        elem_id=elem_id("send_repaint"),
        visible=MASK_MODE in _met and bool(there & {"inpaint", "canvas"}),
    )  # fmt: skip
    return made, (colour, repaint)


def connect(
    made: dict[str, Any], source: Any, cutout: Any, mask: Any, how: tuple[Any, Any]
) -> None:
    """Let the buttons send what the components show; `how`: as `buttons` gives it."""
    colour, repaint = how
    if "img2img" in made:
        _connect_img2img(made["img2img"], cutout, colour)
    if "inpaint" in made:
        places = [_met[UPLOAD_BASE], _met[UPLOAD_MASK]]
        inputs = [source, mask, repaint]
        _connect_inpaint(made["inpaint"], inputs, places, _white, "switch_to_img2img_tab(4)")
    if "canvas" in made and (canvas := _canvas()) is not None:
        inputs = [source, mask, repaint]
        _connect_inpaint(made["canvas"], inputs, list(canvas), strokes, "switch_to_inpaint()")
    if "extras" in made:
        extras = _paste_fields("extras")["init_img"]
        _send(made["extras"], _for_extras, [cutout, colour], [extras], "switch_to_extras()")


def _paste_fields(tab: str) -> dict[str, Any]:
    module = hosts.infotext()
    return getattr(module, "paste_fields", {}).get(tab, {}) if module else {}


def _sizes() -> list[Any]:
    """Width and height of img2img, which follow what is sent unless the settings forbid it."""
    fields = _paste_fields("img2img")
    found = [_size_field(fields, name) for name in ("Size-1", "Size-2")]
    return found if None not in found and hosts.option("send_size", True) else []


def _connect_img2img(button: Any, cutout: Any, colour: Any) -> None:
    outputs = [_paste_fields("img2img")["init_img"], *_sizes()]

    def send(picture: Any, behind: str) -> list[Any]:
        flat = flattened(picture, behind)
        return [flat, flat.width, flat.height][: len(outputs)]

    _send(button, send, [cutout, colour], outputs, "switch_to_img2img()")


def _connect_inpaint(
    button: Any, inputs: list[Any], places: list[Any], drawn: Callable[[Any], Any], switch: str
) -> None:
    """Picture, mask, size and mask mode of inpaint. `drawn`: how the place wants the mask."""
    sizes = _sizes()
    mode = [_met[MASK_MODE]] if MASK_MODE in _met else []

    def send(picture: Any, white: Any, repainted: str) -> list[Any]:
        _require_same_size(picture, white)
        size = [white.width, white.height] if sizes else []
        chosen = [REPAINTED.get(repainted, "Inpaint masked")] if mode else []
        return [flattened(picture, "white"), drawn(white), *size, *chosen]

    _send(button, send, inputs, [*places, *sizes, *mode], switch)


def _white(mask: Any) -> Any:
    return mask.convert("RGB")


def _canvas() -> tuple[Any, Any] | None:
    background = _paste_fields("inpaint").get("init_img")
    if "logical_image_background" not in (getattr(background, "elem_classes", None) or []):
        return None
    foreground = _met.get(f"foreground {getattr(background, 'elem_id', '')}")
    return None if foreground is None else (background, foreground)


def _send(button: Any, work: Any, inputs: list[Any], outputs: list[Any], switch: str) -> None:
    def send(*values: Any) -> Any:
        found = work(*values)
        return found if len(outputs) > 1 else found[0] if isinstance(found, list) else found

    sent = button.click(send, inputs, outputs, show_progress=False)
    code = "() => { " + switch + "; return []; }"
    sent.success(fn=None, inputs=None, outputs=None, **hosts.script(code))


def _size_field(fields: dict[str, Any], name: str) -> Any:
    found = (part for part, label in fields.get("fields") or [] if label == name)
    return next(found, None)


def _required(picture: Any) -> Any:
    if picture is None:
        raise gr.Error("There is nothing to send yet: cut a picture out first.")
    return picture


def _for_extras(picture: Any, behind: str) -> Any:
    return _required(picture) if hosts.extras_keep_alpha() else flattened(picture, behind)


def _require_same_size(picture: Any, mask: Any) -> None:
    if _required(picture).size != _required(mask).size:
        raise gr.Error("The mask was cropped: cut the picture out again without Crop.")


def flattened(picture: Any, colour: str) -> Any:
    """RGB on a colour: some hosts show what is hidden under alpha instead."""
    given: Picture = from_pil(_required(picture))
    if given.alpha is None:
        return to_pil(given.image)
    try:
        return to_pil(over(given.image, given.alpha, parse_colour(colour)))
    except BadInput as error:
        raise gr.Error(str(error)) from error


def strokes(mask: Any) -> Any:
    """White RGBA whose alpha is the mask: what the canvas keeps as a drawing."""
    grey = from_pil(mask).image[:, :1]
    return to_pil(grey.new_ones(1, 3, *grey.shape[-2:]), grey)
