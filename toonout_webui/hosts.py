"""The one place that knows in what the WebUI's relatives and gradio's generations differ."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import gradio as gr
import torch
from modules import devices, script_callbacks, scripts, shared

Name = Literal["a1111", "forge", "reforge", "sdnext"]

GRADIO = int(gr.__version__.split(".")[0])


def _there(module: str) -> bool:
    """find_spec raises when the parent of a dotted name is absent."""
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def name() -> Name:
    """Whose code runs; "reforge" stands for Forge Classic too, which shares its parts."""
    root = Path(shared.__file__).resolve().parents[1]
    if (root / "installer.py").exists():
        return "sdnext"
    if _there("backend.memory_management"):
        return "forge"
    return "reforge" if _there("ldm_patched.modules.model_management") else "a1111"


# ---------------------------------------------------------------- gradio


def image(**arguments: Any) -> Any:
    """gr.Image, never as lossy WebP, which is what gradio 4 serves otherwise.

    Without a height, a tall picture would push the buttons below it out of sight.
    """
    arguments = {"show_label": True, "height": 480} | arguments
    if GRADIO >= 4:
        return gr.Image(format="png", **arguments)
    return gr.Image(**arguments)


def gallery(**arguments: Any) -> Any:
    """gr.Gallery, as PNG, of whole pictures."""
    arguments.setdefault("object_fit", "contain")
    if GRADIO >= 4:
        return gr.Gallery(format="png", **arguments)
    return gr.Gallery(**arguments)


def script(code: str) -> dict[str, str]:
    """The argument of an event that runs JavaScript in the page."""
    return {"js": code} if GRADIO >= 4 else {"_js": code}


def file_name(upload: Any) -> str:
    """What the user called a file that was uploaded with gr.Files."""
    return Path(getattr(upload, "orig_name", None) or upload.name).name


def accordion(label: str, elem_id: str) -> Any:
    """A switched-off InputAccordion, or a checkbox where the host has none."""
    try:
        from modules.ui_components import InputAccordion
    except ImportError:
        return _PlainAccordion(label, elem_id)
    return InputAccordion(False, label=label, elem_id=elem_id)


def switch_in_extras(elem_id: str) -> Any:
    """An accordion, or a checkbox where the host puts one around every script itself."""
    if name() == "sdnext":
        return nullcontext(gr.Checkbox(label="Cut out", value=False, elem_id=elem_id))
    return accordion("ToonOut", elem_id)


class _PlainAccordion:
    def __init__(self, label: str, elem_id: str) -> None:
        self._frame = gr.Accordion(label=label, open=False)
        self._label, self._elem_id = label, elem_id

    def __enter__(self) -> Any:
        self._frame.__enter__()
        return gr.Checkbox(label=self._label, value=False, elem_id=self._elem_id)

    def __exit__(self, *error: Any) -> None:
        self._frame.__exit__(*error)


# ---------------------------------------------------------------- the host's parts


def option(key: str, default: Any) -> Any:
    """A setting; the default where the settings page was never made (--nowebui)."""
    value = getattr(shared.opts, key, None)
    return default if value is None else value


def flag(key: str, default: Any = None) -> Any:
    """A flag of the command line."""
    return getattr(shared.cmd_opts, key, default)


def models_folder() -> Path:
    """Where the host keeps models; SD.Next tells a relative path."""
    for module in ("modules.paths_internal", "modules.paths"):
        if _there(module):
            path = getattr(importlib.import_module(module), "models_path", None)
            if path:
                return Path(path).resolve()
    return Path("models").resolve()


def infotext() -> ModuleType | None:
    """The module that sends pictures and parameters from tab to tab."""
    for module in ("modules.infotext_utils", "modules.generation_parameters_copypaste"):
        if _there(module):
            found = importlib.import_module(module)
            if hasattr(found, "register_paste_params_button"):
                return found
    return None


def pasted(read: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """What reads an infotext for a component. SD.Next's reading of all others ends where one of
    these returns something else than an update."""
    if name() != "sdnext":
        return read

    def update(parameters: dict[str, Any]) -> Any:
        value = read(parameters)
        return None if value is None else gr.update(value=value)

    return update


def has_composite_hook() -> bool:
    """Whether scripts are called once a picture is whole, after other extensions' changes."""
    return hasattr(scripts.Script, "postprocess_image_after_composite")


