"""Join Prompts."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..toonout_core.characters.crops import CropRegion
from ..toonout_core.characters.prompts import (
    PromptOptions,
    has_separator,
    join_prompts,
    split_prompts,
)
from ..toonout_core.options import characters as options
from .found import as_frames
from .types import CATEGORY, CropLink, InstancesLink, Node, schema, widgets


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
                "and tags of a tagger, cleaned. Counts are checked, for ComfyUI would repeat the "
                "last one silently."
            ),
            search_aliases=["prompt list", "wildcard", "[SEP]", "tags", "wd14", "per character"],
            is_input_list=True,
            inputs=[
                *widgets(options.STYLE, options.LINES, options.BACKGROUND_PROMPT),
                *widgets(options.STYLE_POSITION, options.DROP_TAGS, options.CHARACTER_TAGS),
                io.String.Input(
                    "tags",
                    optional=True,
                    force_input=True,
                    tooltip=(
                        "What a tagger says of each crop: a list, or one text with lines or [SEP]. "
                        "Cleaned: blanks for underscores, no doubles, escaped parentheses."
                    ),
                ),
                CropLink.Input(
                    "regions",
                    optional=True,
                    tooltip="From Crop Characters: how many prompts there must be.",
                ),
                InstancesLink.Input(
                    "instances",
                    optional=True,
                    tooltip="Without regions: how many prompts there must be.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="prompts",
                    is_output_list=True,
                    tooltip="A list: CLIP Text Encode runs once for each character.",
                ),
                io.String.Output(
                    display_name="text", tooltip="All of them with their numbers, to look at."
                ),
                io.Int.Output(display_name="count", tooltip="How many prompts."),
            ],
        )

    @classmethod
    def execute(
        cls,
        style: list[str],
        lines: list[str],
        background: list[str],
        style_position: list[Any],
        drop_tags: list[str],
        character_tags: list[bool],
        tags: list[str] | None = None,
        regions: list[CropRegion] | None = None,
        instances: list[Any] | None = None,
    ) -> io.NodeOutput:
        wanted = PromptOptions(
            style_position[0],
            tuple(tag for tag in drop_tags[0].split(",") if tag.strip()),
            character_tags[0],
            background[0],
        )
        flags = _backgrounds(regions, instances)
        prompts = join_prompts(
            style[0], texts_of(tags, flags), texts_of(lines, flags), flags, wanted
        )
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


def texts_of(given: list[str] | None, flags: list[bool] | None) -> list[str]:
    """A list as it is; one text by its lines, of which one prompt alone may have several. `flags`:
    as many as there must be, None: not known."""
    if given is None:
        return []
    if len(given) > 1:
        return list(given)
    parts = split_prompts(given[0])
    if flags is not None and len(flags) == 1 and not has_separator(given[0]):
        return [given[0]] if parts else []
    return parts
