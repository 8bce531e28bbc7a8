"""The one way from a picture to its matte: alpha, own alpha, adjustments, foreground colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from .detail import predict_detail
from .errors import BadInput
from .host import Host, Step, reporting
from .imaging import Picture, PixelSource, read
from .ops.adjust import AdjustOptions
from .ops.adjust import adjust as adjusted
from .ops.checking import unit_planes
from .ops.compositing import on_white
from .ops.foreground import Method, estimate_foreground
from .portions import in_portions, memory_for
from .remembering import LastMattes
from .results import Matte
from .words import Fit

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


@dataclass(frozen=True)
class Asked:
    """How alpha is asked for; see `MattingFlow.predict`."""

    resolution: int | None = None
    fit: Fit = "auto"
    frames_per_step: int = 1

    def __post_init__(self) -> None:
        if self.frames_per_step < 1:
            raise BadInput("frames_per_step must be at least 1", str(self.frames_per_step))


class MattingFlow(ABC):
    """Takes a picture to its matte, whatever predicts alpha. It is the same in every host."""

    host: Host
    mattes: LastMattes | None = None  # where answers are kept, if they are

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the model."""

    @abstractmethod
    def answer(self, image: Tensor, asked: Asked, step: Step) -> Tensor:
        """What `predict` is to return, computed anew; `step` is told of every frame."""

    def kept_as(self, image: Tensor, asked: Asked) -> str:
        """Spell what the answer for pictures of this size depends on, beside their content."""
        return f"{asked.resolution} {asked.fit}"

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
        image, asked = unit_planes(image, "image", 3), Asked(resolution, fit, frames_per_step)
        with reporting(self.host, len(image), label, report) as step:
            mattes = self.mattes
            keys = mattes.keys(image, self.kept_as(image, asked)) if mattes is not None else None
            if mattes is None or keys is None:
                return self.answer(image, asked, step)
            known = mattes.recall(keys)
            if known is not None:
                step(len(image), preview=glimpse(image[-1]) * glimpse(known[-1]).to(image))
                return known.to(image.device)
            alpha = self.answer(image, asked, step)
            mattes.keep(keys, alpha)
            return alpha

    def seen_px(self, size_hw: tuple[int, int], resolution: int | None = None) -> int:
        """Longer side of what the network sees of a picture of this size."""
        return resolution or 1024

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
            if own_alpha is not None and adjust is not None and adjust.invert:
                # what was transparent does not come back, and its share is of the other side
                shown = alpha = torch.minimum(shown, own_alpha)
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
        """A path, open file, the bytes of one, PIL picture, array H×W×3 or H×W×4 of uint8, or
        Picture → Matte of that one picture.

        `source_alpha` "ignore" treats the picture as if it had no alpha of its own.
        """
        picture = source if isinstance(source, Picture) else read(source)
        own = picture.alpha if source_alpha == "multiply" else None
        return self.matte(
            picture.image, own, adjust, foreground,
            resolution=resolution, fit=fit, keep_image=keep_image, detail=detail,
        )  # fmt: skip


# ---------------------------------------------------------------- steps of the flow


def require_numbers(alpha: Tensor, name: str) -> Tensor:
    """Return `alpha`. Raises BadInput if the model answered with NaN."""
    if alpha.numel() and not bool(torch.isfinite(alpha.aminmax().max)):
        raise BadInput(
            f"{name} must answer with a number everywhere", "NaN or infinity",
            "Use another precision; if it was fp32, get the weights again.",
        )  # fmt: skip
    return alpha


def glimpse(planes: Tensor) -> Tensor:
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
        report(1, preview=torch.cat((glimpse(found[0]), glimpse(alpha[part][0]))))

    in_portions(
        host, len(image), 1, lambda _: host.workspace(needed), work,
        kind=("foreground", image.shape[-2:]), or_on_cpu=True,
        sentence=(
            f"The machine must have about {needed / 2**30:.1f} GiB of memory to clean the colours "
            "of this picture, but has less. Make it smaller, or leave its colours as they are."
        ),
    )  # fmt: skip
    return colours
