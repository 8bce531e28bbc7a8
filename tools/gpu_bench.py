"""What the checks for a GPU run on: the device, networks of both sizes, pictures, comparisons."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tools.bench_networks import DTYPES, random_state
from toonout_core import Matting
from toonout_core.host import LocalHost
from toonout_core.loading import LoadedNetwork, load_network
from toonout_core.models import birefnet, isnet, rtmdet_ins, yolov8_seg
from toonout_core.models.architecture import Architecture
from toonout_core.models.norms import fold_norms_

MINI = "toonout-mini"

_TINY_BIREFNET: dict[str, Any] = {
    "dim": 4, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "window": 3,
    "inner": 4, "branch": 4, "image_inner": 4,
}  # fmt: skip
_SWIN_T: dict[str, Any] = {
    "dim": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24), "window": 7,
}  # fmt: skip
_SMALL_RTMDET: dict[str, Any] = {
    "widths": (8, 16, 32, 64, 128), "depths": (1, 1, 1, 1), "neck_channels": 32,
    "neck_blocks": 1, "channels": 32, "mask_channels": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One row of the table. `ok` None: told, not judged."""

    of: str
    value: str
    limit: str = ""
    ok: bool | None = None


@dataclass(frozen=True)
class Bench:
    """Where checks run. `full`: networks and pictures as in earnest, else tiny ones."""

    device: torch.device
    full: bool

    @property
    def side(self) -> int:
        return 1024 if self.full else 64

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give what is held and unused back."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def picture(self, frames: int = 1, side: int = 0) -> Tensor:
        """Soft noise B×3×S×S in [0, 1], the same every time."""
        chance = torch.Generator().manual_seed(5)
        side = side or self.side
        coarse = torch.rand(frames, 3, side // 8, side // 8, generator=chance)
        return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def judged(of: str, value: float, limit: float) -> Figure:
    """A figure that must not be above its limit."""
    return Figure(of, f"{value:.2g}", f"≤ {limit:g}", value <= limit)


# ------------------------------------------------------------------ networks


def matting_network(name: str, bench: Bench) -> LoadedNetwork:
    """On the CPU in float32: toonout-mini as it is, others with random weights."""
    if name == MINI:
        return load_network(MINI, LocalHost("cpu", [], quiet=True), precision="fp32")
    kinds: dict[str, tuple[Architecture, Callable[[], nn.Module]]] = {
        "birefnet (Swin-L)": (
            birefnet.ARCHITECTURE,
            lambda: birefnet.BiRefNet(**({} if bench.full else _TINY_BIREFNET)),
        ),
        "birefnet (Swin-T)": (
            birefnet.ARCHITECTURE,
            lambda: birefnet.BiRefNet(**(_SWIN_T if bench.full else _TINY_BIREFNET)),
        ),
        "isnet": (isnet.ARCHITECTURE, lambda: isnet.ISNet(width=64 if bench.full else 8)),
    }
    architecture, build = kinds[name]
    network = _random(architecture, build)
    return LoadedNetwork(network, architecture, None, Path(name), torch.float32)


MATTING = (MINI, "isnet", "birefnet (Swin-T)", "birefnet (Swin-L)")


def _random(architecture: Architecture, build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        empty = build()
    return architecture.load(random_state(empty.state_dict()))


def others(bench: Bench) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Networks that make no matte, and what they are shown."""
    side = 640 if bench.full else 64
    rtmdet = rtmdet_ins.RTMDetIns
    yield (
        "RTMDet-Ins",
        _random(rtmdet_ins.ARCHITECTURE, lambda: rtmdet(**({} if bench.full else _SMALL_RTMDET))),
        bench.picture(side=side) * 2 - 1,
    )
    yield (
        "YOLOv8n-seg",
        _random(yolov8_seg.ARCHITECTURE, yolov8_seg.YoloV8Seg),
        bench.picture(side=side),
    )
    refiner = isnet.ISNet(channels_in=4, width=64 if bench.full else 8)
    picture = bench.picture(side=720 if bench.full else 64)
    yield (
        "refiner",
        isnet.ARCHITECTURE_REFINER.load(random_state(refiner.state_dict())),
        torch.cat((picture, picture[:, :1].round()), 1),
    )


def precise(network: nn.Module, dtype: str) -> nn.Module:
    """A copy that computes in `dtype`, as a loaded one does."""
    copy = deepcopy(network)
    if dtype != "fp32":
        fold_norms_(copy)
    return copy.to(DTYPES[dtype])


def alpha(
    loaded: LoadedNetwork, image: Tensor, device: torch.device, dtype: str = "fp32"
) -> Tensor:
    """Of a copy of the network, through the pipeline, at the picture's own size."""
    network, kind = precise(loaded.network, dtype), DTYPES[dtype]
    copy = LoadedNetwork(network, loaded.architecture, loaded.weights, loaded.path, kind)
    host = LocalHost(str(device), [], quiet=True)
    return Matting(copy, host).predict(image, resolution=image.shape[-1]).cpu()


@contextmanager
def exact() -> Iterator[None]:
    """Without TF32, which PyTorch uses for convolutions on its own."""
    backends: list[Any] = [torch.backends.cudnn, torch.backends.cuda.matmul]

    def allow(values: list[bool]) -> list[bool]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the newest torch announces other names
            before = [backend.allow_tf32 for backend in backends]
            for backend, value in zip(backends, values, strict=True):
                backend.allow_tf32 = value
        return before

    before = allow([False, False])
    try:
        yield
    finally:
        allow(before)


def tensors(answer: Any) -> list[Tensor]:
    """All in what a network returns."""
    if isinstance(answer, Tensor):
        return [answer]
    if is_dataclass(answer):
        return tensors([getattr(answer, item.name) for item in fields(answer)])
    return [found for part in answer for found in tensors(part)]


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    wide = theirs.double().cpu()
    return float((ours.double().cpu() - wide).abs().max() / wide.abs().max().clamp(min=1e-9))
