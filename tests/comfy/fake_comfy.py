"""As much of ComfyUI as the nodes lean on, so that they can be tested where it is not installed.

`contract_<release>.json` holds the parameters that the real functions have, written by
record_contract.py in a checkout; test_contract.py compares this file with it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
PACK = "toonout_pack"


class Interrupted(BaseException):
    """The host's own way to stop, unknown to the pack."""


class FakeComfy:
    """The state of the host, for tests to set and to look at."""

    def __init__(self, folder: Path) -> None:
        self.models, self.input, self.output = (folder / n for n in ("models", "input", "output"))
        self.temp = folder / "temp"  # made when somebody writes there
        for path in (self.models, self.input, self.output):
            path.mkdir(parents=True)
        self.folders: dict[str, tuple[list[str], set[str]]] = {}
        self.interrupt_after: int | None = None
        self.loaded: list[tuple[Any, int]] = []
        self.progress: list[tuple[int, int]] = []
        self.previews: list[Any] = []
        self.emptied = self.unloaded = 0

    def modules(self) -> dict[str, ModuleType]:
        """By the names under which the pack imports them."""
        host = self
        comfy = ModuleType("comfy")
        comfy.model_management = _management(host)
        comfy.model_patcher = _module("comfy.model_patcher", ModelPatcher=ModelPatcher)
        comfy.utils = _utils(host)
        comfy.cli_args = _module("comfy.cli_args", args=SimpleNamespace(disable_metadata=False))
        latest = _module(
            "comfy_api.latest", ComfyExtension=ComfyExtension, io=_io(), ui=_ui(), **_video()
        )
        return {
            "comfy": comfy,
            "comfy.model_management": comfy.model_management,
            "comfy.model_patcher": comfy.model_patcher,
            "comfy.utils": comfy.utils,
            "comfy.cli_args": comfy.cli_args,
            "comfy_api": _module("comfy_api", latest=latest),
            "comfy_api.latest": latest,
            "folder_paths": _folder_paths(host),
        }


def load_pack(name: str = PACK) -> ModuleType:
    """Import the repository as ComfyUI does: under a name of its own, not on sys.path."""
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    return module


# ---------------------------------------------------------------- comfy


class ModelPatcher:
    def __init__(self, model, load_device, offload_device):
        self.model, self.load_device, self.offload_device = model, load_device, offload_device


def _management(host: FakeComfy) -> ModuleType:
    def load_models_gpu(models, memory_required=0, force_full_load=False):
        host.loaded += [(patcher, memory_required) for patcher in models]

    def throw_exception_if_processing_interrupted():
        if host.interrupt_after is not None and len(host.progress) >= host.interrupt_after:
            raise Interrupted

    def soft_empty_cache():
        host.emptied += 1

    def unload_all_models():
        host.unloaded += 1

    return _module(
        "comfy.model_management",
        OOM_EXCEPTION=torch.cuda.OutOfMemoryError,
        get_torch_device=lambda: torch.device("cpu"),
        unet_offload_device=lambda: torch.device("cpu"),
        free_memory=lambda memory_required, device: None,
        load_models_gpu=load_models_gpu,
        should_use_fp16=lambda device=None: False,
        soft_empty_cache=soft_empty_cache,
        unload_all_models=unload_all_models,
        throw_exception_if_processing_interrupted=throw_exception_if_processing_interrupted,
    )


def _utils(host: FakeComfy) -> ModuleType:
    class ProgressBar:
        def __init__(self, total):
            self.total = total

        def update_absolute(self, value, total=None, preview=None):
            host.progress.append((value, total))
            if preview is not None:
                host.previews.append(preview)

    return _module("comfy.utils", ProgressBar=ProgressBar)


