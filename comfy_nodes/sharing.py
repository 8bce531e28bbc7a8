"""Mattes of Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances, share_matte
from ..toonout_core.chosen import share_options
from ..toonout_core.imaging import from_comfy
from ..toonout_core.options import characters as options
from . import given, made
from .batches import needed_mask
from .found import as_frames, found_result, matched_frames
from .host import ComfyHost
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets


class InstanceMattes(Node):
    """One matte of all, shared out among the characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstanceMattes",
            display_name="Mattes of Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Gives every character soft hair: one good matte of the whole picture is shared "
                "out among the characters, so that their mattes add up to it again."
            ),
            search_aliases=["soft mask", "hair", "alpha per person", "instance matting"],
            inputs=[
                *inputs(given.WITH_BACKGROUND, given.WHOLE_MATTE, given.SHARED_INSTANCES),
                widget(options.TRUST_MASKS),
                *widgets(options.UNCERTAIN, options.REACH, advanced=True),
            ],
            outputs=outputs(*made.FOUND),
        )

    @classmethod
    def execute(cls, image: Tensor, mask: Tensor, instances: Any, **chosen: Any) -> io.NodeOutput:
        picture = from_comfy(image)[0]
        alpha = needed_mask(picture, mask)
        picture, frames = matched_frames(picture, as_frames(instances))
        alpha, frames = matched_frames(alpha, frames)
        picture, frames = matched_frames(picture, frames)
        shared: list[Instances] = []
        host, how = ComfyHost(), share_options(chosen)
        with host.progress(len(frames), "mattes") as report:
            for frame, plane, found in zip(picture.split(1), alpha.split(1), frames, strict=True):
                shared.append(share_matte(plane, found, frame, how, host=host))
                report(1)
        return io.NodeOutput(*found_result(picture, tuple(shared)))