def extras_keep_alpha() -> bool:
    """Whether Extras takes transparent pictures; Forge Classic and SD.Next show what is hidden."""
    if not _there("modules.postprocessing"):
        return True
    extras = importlib.import_module("modules.postprocessing")
    try:
        return "RGBA" in inspect.getsource(extras.run_postprocessing)
    except (AttributeError, OSError):
        return True


def is_frame(pp: Any) -> bool:
    """Whether a picture in Extras is a frame of a video, which has no alpha: Forge Neo's."""
    return bool(getattr(getattr(pp, "shared", None), "is_video", False))


def unpack(pp: Any) -> None:
    """Extras of Forge Neo may have an editor, which gives all its layers: we want what it shows."""
    if isinstance(pp.image, dict):
        pp.image = pp.image.get("composite")


def makes_video(p: Any) -> bool:
    """Whether what is generated are the frames of a video: in Forge Neo by Wan, a batch of them."""
    is_wan = getattr(getattr(shared, "sd_model", None), "is_wan", False)
    return is_wan is True and int(getattr(p, "batch_size", 1)) > 1


def counts_extras() -> bool:
    """Whether Extras says how many pictures it works on; in SD.Next every script is a job."""
    return name() != "sdnext"


OVERLAY = "toonout_overlay"


def lay_over(p: Any, image: Any) -> Any:
    """A picture with what inpainting left alone: SD.Next itself does that last, and in RGB."""
    if name() != "sdnext":
        return image
    processing_helpers = importlib.import_module("modules.processing_helpers")
    if not hasattr(p, OVERLAY):
        setattr(p, OVERLAY, getattr(p, "mask_apply_overlay", None))
        p.mask_apply_overlay = False
    asked = getattr(p, OVERLAY)
    if not (option("mask_apply_overlay", True) if asked is None else asked):
        return image
    return processing_helpers.apply_overlay(
        image, getattr(p, "paste_to", None), p.batch_index, p.overlay_images
    )


def give_overlay_back(p: Any) -> None:
    """Before a run: folders of pictures are run with the same `p`."""
    if hasattr(p, OVERLAY):
        p.mask_apply_overlay = getattr(p, OVERLAY)
        delattr(p, OVERLAY)


def show_comments(p: Any, processed: Any) -> None:
    """SD.Next shows no comments that scripts make."""
    told = getattr(p, "comments", None)
    if name() == "sdnext" and told:
        processed.comments = "\n".join([*filter(None, [processed.comments]), *told])


def xyz_grid() -> ModuleType | None:
    """The module of the X/Y/Z plot."""
    names = ("xyz_grid.py", "scripts.xyz_grid")
    found = (d.module for d in scripts.scripts_data if d.script_class.__module__ in names)
    return next(found, None)


def controlnet() -> tuple[type[Any], Callable[[str, Any], None]] | None:
    """The base class of ControlNet's preprocessors, and what adds one under a name.

    An extension's modules have the name under which the host's scripts import each other.
    """
    extension = sys.modules.get("scripts.supported_preprocessor")
    if extension is not None:
        base = extension.Preprocessor

        def replace(name: str, preprocessor: Any) -> None:
            for known in (base.all_processors, base.all_processors_by_name):
                known.pop(name, None)
            base.add_supported_preprocessor(preprocessor)

        return base, replace
    if not _there("modules_forge.supported_preprocessor"):
        if _there("modules_forge.shared"):
            _tell_once("ControlNet's preprocessors of ours are not offered: this host has no place "
                       "for them.")  # fmt: skip
        return None
    part = importlib.import_module("modules_forge.supported_preprocessor")
    return part.Preprocessor, lambda _, preprocessor: part.add_supported_preprocessor(preprocessor)