def _folder_paths(host: FakeComfy) -> ModuleType:
    def add_model_folder_path(folder_name, full_folder_path):
        paths, _ = host.folders.setdefault(folder_name, ([], set()))
        if full_folder_path not in paths:
            paths.append(full_folder_path)

    def get_filename_list(folder_name):
        paths, suffixes = host.folders[folder_name]
        return sorted(
            file.relative_to(folder).as_posix()
            for folder in paths
            for file in Path(folder).rglob("*")
            if file.is_file() and (not suffixes or file.suffix in suffixes)
        )

    def get_full_path(folder_name, filename):
        filename = os.path.relpath(os.path.join("/", filename), "/")
        candidates = (Path(folder) / filename for folder in host.folders[folder_name][0])
        return next((str(path) for path in candidates if path.is_file()), None)

    def get_save_image_path(filename_prefix, output_dir, image_width=0, image_height=0):
        prefix = filename_prefix.replace("%width%", str(image_width))
        prefix = prefix.replace("%height%", str(image_height))
        folder = Path(output_dir) / Path(prefix).parent
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder), Path(prefix).name, 1, str(Path(prefix).parent), prefix

    return _module(
        "folder_paths",
        models_dir=str(host.models),
        supported_pt_extensions={".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".sft"},
        folder_names_and_paths=host.folders,
        add_model_folder_path=add_model_folder_path,
        get_folder_paths=lambda folder_name: list(host.folders[folder_name][0]),
        get_filename_list=get_filename_list,
        get_full_path=get_full_path,
        get_input_directory=lambda: str(host.input),
        get_temp_directory=lambda: str(host.temp),
        get_output_directory=lambda: str(host.output),
        get_save_image_path=get_save_image_path,
    )


# ---------------------------------------------------------------- comfy_api.latest


class ComfyExtension:
    async def get_node_list(self):
        raise NotImplementedError


class ComfyNode:
    hidden = None


class NodeOutput:
    def __init__(self, *args, ui=None):
        self.result, self.ui = args, ui


@dataclasses.dataclass
class Schema:
    """The fields of 0.3.64 that the pack sets."""

    node_id: str
    display_name: str = ""
    category: str = ""
    inputs: list[Any] = dataclasses.field(default_factory=list)
    outputs: list[Any] = dataclasses.field(default_factory=list)
    hidden: list[Any] = dataclasses.field(default_factory=list)
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False


def _type(io_type: str, *widget: str) -> type:
    """A socket type whose Input takes what 0.3.64 takes, and `advanced` of newer releases with
    widgets: `widget` names its own options."""

    class Output:
        def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
            self.display_name, self.tooltip = display_name, tooltip
            self.is_output_list, self.io_type = is_output_list, io_type

    # only those without a widget take an extra_dict there
    names = (
        "display_name",
        "optional",
        "tooltip",
        "lazy",
        *((*widget, "advanced") if widget else ("extra_dict",)),
    )
    lines = [f"def __init__(self, id, {', '.join(f'{name}=None' for name in names)}):"]
    lines += ["    self.id = id", f"    self.io_type = {io_type!r}"]
    lines += [f"    self.{name} = {name}" for name in names]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)
    return type(io_type, (), {"Input": type("Input", (), scope), "Output": Output})


def _io() -> ModuleType:
    number = ("default", "min", "max", "step", "display_mode", "force_input")
    return _module(
        "comfy_api.latest.io",
        ComfyNode=ComfyNode,
        NodeOutput=NodeOutput,
        Schema=Schema,
        Custom=_type,
        Image=_type("IMAGE"),
        Mask=_type("MASK"),
        Video=_type("VIDEO"),
        Int=_type("INT", *number),
        Float=_type("FLOAT", *number),
        String=_type("STRING", "multiline", "placeholder", "default", "force_input"),
        Boolean=_type("BOOLEAN", "default", "label_on", "label_off", "force_input"),
        Combo=_type("COMBO", "options", "default"),
        FolderType=SimpleNamespace(output="output", temp="temp"),
        Hidden=SimpleNamespace(unique_id="UNIQUE_ID"),
    )


def _ui() -> ModuleType:
    class SavedResult(dict):
        def __init__(self, filename, subfolder, type):
            super().__init__(filename=filename, subfolder=subfolder, type=type)

    class SavedImages:
        def __init__(self, results):
            self.results = results

    class PreviewImage:
        def __init__(self, image, animated=False, cls=None):
            self.image, self.animated = image, animated

    class PreviewVideo:
        def __init__(self, values):
            self.values = values

    return _module(
        "comfy_api.latest.ui",
        SavedResult=SavedResult, SavedImages=SavedImages, PreviewImage=PreviewImage,
        PreviewVideo=PreviewVideo,
    )  # fmt: skip


def _video() -> dict[str, Any]:
    @dataclasses.dataclass
    class VideoComponents:
        images: Any
        frame_rate: Any
        audio: Any = None
        metadata: Any = None

    class VideoFromComponents:
        def __init__(self, components):
            self.components = components

        def get_components(self):
            return self.components

        def get_dimensions(self):
            return self.components.images.shape[2], self.components.images.shape[1]

    class VideoFromFile:
        def __init__(self, file):
            self.file = file

        def get_stream_source(self):
            return self.file

        def get_dimensions(self):
            import av

            if hasattr(self.file, "seek"):
                self.file.seek(0)
            with av.open(self.file) as container:
                size = container.streams.video[0].width, container.streams.video[0].height
            if hasattr(self.file, "seek"):
                self.file.seek(0)
            return size

    return {
        "Types": SimpleNamespace(VideoComponents=VideoComponents),
        "InputImpl": SimpleNamespace(
            VideoFromComponents=VideoFromComponents, VideoFromFile=VideoFromFile
        ),
    }
