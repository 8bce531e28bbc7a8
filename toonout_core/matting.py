"""From pictures to mattes: alpha, the picture's own alpha, adjustments, foreground colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from .detail import predict_detail
from .errors import BadInput
from .host import Host, LocalHost, Step, reporting
from .imaging import Picture, PixelSource, read
from .inference import Inference
from .loading import LoadedNetwork, share_network
from .ops.adjust import AdjustOptions
from .ops.adjust import adjust as adjusted
from .ops.checking import unit_planes
from .ops.compositing import on_white
from .ops.foreground import Method, estimate_foreground
from .ops.resizing import Fitted
from .ops.resizing import fit as fit_to
from .portions import Work, in_portions, memory_for
from .remembering import LastMattes
from .results import Matte
from .words import Fit, PatchOrder, Precision

T = TypeVar("T")
# "multiply" is the name that graphs and scripts know: the smaller one of the two alphas counts
SourceAlpha = Literal["multiply", "ignore"]

# networks see a picture's soft edges more opaque than they are (0.5 as 0.92), else they take part
# of them away, and more each time: of the example's soft pixels, whose mean alpha is 0.480, cutting
# out its cutout leaves 0.443 with exponent 1, then 0.423; with 1/8 0.480 both times
_SEEN_ALPHA = 1 / 8
# three blurred planes of four values and their sums, fp32
_FOREGROUND_BYTES_PER_PIXEL = 160
_PREVIEW_PX = 512


@dataclass(frozen=True)
class ForegroundOptions:
    """How foreground colours are estimated. `radius_px` and `refine_radius_px` are the window sizes
    of blur fusion; `refine_radius_px` 0 leaves the second pass out. `method`: see
    `estimate_foreground`.
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
    remember: bool = True,
) -> Matting:
    """Load a matting pipeline from a name of the weights table or any weight file.

    `resolution`: side of the square that the network sees. Without it the model's own side is
    taken, which may grow with the picture (`grown`). `remember`: keep the last mattes, for pictures
    that are asked for again. Raises UnknownModel, CorruptWeights,
    DownloadFailed.
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
    pictures, if enlarged, are cut out worse.
    """
    steps = round((longest_px - 1000) / 50)
    return side_px + side_px // 16 * min(max(steps, 0), 16)