_told: set[str] = set()


def _tell_once(text: str) -> None:
    if text not in _told:
        _told.add(text)
        print(f"ToonOut: {text}")  # noqa: T201 (hosts hide logs of this level)


def on(event: str, callback: Callable[..., Any]) -> None:
    """Register for one of the host's events, if it has that one."""
    register = getattr(script_callbacks, f"on_{event}", None)
    if register is not None:
        register(callback)


def save(image: Any, p: Any, index: int, text: str, suffix: str) -> None:
    """Write a result beside the picture number `index` that was generated."""
    from modules import images

    seeds, prompts = getattr(p, "all_seeds", None) or [p.seed], getattr(p, "all_prompts", [""])
    seed, prompt = seeds[min(index, len(seeds) - 1)], prompts[min(index, len(prompts) - 1)]
    images.save_image(
        image, p.outpath_samples, "", seed, prompt, "png", info=text, p=p, suffix=suffix
    )


def saves_samples(p: Any) -> bool:
    """Whether what `p` generates goes to files."""
    asked = getattr(p, "save_samples", None)
    if callable(asked):
        return bool(asked())
    return bool(option("samples_save", True)) and not getattr(p, "do_not_save_samples", False)


@contextmanager
def job(label: str) -> Iterator[None]:
    """Our turn at the device: after the work that waits already, shown as a job of the host."""
    with _queue_lock():
        begin = getattr(shared.state, "begin", None)
        finish = getattr(shared.state, "end", None)
        if begin is not None:
            begin(label)
        try:
            yield
        finally:
            if finish is not None:
                finish()


def _queue_lock() -> Any:
    if not _there("modules.call_queue"):
        return nullcontext()
    return importlib.import_module("modules.call_queue").queue_lock


def job_stamp() -> Any:
    """What differs from job to job."""
    return getattr(shared.state, "job_timestamp", ""), getattr(shared.state, "time_start", 0)


@contextmanager
def building_networks() -> Iterator[None]:
    """AUTOMATIC1111 replaces methods of torch's classes while it reads a checkpoint, which it does
    in a thread of its own after its start: a network of ours that is built meanwhile fails."""
    data = getattr(sys.modules.get("modules.sd_models"), "model_data", None)
    with getattr(data, "lock", None) or nullcontext():
        yield


def is_stopped() -> bool:
    """Whether the user pressed interrupt or skip."""
    state = shared.state
    names = ("interrupted", "skipped", "stopping_generation")
    return any(getattr(state, key, False) is True for key in names)


# ---------------------------------------------------------------- memory


def device() -> torch.device:
    """Where the host computes."""
    memory = _memory_management()
    if memory is not None:
        return torch.device(memory.get_torch_device())
    chosen = getattr(devices, "get_device_for", None)
    if chosen is not None and name() != "sdnext":
        return torch.device(chosen("toonout"))
    return torch.device(devices.device)


def allows_half(target: torch.device) -> bool:
    """Whether the user lets the host compute in half precision: --no-half and its relatives."""
    if flag("no_half") or flag("precision") == "full":
        return False
    memory = _memory_management()
    if memory is not None:
        return bool(memory.should_use_fp16(target))
    return getattr(devices, "dtype", None) is not torch.float32


def free_memory(size_bytes: int, target: torch.device) -> None:
    """Let the host make room on its device, if it manages memory."""
    memory = _memory_management()
    if memory is not None and target.type != "cpu":
        memory.free_memory(size_bytes, target)


def collect_garbage() -> None:
    """Give freed memory of the device back."""
    devices.torch_gc()


def _memory_management() -> ModuleType | None:
    modules = {
        "forge": "backend.memory_management",
        "reforge": "ldm_patched.modules.model_management",
    }
    module = modules.get(name())
    return importlib.import_module(module) if module else None
