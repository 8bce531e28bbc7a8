"""ComfyHost: ComfyUI's folders, its memory management, its progress bar and its stop button."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from torch import Tensor, nn

from ..toonout_core.host import Step, cache_dir, fast_half, is_out_of_memory
from ..toonout_core.imaging import to_pil

FOLDER = "background_removal"  # ComfyUI's own key since 0.21
INSTANCE_FOLDER = "anime_instance"  # detectors and refiners
SAM_FOLDER = "sams"  # where Segment Anything packs keep its checkpoints
FOREIGN_FOLDERS = ("BiRefNet", "RMBG/BiRefNet")  # where other packs keep the same files
FOREIGN_INSTANCE_FOLDERS = ("AnimeInstanceSegmentation", "ultralytics/segm")
PREVIEW_SIDE_PX = 512
PREVIEW_SECONDS = 0.2


def register_folders() -> None:
    """Make our folders of `models/` known (background_removal to releases before 0.21), beside
    what a user's extra_model_paths.yaml already says about them."""
    for key in (FOLDER, INSTANCE_FOLDER, SAM_FOLDER):
        folder_paths.add_model_folder_path(key, str(Path(folder_paths.models_dir) / key))
        paths, suffixes = folder_paths.folder_names_and_paths[key]
        if not suffixes:
            known = folder_paths.supported_pt_extensions
            folder_paths.folder_names_and_paths[key] = (paths, known)


def weight_dirs(first: str = FOLDER) -> list[Path]:
    """Folders that are searched for weights, in order; downloads go to the first of `first`."""
    keys = sorted((FOLDER, INSTANCE_FOLDER), key=lambda key: key != first)
    own = [Path(folder) for key in keys for folder in folder_paths.get_folder_paths(key)]
    names = (*FOREIGN_FOLDERS, *FOREIGN_INSTANCE_FOLDERS)
    foreign = [Path(folder_paths.models_dir) / name for name in names]
    segment_anything = [Path(folder) for folder in folder_paths.get_folder_paths(SAM_FOLDER)]
    return [*own, *foreign, *segment_anything, cache_dir()]


def foreign_files(folders: Sequence[str]) -> list[str]:
    """Names from `models/` on, of files that lie in the folders of other packs."""
    models = Path(folder_paths.models_dir)
    return sorted(
        path.relative_to(models).as_posix()
        for name in folders
        for path in (models / name).glob("*")
        if path.suffix.lower() in folder_paths.supported_pt_extensions
    )


def find_file(name: str, keys: Sequence[str], foreign: Sequence[str]) -> Path | None:
    """The file of a menu entry, in the folders of `keys` or those of other packs."""
    for key in keys:
        own = folder_paths.get_full_path(key, name)
        if own is not None:
            return Path(own)
    for known in foreign_files(foreign):
        if name in (known, Path(known).name):  # graphs of the other pack say the bare name
            return Path(folder_paths.models_dir) / known
    return None


def register_help() -> None:
    """Let the help pages be found where the pack's folder has a dot or an @ in its name.

    ComfyUI serves them under the folder's name, but its page asks for what comes before the sign.
    """
    root = Path(__file__).parents[1]
    asked = re.split("[.@]", root.name)[0]
    served = getattr(sys.modules.get("nodes"), "EXTENSION_WEB_DIRS", None)
    if served is not None and asked and asked != root.name:
        served.setdefault(asked, str(root / "web"))


