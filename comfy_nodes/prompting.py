"""Join Prompts."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..toonout_core.characters.crops import CropRegion
from ..toonout_core.characters.prompts import join_prompts, prompt_texts
from ..toonout_core.chosen import prompt_options
from ..toonout_core.options import characters as options
from . import given, made
from .found import as_frames
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class JoinPrompts(Node):
    """A style and what is said of each character → one prompt for each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_JoinPrompts",
            display_name="Join Prompts per Character (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "One prompt for each character: a style that all share, your own line for each, "
                "and tags of a tagger, cleaned. The counts are checked, because ComfyUI would "
                "repeat the last one without a word."
            ),
            search_aliases=["prompt list", "wildcard", "[SEP]", "tags", "wd14", "per character"],
            is_input_list=True,
            inputs=[
                *widgets(options.STYLE, options.LINES, options.BACKGROUND_PROMPT),
                *widgets(options.STYLE_POSITION, options.DROP_TAGS, options.CHARACTER_TAGS),
                *inputs(given.TAGS, given.COUNTED_REGIONS, given.COUNTED_INSTANCES),
            ],
            outputs=outputs(*made.JOINED_PROMPTS),
        )

    @classmethod
    def execute(
        cls,
        tags: list[str] | None = None,
        regions: list[CropRegion] | None = None,
        instances: list[Any] | None = None,
        **chosen: list[Any],
    ) -> io.NodeOutput:
        flags, lines = _backgrounds(regions, instances), chosen.pop("lines")
        values = {name: value[0] for name, value in chosen.items()}
        texts = prompt_texts(tags, flags), prompt_texts(lines, flags)
        prompts = join_prompts(values["style"], *texts, flags, prompt_options(values))
        text = "\n".join(f"{number}: {prompt}" for number, prompt in enumerate(prompts))
        return io.NodeOutput(prompts, text, len(prompts))


def _backgrounds(
    regions: list[CropRegion] | None, instances: list[Any] | None
) -> list[bool] | None:
    """For each prompt that there must be, whether it is of a background; None: not known."""
    if regions is not None:
        return [region.is_background for region in regions]
    if instances is not None:
        counts = [sum(len(found) for found in as_frames(value)) for value in instances]
        return [False] * sum(max(count, 1) for count in counts)  # as Crop Characters makes them
    return None
