"""Cut Out Character, and Estimate Foreground for mattes from elsewhere."""

from __future__ import annotations

from typing import Any, Literal, get_args

import comfy.model_management as management
import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Fit, Matte, estimate_foreground
from ..toonout_core.host import Step
from ..toonout_core.imaging import from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.ops.foreground import Method
from .batches import check_size, matched
from .host import ComfyHost
from .models import as_model, flattened
from .types import CATEGORY, MattingModel, schema, widget

MASK_TIP = "White = character, black = background. No Invert Mask needed anywhere in this pack."
CUTOUT_TIP = (
    "RGBA, straight alpha. The colours under the transparent part are the estimated foreground, "
    "never the old background."
)
FOREGROUND_TIP = "RGB without the old background's colour in the edges; goes with the mask."
# three blurred planes of four values and their sums, fp32
FOREGROUND_BYTES_PER_PIXEL = 160


def radius_widgets() -> list[Any]:
    """The two windows of the foreground estimate."""
    return [
        widget(
            io.Int,
            "radius_px",
            default=90,
            min=1,
            max=1000,
            advanced=True,
            tooltip="Window of the first pass: how far colours travel into a soft edge.",
        ),
        widget(
            io.Int,
            "refine_radius_px",
            default=6,
            min=0,
            max=1000,
            advanced=True,
            tooltip="Window of the second pass, which keeps fine detail. 0: one pass only.",
        ),
    ]


def method_widget() -> Any:
    """How the foreground is estimated; last and optional, so that older graphs stay valid."""
    return widget(
        io.Combo,
        "foreground_method",
        options=list(get_args(Method)),
        default="inversion",
        optional=True,
        advanced=True,
        tooltip=(
            "inversion: also looks at the old background beside the edge, which is cleaner. "
            "blur-fusion: as published."
        ),
    )


def matte_outputs() -> list[Any]:
    """cutout, foreground, mask."""
    return [
        io.Image.Output(display_name="cutout", tooltip=CUTOUT_TIP),
        io.Image.Output(display_name="foreground", tooltip=FOREGROUND_TIP),
        io.Mask.Output(display_name="mask (white = character)", tooltip=MASK_TIP),
    ]