class MattingFlow(ABC):
    """Takes a picture to its matte, whatever predicts alpha. It is the same in every host."""

    host: Host

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the model."""

    @abstractmethod
    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
        report: Step | None = None,
    ) -> Tensor:
        """B×3×H×W in [0, 1] → alpha B×1×H×W in [0, 1] on the image's device; 0 frames give 0.

        `fit`: "squash" stretches the picture to the network's square, "pad" keeps its aspect,
        "auto" does as the network was trained. Only `frames_per_step` frames are on the device at a
        time, and half as many when memory runs out. `report` is told of every frame, in place of
        the host's progress. Raises BadInput for other shapes, types, ranges and NaN, and
        OutOfMemory.
        """

    def native_px(self, resolution: int | None = None) -> int:
        """Longer side of what the model was trained to see, or of what it is told to."""
        return resolution or 1024

    def sees_more(self, image: Tensor, resolution: int | None = None) -> bool:
        """Whether `predict` looks closer at the whole of `image` than at a smaller picture."""
        return False

    def matte(
        self,
        image: Tensor,
        own_alpha: Tensor | None = None,
        adjust: AdjustOptions | None = None,
        foreground: ForegroundOptions | None = ForegroundOptions(),
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
        report: Step | None = None,
        keep_image: bool = True,
        detail: bool = False,
    ) -> Matte:
        """B×3×H×W (and the alpha B×1×H×W that it has already) → Matte; options as in `predict`.

        Of both alphas the smaller one counts, so that cutting out a cutout gives it back. Then
        alpha is adjusted, and colours are estimated for the adjusted alpha; `foreground` None
        leaves the colours as they are. `report` is told of every frame, and once more when its
        colours are done. `detail`: pictures above the model's size are seen in parts, too.
        """
        image = unit_planes(image, "image", 3)
        if own_alpha is not None:
            own_alpha = unit_planes(own_alpha, "alpha", 1).to(image)
        with (
            memory_for(self.host, "the matte"),
            reporting(self.host, len(image) * (2 if foreground else 1), label, report) as step,
        ):
            found = (partial(predict_detail, self) if detail else self.predict)(
                on_white(image, None if own_alpha is None else own_alpha**_SEEN_ALPHA),
                resolution=resolution, fit=fit, frames_per_step=frames_per_step, report=step,
            )  # fmt: skip
            alpha = found if own_alpha is None else torch.minimum(found, own_alpha)
            shown = alpha if adjust is None else adjusted(alpha, adjust)
            if foreground is None:
                return Matte(image, shown)
            mixed = shown if own_alpha is None else mixture(shown, alpha, own_alpha)
            colours = estimate_colours(
                self.host, image, mixed, foreground, step, overwrite=not keep_image
            )
        return Matte(image, shown, colours)

    def __call__(
        self,
        source: PixelSource | Picture,
        *,
        source_alpha: SourceAlpha = "multiply",
        adjust: AdjustOptions | None = None,
        foreground: ForegroundOptions | None = ForegroundOptions(),
        resolution: int | None = None,
        fit: Fit = "auto",
        keep_image: bool = True,
        detail: bool = False,
    ) -> Matte:
        """A path, open file, PIL picture or Picture → Matte of that one picture.

        `source_alpha` "ignore" treats the picture as if it had no alpha of its own.
        """
        picture = source if isinstance(source, Picture) else read(source)
        own = picture.alpha if source_alpha == "multiply" else None
        return self.matte(
            picture.image, own, adjust, foreground,
            resolution=resolution, fit=fit, keep_image=keep_image, detail=detail,
        )  # fmt: skip


class Matting(MattingFlow):
    """Calls a network on pictures of any size, and remembers the mattes that were asked
    for last.
    """

    def __init__(self, loaded: LoadedNetwork, host: Host, *, resolution: int | None = None) -> None:
        self.inference = Inference(loaded, host)
        self.host = host
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

    def native_px(self, resolution: int | None = None) -> int:
        return max(self.size_hw(resolution))

    def sees_more(self, image: Tensor, resolution: int | None = None) -> bool:
        usual = self.size_hw(resolution, (int(image.shape[-2]), int(image.shape[-1])))
        return max(usual) > self.native_px(resolution)

    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
        report: Step | None = None,
    ) -> Tensor:
        image = unit_planes(image, "image", 3)
        if frames_per_step < 1:
            raise BadInput("frames_per_step must be at least 1", str(frames_per_step))
        size_hw = self.size_hw(resolution, (int(image.shape[-2]), int(image.shape[-1])))
        mattes = self.loaded.mattes
        keys = self._keys(image, size_hw, fit)
        known = mattes.recall(keys) if keys else None
        if known is not None:
            with reporting(self.host, len(image), label, report) as step:
                step(len(image), preview=image[-1] * known[-1].to(image))
            return known.to(image.device)
        alpha = image.new_empty((len(image), 1, *image.shape[-2:]), dtype=torch.float32)

        def work(part: slice, device: torch.device) -> None:
            frames = image[part].to(torch.float32)
            alpha[part] = require_numbers(self._alpha(frames, size_hw, fit, device), self.name)
            step(len(frames), preview=_glimpse(frames[-1]) * _glimpse(alpha[part][-1]))

        with reporting(self.host, len(image), label, report) as step:
            self._run(len(image), frames_per_step, work, size_hw)
        if keys:
            mattes.keep(keys, alpha)
        return alpha

    def look(
        self,
        frame: Tensor,
        size_hw: tuple[int, int],
        question: Callable[[nn.Module, Tensor], tuple[Tensor, T]],
    ) -> tuple[Tensor, T]:
        """1×3×H×W → its alpha, as `predict` gives it, and what else `question` returns.

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
        if keys := self._keys(frame, size_hw, "auto"):
            self.loaded.mattes.keep(keys, alpha)
        return alpha, more

    def _keys(self, image: Tensor, size_hw: tuple[int, int], fit: Fit) -> list[str] | None:
        """Return the keys that alphas are remembered by; None if there is too much to remember."""
        return self.loaded.mattes.keys(image, f"{size_hw} {fit} {self.loaded.stated}")

    def _run(self, frames: int, at_once: int, work: Work, size_hw: tuple[int, int]) -> None:
        bytes_per_frame = size_hw[0] * size_hw[1] * self.loaded.architecture.bytes_per_pixel
        self.inference.run(
            frames, at_once, work, lambda count: count * bytes_per_frame,
            of=size_hw, advice="Lower the resolution or run on the CPU.",
        )  # fmt: skip

    @torch.inference_mode()
    def _alpha(
        self, image: Tensor, size_hw: tuple[int, int], fit: Fit, device: torch.device
    ) -> Tensor:
        seen, fitted = self._prepared(image, size_hw, fit)
        logits = self.inference.ask(lambda network, dtype: network(seen.to(device, dtype)), device)
        return fitted.undo(logits.to(torch.float32).sigmoid().to(image.device))

    def _prepared(self, image: Tensor, size_hw: tuple[int, int], fit: Fit) -> tuple[Tensor, Fitted]:
        """B×3×H×W in [0, 1] → what the network takes, and the way back."""
        trained = self.loaded.input
        mode = trained.fit if fit == "auto" else fit
        fill = trained.fill if mode == trained.fit else None
        small, fitted = fit_to(image, size_hw, mode, fill)
        return trained.normalise(small), fitted


