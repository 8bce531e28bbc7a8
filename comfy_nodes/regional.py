"""Prompts per Character."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances
from ..toonout_core.characters.regional import prompt_areas, regional_prompts
from ..toonout_core.errors import BadInput
from ..toonout_core.options import characters as options
from . import given, made
from .found import as_frames
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class PromptCharacters(Node):
    """Texts and characters → one conditioning, in which each text acts where its character is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_PromptCharacters",
            display_name="Prompts per Character (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Gives each character its own prompt, for one sampler: each prompt acts inside of "
                "its character's mask, the background's prompt outside. Works with every model "
                "that ComfyUI samples."
            ),
            search_aliases=["regional prompt", "couple", "attention couple", "area", "mask prompt"],
            is_input_list=True,
            inputs=[
                *inputs(given.TEXT_ENCODER, given.PROMPTED),
                *widgets(options.SHARED_STYLE, options.SHARED_LINES, options.REST_PROMPT),
                *widgets(options.PROMPT_STRENGTH, options.PROMPT_FEATHER),
            ],
            outputs=outputs(made.CONDITIONING, made.PROMPT_TEXT),
        )

    @classmethod
    def execute(
        cls, clip: list[Any], instances: list[Any], lines: list[str], **chosen: list[Any]
    ) -> io.NodeOutput:
        if clip[0] is None:
            raise BadInput(
                "clip must be a text encoder", "none",
                "The checkpoint may hold none: connect Load CLIP.",
            )  # fmt: skip
        found, values = _of_one_picture(instances), {k: value[0] for k, value in chosen.items()}
        prompts = regional_prompts(len(found), values["style"], lines, values["background"])
        areas = prompt_areas(found, values["strength"], values["feather_px"])
        conditioning: list[Any] = []
        for prompt, area in zip(prompts, areas, strict=True):
            conditioning += _acting_in(area, _encoded(clip[0], prompt))
        named = [*(f"{number}" for number in range(len(found))), "background"]
        text = "\n".join(f"{name}: {said}" for name, said in zip(named, prompts, strict=True))
        return io.NodeOutput(conditioning, text)


def _of_one_picture(instances: list[Any]) -> Instances:
    frames = [frame for value in instances for frame in as_frames(value)]
    if len(frames) != 1:
        raise BadInput(
            "instances must be of one picture",
            f"those of {len(frames)}",
            "Run this node once for each picture.",
        )
    return frames[0]


def _encoded(clip: Any, prompt: str) -> list[Any]:
    """As CLIP Text Encode does it."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


def _acting_in(area: Tensor, conditioning: list[Any]) -> list[Any]:
    """As Conditioning (Set Mask) does it. The whole latent is sampled, whatever the mask."""
    mask = {"mask": area[None], "mask_strength": 1.0, "set_area_to_bounds": False}
    return [[embedding, {**given, **mask}] for embedding, given in conditioning]