class MatteImage(io.ComfyNode):
    """Picture → cutout, foreground, mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_Matte",
            display_name="Cut Out Character (ToonOut)",
            category=CATEGORY,
            description=(
                "Removes the background with soft edges, and takes its colour out of them. "
                "Pictures and videos; any model of a matting loader, ComfyUI's own too."
            ),
            search_aliases=["remove background", "rembg", "matting", "alpha", "transparent"],
            inputs=[
                MattingModel.Input("model", tooltip="From Load Matting Model (ToonOut)."),
                io.Image.Input("image", tooltip="One picture or a batch, RGB or RGBA."),
                widget(
                    io.Int,
                    "resolution",
                    default=0,
                    min=0,
                    max=4096,
                    step=32,
                    tooltip=(
                        "Side of the square that the network sees. 0: what the model was trained "
                        "with, which is best for nearly all pictures. The result has the "
                        "picture's own size in any case."
                    ),
                ),
                widget(
                    io.Combo,
                    "fit",
                    options=["auto", "squash", "pad"],
                    default="auto",
                    tooltip=(
                        "auto: as the model was trained. squash: the whole square is used. pad: "
                        "keeps the aspect; try it for very wide or tall pictures."
                    ),
                ),
                widget(
                    io.Boolean,
                    "clean_colours",
                    default=True,
                    tooltip=(
                        "Estimates the character's colours in soft edges, so that no halo of the "
                        "old background stays. Off: faster, the colours stay as they are."
                    ),
                ),
                *radius_widgets(),
                widget(
                    io.Int,
                    "frames_per_step",
                    default=1,
                    min=1,
                    max=64,
                    advanced=True,
                    tooltip=(
                        "Frames on the device at one time; halved by itself when memory runs out."
                    ),
                ),
                widget(
                    io.Combo,
                    "source_alpha",
                    options=["multiply", "ignore"],
                    default="multiply",
                    advanced=True,
                    tooltip=(
                        "What happens to alpha that the picture already has: multiply keeps its "
                        "transparent parts transparent."
                    ),
                ),
                method_widget(),
            ],
            outputs=matte_outputs(),
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        image: Tensor,
        resolution: int,
        fit: Fit,
        clean_colours: bool,
        radius_px: int,
        refine_radius_px: int,
        frames_per_step: int,
        source_alpha: Literal["multiply", "ignore"],
        foreground_method: Method = "inversion",
    ) -> io.NodeOutput:
        remover = as_model(model)
        options = (radius_px, refine_radius_px, foreground_method) if clean_colours else None
        frames = len(image)
        outputs = _Outputs(image)
        with remover.host.progress(frames * (2 if clean_colours else 1), "matting") as report:
            for start in range(0, frames, frames_per_step):
                picture, own_alpha = from_comfy(image[start : start + frames_per_step])
                if source_alpha == "ignore":
                    own_alpha = None
                alpha = remover.predict(
                    flattened(picture, own_alpha),
                    resolution=resolution or None,
                    fit=fit,
                    frames_per_step=frames_per_step,
                )
                colours = foreground_of(remover.host, picture, alpha, options, report)
                visible = alpha if own_alpha is None else alpha * own_alpha
                outputs.put(start, Matte(picture, visible, colours))
        return outputs.node_output()


class EstimateForeground(io.ComfyNode):
    """Picture and matte → foreground colours."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_EstimateForeground",
            display_name="Estimate Foreground (ToonOut)",
            category=CATEGORY,
            description=(
                "Takes the old background's colour out of soft edges, for a matte from anywhere: "
                "an adjusted one, another pack's, or one painted by hand."
            ),
            search_aliases=["decontaminate", "defringe", "despill", "halo", "blur fusion"],
            inputs=[
                io.Image.Input("image", tooltip="The picture with its background."),
                io.Mask.Input(
                    "mask",
                    tooltip=(
                        "White = character, soft edges welcome. Masks of Load Image are the other "
                        "way round (white = transparent): those need Invert Mask."
                    ),
                ),
                *radius_widgets(),
                method_widget(),
            ],
            outputs=matte_outputs(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        radius_px: int,
        refine_radius_px: int,
        foreground_method: Method = "inversion",
    ) -> io.NodeOutput:
        host = ComfyHost()
        picture, _ = from_comfy(image)
        alpha = mask_from_comfy(mask)
        check_size(alpha, picture)
        picture, alpha = matched(image=picture, mask=alpha)
        assert picture is not None and alpha is not None
        outputs = _Outputs(to_comfy(picture))
        with host.progress(len(picture), "foreground") as report:
            for i in range(len(picture)):
                part, part_alpha = picture[i : i + 1], alpha[i : i + 1]
                options = (radius_px, refine_radius_px, foreground_method)
                colours = foreground_of(host, part, part_alpha, options, report)
                outputs.put(i, Matte(part, part_alpha, colours))
        return outputs.node_output()


class _Outputs:
    """The three results, filled step by step, so that no second copy of a long clip exists."""

    def __init__(self, image: Tensor) -> None:
        shape = image.shape[:3]
        self.cutout = image.new_empty((*shape, 4), dtype=torch.float32)
        self.foreground = image.new_empty((*shape, 3), dtype=torch.float32)
        self.mask = image.new_empty(shape, dtype=torch.float32)

    def put(self, start: int, matte: Matte) -> None:
        stop = start + len(matte)
        self.foreground[start:stop] = to_comfy(matte.colours)
        self.mask[start:stop] = mask_to_comfy(matte.alpha)
        self.cutout[start:stop] = to_comfy(torch.cat((matte.colours, matte.alpha), 1))

    def node_output(self) -> io.NodeOutput:
        return io.NodeOutput(self.cutout, self.foreground, self.mask)


def foreground_of(
    host: ComfyHost,
    image: Tensor,
    alpha: Tensor,
    options: tuple[int, int, Method] | None,
    report: Step,
) -> Tensor | None:
    """Foreground colours of B×3×H×W, one frame at a time on the device; None without options."""
    if options is None:
        return None
    frames: list[Tensor] = []
    for i in range(len(image)):
        frames.append(_foreground_of_frame(host, image[i : i + 1], alpha[i : i + 1], options))
        report(1, preview=torch.cat((frames[-1][0], alpha[i])))
    return torch.cat(frames)


def _foreground_of_frame(
    host: ComfyHost, image: Tensor, alpha: Tensor, options: tuple[int, int, Method]
) -> Tensor:
    memory = FOREGROUND_BYTES_PER_PIXEL * int(image.shape[-2] * image.shape[-1])
    try:
        with host.workspace(memory) as device:
            return estimate_foreground(image.to(device), alpha.to(device), *options).to(
                image.device
            )
    except management.OOM_EXCEPTION:
        management.soft_empty_cache()
        return estimate_foreground(image.cpu(), alpha.cpu(), *options).to(image.device)
