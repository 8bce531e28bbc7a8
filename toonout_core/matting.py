"""A network as a matting model: it sees pictures of any size, and answers with alpha."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from .flow import Asked, MattingFlow, glimpse, require_numbers
from .host import Host, LocalHost, Step
from .inference import Inference
from .loading import LoadedNetwork, share_network
from .ops.checking import unit_planes
from .ops.looks import joined
from .ops.resizing import Fitted
from .ops.resizing import fit as fit_to
from .portions import Work
from .remembering import LastMattes
from .words import Fit, PatchOrder, Precision

T = TypeVar("T")
Looks = tuple[tuple[int, int], ...]  # height and width of each

_CLOSER = 1.25  # times the network's own side: up to there one look is enough


def load_matting(
    name_or_path: str | Path = "toonout-mini",
    *,
    host: Host | None = None,
    precision: Precision = "auto",
    resolution: int | None = None,
    patch_order: PatchOrder | None = None,
    download: bool = True,
    remember: bool = True,
) -> Matting:
    """Load a matting pipeline from a name of the weights table or any weight file.

    `resolution`: side of the square that the network sees. Without it the model's own side is
    taken, which may grow with the picture (`grown`). `remember`: keep the last mattes, for pictures
    that are asked for again. Raises UnknownModel, CorruptWeights, DownloadFailed.
    """
    host = host if host is not None else LocalHost()
    loaded = share_network(
        name_or_path, host, precision=precision, patch_order=patch_order, download=download
    )
    if not remember:
        loaded = replace(loaded, mattes=LastMattes(0))
    return Matting(loaded, host, resolution=resolution)


def grown(side_px: int, longest_px: int) -> int:
    """Return the side that a network of `side_px` sees of a picture whose longer side is
    `longest_px`.

    It is `side_px` up to 1000 px, and twice that from 1800 px on. In between it grows by a
    sixteenth for each 50 px. At the network's own size fine parts of large pictures are lost; small
    pictures, if enlarged, are cut out worse. `Matting.looks` tells what is seen beside it.
    """
    steps = round((longest_px - 1000) / 50)
    return side_px + side_px // 16 * min(max(steps, 0), 16)


class Matting(MattingFlow):
    """Calls a network on pictures of any size, and remembers the mattes that were asked
    for last.
    """

    def __init__(self, loaded: LoadedNetwork, host: Host, *, resolution: int | None = None) -> None:
        self.inference = Inference(loaded, host)
        self.host = host
        self.mattes = loaded.mattes
        self.resolution = resolution

    @property
    def loaded(self) -> LoadedNetwork:
        """The network and what it wants to be fed."""
        return self.inference.loaded

    @property
    def name(self) -> str:
        return self.loaded.name

    def size_hw(
        self, resolution: int | None = None, image_hw: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """Return the size that the network sees of a picture of `image_hw`, rounded up to one that
        it takes.
        """
        side = resolution or self.resolution
        height, width = (side, side) if side else self.loaded.input.size_hw
        if not side and image_hw is not None and self.loaded.architecture.follows_picture:
            height, width = (grown(own, max(image_hw)) for own in (height, width))
        unit = self.loaded.architecture.multiple_of
        return -(-height // unit) * unit, -(-width // unit) * unit

    def looks(
        self, resolution: int | None = None, image_hw: tuple[int, int] | None = None
    ) -> Looks:
        """Return the sizes in which the network sees a picture of `image_hw`.

        They are two where the last is much larger than what the network learned from: close to a
        large picture, it takes parts of bodies for background. The first look is at the whole, and
        the second one is held to it (`joined`).
        """
        closest, whole = self.size_hw(resolution, image_hw), self.size_hw(resolution)
        return (closest,) if max(closest) <= _CLOSER * max(whole) else (whole, closest)

    def seen_px(self, size_hw: tuple[int, int], resolution: int | None = None) -> int:
        return max(self.size_hw(resolution, size_hw))

    def kept_as(self, image: Tensor, asked: Asked) -> str:
        return self._kept_as(self._looks_at(image, asked), asked.fit)

    def answer(self, image: Tensor, asked: Asked, step: Step) -> Tensor:
        looks = self._looks_at(image, asked)
        alpha = image.new_empty((len(image), 1, *image.shape[-2:]), dtype=torch.float32)

        def work(part: slice, device: torch.device) -> None:
            frames = image[part].to(torch.float32)
            found = self._alpha(frames, looks, asked.fit, device)
            alpha[part] = require_numbers(found, self.name)
            step(len(frames), preview=glimpse(frames[-1]) * glimpse(alpha[part][-1]))

        self._run(len(image), asked.frames_per_step, work, looks[-1])
        return alpha

    def _looks_at(self, image: Tensor, asked: Asked) -> Looks:
        return self.looks(asked.resolution, (int(image.shape[-2]), int(image.shape[-1])))

    def look(
        self,
        frame: Tensor,
        size_hw: tuple[int, int],
        question: Callable[[nn.Module, Tensor], tuple[Tensor, T]],
    ) -> tuple[Tensor, T]:
        """1×3×H×W → its alpha, as `predict` gives it after one look in `size_hw`, and what else
        `question` returns.

        `question` is called with the network and the picture in `size_hw`; it returns logits, and
        anything.
        """
        frame = unit_planes(frame, "image", 3).to(torch.float32)
        seen, fitted = self._prepared(frame, size_hw, "auto")
        found: list[tuple[Tensor, T]] = []

        def work(_: slice, device: torch.device) -> None:
            logits, more = self.inference.ask(
                lambda network, dtype: question(network, seen.to(device, dtype)), device
            )
            alpha = fitted.undo(logits.to(torch.float32).sigmoid().to(frame.device))
            found.append((require_numbers(alpha, self.name), more))

        self._run(1, 1, work, size_hw)
        alpha, more = found[-1]
        mattes = self.loaded.mattes
        if keys := mattes.keys(frame, self._kept_as((size_hw,), "auto")):
            mattes.keep(keys, alpha)
        return alpha, more

    def _kept_as(self, looks: Looks, fit: Fit) -> str:
        return f"{looks} {fit} {self.loaded.stated}"

    def _run(self, frames: int, at_once: int, work: Work, size_hw: tuple[int, int]) -> None:
        bytes_per_frame = size_hw[0] * size_hw[1] * self.loaded.architecture.bytes_per_pixel
        self.inference.run(
            frames, at_once, work, lambda count: count * bytes_per_frame,
            of=size_hw, advice="Lower the resolution or run on the CPU.",
        )  # fmt: skip

    @torch.inference_mode()
    def _alpha(self, image: Tensor, looks: Looks, fit: Fit, device: torch.device) -> Tensor:
        prepared = [self._prepared(image, size_hw, fit) for size_hw in looks]
        alphas = [self._asked(seen, device) for seen, _ in prepared]
        _, fitted = prepared[-1]
        return fitted.undo(reduce(joined, alphas).to(image.device))

    def _asked(self, seen: Tensor, device: torch.device) -> Tensor:
        logits = self.inference.ask(lambda network, dtype: network(seen.to(device, dtype)), device)
        return logits.to(torch.float32).sigmoid()

    def _prepared(self, image: Tensor, size_hw: tuple[int, int], fit: Fit) -> tuple[Tensor, Fitted]:
        """B×3×H×W in [0, 1] → what the network takes, and the way back."""
        trained = self.loaded.input
        mode = trained.fit if fit == "auto" else fit
        fill = trained.fill if mode == trained.fit else None
        small, fitted = fit_to(image, size_hw, mode, fill)
        return trained.normalise(small), fitted
