"""Pictures in, mattes out: resize, network, resize back, foreground colours."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .errors import BadInput, ToonOutError
from .host import Host, LocalHost
from .imaging import Picture, PixelSource, read
from .loading import LoadedNetwork, Precision, load_network
from .ops.compositing import over
from .ops.foreground import Method, estimate_foreground
from .ops.resizing import fit as fit_to
from .results import Matte
from .weights import PatchOrder

log = logging.getLogger("toonout")

Fit = Literal["auto", "squash", "pad"]
SourceAlpha = Literal["multiply", "ignore"]


@dataclass(frozen=True)
class ForegroundOptions:
    """Blur fusion's window sizes in pixels; `refine_radius_px` 0 leaves the second pass out.

    `method`: see estimate_foreground.
    """

    radius_px: int = 90
    refine_radius_px: int = 6
    method: Method = "inversion"


def load_matting(
    name_or_path: str | Path = "toonout-mini",
    *,
    host: Host | None = None,
    precision: Precision = "auto",
    resolution: int | None = None,
    patch_order: PatchOrder | None = None,
    download: bool = True,
) -> Matting:
    """A matting pipeline from a name of the weights table or any weight file.

    `resolution`: side of the square that the network sees, instead of the model's own.
    Raises UnknownModel, CorruptWeights, DownloadFailed.
    """
    host = host if host is not None else LocalHost()
    loaded = load_network(
        name_or_path, host, precision=precision, patch_order=patch_order, download=download
    )
    return Matting(loaded, host, resolution=resolution)


class Matting:
    """Calls a network on pictures of any size; holds no picture between calls."""

    def __init__(self, loaded: LoadedNetwork, host: Host, *, resolution: int | None = None) -> None:
        self.loaded = loaded
        self.host = host
        self.resolution = resolution

    @property
    def name(self) -> str:
        return self.loaded.name

    def size_hw(self, resolution: int | None = None) -> tuple[int, int]:
        """What the network sees, rounded up to what it can take."""
        side = resolution or self.resolution
        height, width = (side, side) if side else self.loaded.input_size_hw
        unit = self.loaded.architecture.multiple_of
        return -(-height // unit) * unit, -(-width // unit) * unit

    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
    ) -> Tensor:
        """B×3×H×W in [0, 1] → alpha B×1×H×W in [0, 1] on the image's device.

        `fit`: "squash" to the network's square, "pad" to keep the aspect, or "auto": as trained.
        Only `frames_per_step` frames are on the device at a time; halved when memory runs out.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise BadInput("image must be B×3×H×W", f"shape {tuple(image.shape)}")
        if frames_per_step < 1:
            raise BadInput("frames_per_step must be at least 1", str(frames_per_step))
        size_hw = self.size_hw(resolution)
        frames, step, done = int(image.shape[0]), frames_per_step, 0
        alpha = image.new_empty((frames, 1, *image.shape[-2:]), dtype=torch.float32)
        with self.host.progress(frames, label) as report:
            while done < frames:
                try:
                    memory = self._working_memory(size_hw, min(step, frames - done))
                    with self.host.on_device(self.loaded.network, memory) as device:
                        while done < frames:
                            part = image[done : done + step].to(torch.float32)
                            result = self._step(part, size_hw, fit, device)
                            alpha[done : done + len(part)] = result
                            done += len(part)
                            report(len(part), preview=part[-1] * result[-1])
                except torch.cuda.OutOfMemoryError as error:
                    if step == 1:
                        gib = self._working_memory(size_hw, 1) / 2**30
                        raise ToonOutError(
                            f"{self.name} at {size_hw[1]}×{size_hw[0]} needs about {gib:.1f} GiB "
                            "beside its weights, but the device has less. Lower the resolution or "
                            "run on the CPU."
                        ) from error
                    step //= 2
                    log.info("out of device memory: %d frames per step", step)
        return alpha

    def _working_memory(self, size_hw: tuple[int, int], frames: int) -> int:
        """Bytes beside the weights."""
        share = self.loaded.dtype.itemsize / 4
        pixels = size_hw[0] * size_hw[1] * frames
        return int(pixels * self.loaded.architecture.bytes_per_pixel * share)

    @torch.inference_mode()
    def _step(
        self, image: Tensor, size_hw: tuple[int, int], fit: Fit, device: torch.device
    ) -> Tensor:
        trained = self.loaded
        mode = trained.fit if fit == "auto" else fit
        fill = trained.fill if mode == trained.fit else None
        small, fitted = fit_to(image, size_hw, mode, fill)
        mean = small.new_tensor(self.loaded.mean).view(1, 3, 1, 1)
        std = small.new_tensor(self.loaded.std).view(1, 3, 1, 1)
        logits = self.loaded.network(((small - mean) / std).to(device, self.loaded.dtype))
        return fitted.undo(logits.to(torch.float32).sigmoid().to(image.device))

    def matte(
        self,
        image: Tensor,
        source_alpha: Tensor | None = None,
        *,
        foreground: ForegroundOptions | None = ForegroundOptions(),
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
    ) -> Matte:
        """B×3×H×W (and its own alpha B×1×H×W, which is multiplied in) → Matte.

        `foreground` None: leave the colours as they are.
        """
        seen = image
        if source_alpha is not None:
            # the colours under transparency are undefined: the network sees white there
            seen = over(image, source_alpha, torch.ones_like(image))
        alpha = self.predict(
            seen, resolution=resolution, fit=fit, frames_per_step=frames_per_step, label=label
        )
        final = alpha if source_alpha is None else alpha * source_alpha
        colours = None
        if foreground is not None:
            # straight colours are already free of what is behind the picture's own alpha
            colours = torch.cat(
                [
                    estimate_foreground(
                        image[i : i + 1],
                        alpha[i : i + 1],
                        foreground.radius_px,
                        foreground.refine_radius_px,
                        foreground.method,
                    )
                    for i in range(image.shape[0])
                ]
            )
        return Matte(image, final, colours)

    def __call__(
        self,
        source: PixelSource | Picture,
        *,
        source_alpha: SourceAlpha = "multiply",
        foreground: ForegroundOptions | None = ForegroundOptions(),
        resolution: int | None = None,
        fit: Fit = "auto",
    ) -> Matte:
        """A path, open file, PIL picture or Picture → Matte of that one picture.

        Alpha that the picture already has is multiplied in, or ignored.
        """
        picture = source if isinstance(source, Picture) else read(source)
        own = picture.alpha if source_alpha == "multiply" else None
        return self.matte(picture.image, own, foreground=foreground, resolution=resolution, fit=fit)
