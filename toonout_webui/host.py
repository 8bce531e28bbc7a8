"""WebUIHost: the WebUI's folders, its memory, its progress bar and its interrupt button."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from modules import shared
from torch import Tensor, nn

from ..toonout_core import Cancelled
from ..toonout_core.host import Step, cache_dir, fast_half, is_out_of_memory
from . import hosts

OWN_FOLDER = "toonout"
# folders of ComfyUI, and of packs and extensions that keep the same files
SHARED_FOLDERS = ("background_removal", "BiRefNet", "RMBG/BiRefNet", "birefnet")


def weight_dirs() -> list[Path]:
    """Folders that are searched for weights, in order; downloads go to the first."""
    given = [hosts.flag("toonout_models_path"), hosts.option("toonout_models_path", "")]
    own = hosts.models_folder()
    comfy = str(hosts.option("toonout_comfyui_path", "")).strip()
    roots = [own, *([Path(comfy).expanduser() / "models"] if comfy else [])]
    found = [Path(path).expanduser().absolute() for path in given if path and str(path).strip()]
    found.append(own / OWN_FOLDER)
    found += [root / folder for root in roots for folder in SHARED_FOLDERS]
    return [*dict.fromkeys(found), cache_dir()]


class WebUIHost:
    """`on_cpu`: a pipeline for the processor, where the device has too little memory."""

    def __init__(self, *, on_cpu: bool = False) -> None:
        self._on_cpu = on_cpu

    def weight_dirs(self) -> Sequence[Path]:
        return weight_dirs()

    def device(self) -> torch.device:
        """Where networks run."""
        return torch.device("cpu") if self._on_cpu else hosts.device()

    @contextmanager
    def on_device(self, model: nn.Module, working_memory: int) -> Iterator[torch.device]:
        """Off the device again after it, unless the settings say that it stays."""
        device = self.device()
        if device.type == "cpu":
            model.to(device)
            yield device
            return
        hosts.free_memory(_size(model, device) + working_memory, device)
        try:
            model.to(device)
            yield device
        finally:
            if not hosts.option("toonout_keep_in_vram", False):
                model.to("cpu")
                hosts.collect_garbage()

    @contextmanager
    def workspace(self, working_memory: int) -> Iterator[torch.device]:
        device = self.device()
        if device.type != "cuda":
            yield torch.device("cpu")
            return
        hosts.free_memory(working_memory, device)
        try:
            yield device
        finally:
            if not hosts.option("toonout_keep_in_vram", False):
                hosts.collect_garbage()

    def out_of_memory(self, error: BaseException) -> bool:
        return is_out_of_memory(error)

    def half(self, device: torch.device) -> torch.dtype | None:
        return fast_half(device) if hosts.allows_half(device) else None

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        """In the host's own progress bar, whose numbers and words are put back afterwards."""
        state = shared.state
        names = ("sampling_step", "sampling_steps", "textinfo")
        before = {name: getattr(state, name, None) for name in names}
        done = 0

        def step(count: int = 1, *, preview: Tensor | None = None) -> None:
            nonlocal done
            done += count
            state.sampling_step = done
            state.textinfo = (
                f"ToonOut: {label} {done}/{total}" if total > 1 else f"ToonOut: {label}"
            )
            require_not_stopped()

        require_not_stopped()
        state.sampling_steps = total
        step(0)
        try:
            yield step
        finally:
            for name, value in before.items():
                setattr(state, name, value)


def require_not_stopped() -> None:
    """Cancelled if the user pressed interrupt or skip."""
    if hosts.is_stopped():
        raise Cancelled("Stopped, as you asked.")


def _size(model: nn.Module, device: torch.device) -> int:
    """Bytes that have to move to the device."""
    return sum(
        tensor.numel() * tensor.element_size()
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.device != device
    )