def tell(node: Any, text: str) -> None:
    """Show a text on the node that runs; `node`: its class with the hidden unique_id."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    key = getattr(getattr(node, "hidden", None), "unique_id", None)
    if server is not None and key is not None:
        server.instance.send_progress_text(text, key)


def fingerprint(path: Path | None) -> str:
    """What changes when a file does."""
    if path is None:
        return ""
    state = path.stat()
    return f"{path} {state.st_size} {state.st_mtime_ns}"


class ComfyHost:
    """One per loaded pipeline: it keeps the patchers, through which ComfyUI may unload."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        self._patchers: dict[nn.Module, Any] = {}
        self._bar: _Bar | None = None

    def weight_dirs(self) -> Sequence[Path]:
        return weight_dirs(self._folder)

    @contextmanager
    def on_device(self, model: nn.Module, working_memory: int) -> Iterator[torch.device]:
        device = management.get_torch_device()
        with self.making_room():
            if next(model.parameters(), None) is not None:
                patcher = self._patcher(model)
                management.load_models_gpu(
                    [patcher], memory_required=working_memory, force_full_load=True
                )
                device = patcher.load_device
                # with --novram ComfyUI leaves parameters of modules that have children behind
                model.to(device)
            yield device

    @contextmanager
    def workspace(self, working_memory: int) -> Iterator[torch.device]:
        device = management.get_torch_device()
        if device.type != "cuda":
            yield torch.device("cpu")
            return
        with self.making_room():
            management.free_memory(working_memory, device)
            yield device

    @contextmanager
    def making_room(self) -> Iterator[None]:
        """When memory runs out inside, ComfyUI takes all models off its devices, as it does for
        nodes that fail so: what tries again finds them empty."""
        try:
            yield
        except Exception as error:
            if self.out_of_memory(error):
                management.unload_all_models()
                management.soft_empty_cache()
            raise

    def out_of_memory(self, error: BaseException) -> bool:
        known = management.OOM_EXCEPTION  # of a torch without one it is Exception
        return is_out_of_memory(error) or (known is not Exception and isinstance(error, known))

    def half(self, device: torch.device) -> torch.dtype | None:
        return fast_half(device) if management.should_use_fp16(device) else None

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        """Inside of another `progress` all of its units are one of that one, so that one bar serves
        all, and ends full."""
        management.throw_exception_if_processing_interrupted()
        if self._bar is not None:
            yield self._bar.within(total)
            return
        self._bar = _Bar(total)
        try:
            yield self._bar
        finally:
            self._bar = None

    def _patcher(self, model: nn.Module) -> Any:
        if model not in self._patchers:
            self._patchers[model] = comfy.model_patcher.ModelPatcher(
                model,
                load_device=management.get_torch_device(),
                offload_device=management.unet_offload_device(),
            )
        patcher = self._patchers[model]
        # counted anew: a network that could not work in half precision has grown
        patcher.size = 0
        return patcher


class _Bar:
    """A `Step` on ComfyUI's progress bar."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)
        self._total = total
        self._done = 0
        self._part = 0.0  # of the unit that is being worked on
        self._last_preview = 0.0

    def __call__(self, count: int = 1, *, preview: Tensor | None = None) -> None:
        self._done += count
        self._part = 0.0
        self._show(preview)

    def within(self, total: int) -> Step:
        """A `Step` of `total` parts of what is left of the unit that is being worked on."""
        share = (1 - self._part) / max(total, 1)

        def step(count: int = 1, *, preview: Tensor | None = None) -> None:
            self._part = min(self._part + count * share, 1.0)
            self._show(preview)

        return step

    def _show(self, preview: Tensor | None) -> None:
        shown = None
        now = time.monotonic()
        if preview is not None and now - self._last_preview > PREVIEW_SECONDS:
            self._last_preview = now
            shown = _preview(preview)
        self._bar.update_absolute(self._done + self._part, self._total, shown)
        management.throw_exception_if_processing_interrupted()


def _preview(picture: Tensor) -> tuple[str, Any, int]:
    """3×H×W or 4×H×W → what ComfyUI's progress bar takes."""
    stride = max(1, max(picture.shape[-2:]) // PREVIEW_SIDE_PX)
    kind = "PNG" if len(picture) == 4 else "JPEG"
    return kind, to_pil(picture[None, :, ::stride, ::stride]), PREVIEW_SIDE_PX