# ---------------------------------------------------------------- steps of the flow


def require_numbers(alpha: Tensor, name: str) -> Tensor:
    """Return `alpha`. Raises BadInput if the model answered with NaN."""
    if alpha.numel() and not bool(torch.isfinite(alpha.aminmax().max)):
        raise BadInput(
            f"{name} must answer with a number everywhere", "NaN or infinity",
            "Use another precision; if it was fp32, get the weights again.",
        )  # fmt: skip
    return alpha


def _glimpse(planes: Tensor) -> Tensor:
    """C×H×W → every n-th pixel, for previews: no side is above 512, and no memory is taken."""
    every = max(1, -(-max(planes.shape[-2:]) // _PREVIEW_PX))
    return planes[..., ::every, ::every]


def mixture(shown: Tensor, alpha: Tensor, own_alpha: Tensor) -> Tensor:
    """Return the share of foreground in each pixel's colour, B×1×H×W, of a picture with its own
    alpha.

    The colours of such a picture are straight: free of what is behind it. So `alpha` / `own_alpha`
    of them is foreground, and all of it where the picture's own alpha is the smaller one.
    Adjustments made `shown` of `alpha`; they add to the share but never take from it. Where the
    picture is opaque, the share is `shown`. Where it is transparent, its colours mean nothing, and
    the share is 0.
    """
    own = own_alpha.clamp(min=torch.finfo(own_alpha.dtype).tiny)
    share = torch.maximum(shown, alpha).div(own).clamp(max=1)
    mixed = torch.where(own_alpha < 1, share, shown)
    return mixed * ((shown > 0) & (own_alpha > 0)).to(mixed)


def estimate_colours(
    host: Host,
    image: Tensor,
    alpha: Tensor,
    options: ForegroundOptions,
    report: Step,
    *,
    overwrite: bool = False,
) -> Tensor:
    """Call `estimate_foreground` for B×3×H×W, a frame at a time on the host's device.

    Where the device has too little memory, the CPU does it. `report` is told of every frame.
    """
    overwrite = overwrite and image.dtype == torch.float32
    # a single frame needs no room beside what is estimated: a large one takes 0.8 GB
    colours = torch.empty_like(image[:0] if len(image) == 1 else image, dtype=torch.float32)
    if overwrite:
        colours = image
    needed = _FOREGROUND_BYTES_PER_PIXEL * int(image.shape[-2] * image.shape[-1])

    begun: set[int] = set()

    def work(part: slice, device: torch.device) -> None:
        nonlocal colours
        there = image[part].to(device)
        if overwrite and there.data_ptr() == image[part].data_ptr():
            if part.start in begun:  # a part of it may be overwritten: there is no second try
                raise MemoryError
            begun.add(part.start)
        found = estimate_foreground(
            there, alpha[part].to(device),
            options.radius_px, options.refine_radius_px, options.method, overwrite=overwrite,
        ).to(image.device)  # fmt: skip
        if len(image) == 1 and not overwrite:
            colours = found
        elif found.data_ptr() != colours[part].data_ptr():
            colours[part] = found
        report(1, preview=torch.cat((_glimpse(found[0]), _glimpse(alpha[part][0]))))

    in_portions(
        host, len(image), 1, lambda _: host.workspace(needed), work,
        kind=("foreground", image.shape[-2:]), or_on_cpu=True,
        sentence=(
            f"The machine must have about {needed / 2**30:.1f} GiB of memory to clean the colours "
            "of this picture, but has less. Make it smaller, or leave its colours as they are."
        ),
    )  # fmt: skip
    return colours
