"""What nodes make: every output, with its tooltip. What they are given stands in `given.py`."""

from __future__ import annotations

from comfy_api.latest import io

from .types import (
    Boxes,
    ConditioningLink,
    CropLink,
    InstancesLink,
    LayersLink,
    MattingModel,
    SegmenterModel,
    Segs,
    Socket,
)

# ---------------------------------------------------------------- models

MODEL = Socket(
    MattingModel, "model",
    "For Cut Out Character (ToonOut), and ComfyUI's own Remove Background.",
)  # fmt: skip
SEGMENTER = Socket(
    SegmenterModel, "segmenter", "For Segment Characters and Characters from Prompts (ToonOut)."
)

# ---------------------------------------------------------------- mattes

_MASK_NAME = "mask (white = character)"

ADJUSTED = Socket(io.Mask, _MASK_NAME, "White = character, as it came in.")
COMPOSED = Socket(io.Image, "image", "RGB, opaque.")
MATTE = (
    Socket(
        io.Image, "cutout",
        "RGBA, straight alpha. Not for Save Video and VAE Encode, which want RGB: set background "
        "to colour for them. The colours under the transparent part are the estimated foreground, "
        "never the old background.",
    ),
    Socket(
        io.Image, "foreground",
        "RGB without the old background's colour in the edges; goes with the mask.",
    ),
    Socket(
        io.Mask, _MASK_NAME,
        "White = character, black = background. Load Image's mask is the opposite. No Invert Mask "
        "is needed anywhere in this pack.",
    ),
)  # fmt: skip
ESTIMATED = (
    MATTE[0].but(help="RGBA, straight alpha. Not for Save Video and VAE Encode, which want RGB."),
    MATTE[1].but(help="RGB, the character's colours. What is wholly inside stays as it is."),
    MATTE[2].but(help="The mask as it came in. White = character."),
)
CUT_VIDEO = Socket(
    getattr(io, "Video", None), "video",
    "The clip. Save Video would write it as mp4, without alpha.",
)  # fmt: skip
EXAMPLE = Socket(io.Image, "image", "RGB, one picture.")
LOADED_IMAGES = Socket(
    io.Image, "image", "In natural order: frame_2 before frame_10.", is_list=True
)
LOADED_NAMES = Socket(
    io.String, "name", "File names without ending, for names of Save Cutout.", is_list=True
)
SHEET = (
    Socket(io.Image, "sheet", "RGB, black where nothing is; goes with the mask."),
    Socket(io.Mask, _MASK_NAME, "Of the sheet. White = character."),
    Socket(io.String, "list", "The list of the frames, as JSON text."),
)
MEASURED = (
    Socket(io.String, "text", "The figures as a table, means over the batch."),
    Socket(
        io.String,
        "numbers",
        "The same as JSON: the mean, and a row for each picture. null: not defined.",
    ),
    Socket(io.Float, "MAE", "Mean absolute error, 0 to 1. Lower is better."),
    Socket(io.Float, "soft BIoU", "Agreement along the outline, 0 to 1. Higher is better."),
    Socket(io.Float, "PA", "Pixel accuracy, clipped, 0 to 1. Higher is better."),
    Socket(io.Image, "errors", "Red: missing. Cyan: too much. Under it the picture, dark grey."),
)
COMPARED = Socket(io.Image, "sheet", "One for each picture of the batch.")

# ---------------------------------------------------------------- characters

FOUND = (
    Socket(InstancesLink, "instances", "All of them in order, for the other nodes here."),
    Socket(
        io.Mask, "masks",
        "A batch, one mask for each character. White = character. One black mask if there is none.",
    ),
    Socket(
        io.Mask, "mask list",
        "The same as a list: nodes after it run once for each character. White = character.",
        is_list=True,
    ),
    Socket(io.Mask, "all", "One mask for each picture. White = character, any of them."),
    Socket(
        io.Mask, "background",
        "The opposite of all. White = background, black = character.",
    ),
    Socket(
        Boxes, "boxes",
        "For each picture a list of boxes with scores, as ComfyUI's own detectors give it.",
    ),
    Socket(
        io.Image, "preview",
        "Every character in a colour, with its number. Numbers begin with 0.",
    ),
    Socket(io.Int, "count", "Number of characters in all pictures."),
    Socket(io.String, "report", "Where they come from, scores, boxes and areas, as text."),
)  # fmt: skip
REST = Socket(InstancesLink, "rest", "The other characters, in their old order.")
CROPS = (
    Socket(io.Image, "crops", "RGB, one for each character.", is_list=True),
    Socket(
        io.Mask, "masks",
        "Of the same size as the crop. White = character, what is to be repainted.",
        is_list=True,
    ),
    Socket(
        CropLink, "regions",
        "Where each crop belongs: for Paste Characters and Join Prompts per Character.",
        is_list=True,
    ),
    Socket(io.Int, "count", "How many crops."),
)  # fmt: skip
PASTED = (
    Socket(
        io.Image, "image", "The whole picture again, one for each that was cropped.", is_list=True
    ),
    Socket(
        io.Mask, "changed",
        "What was replaced. White = character or background that is new.",
        is_list=True,
    ),
)  # fmt: skip
JOINED_PROMPTS = (
    Socket(
        io.String, "prompts",
        "A list: CLIP Text Encode runs once for each character.",
        is_list=True,
    ),
    Socket(io.String, "text", "All of them with their numbers, to look at."),
    Socket(io.Int, "count", "How many prompts."),
)  # fmt: skip
CONDITIONING = Socket(ConditioningLink, "conditioning", "For the sampler's positive input.")
PROMPT_TEXT = Socket(io.String, "text", "Who gets which prompt, to look at.")
SEGS = Socket(Segs, "segs", "SEGS of the Impact Pack, in the order of the instances.", is_list=True)
DOCUMENTS = Socket(
    LayersLink, "layers", "ComfyUI's own document of layers, one for each picture.", is_list=True
)
LAYER_COUNT = Socket(io.Int, "count", "How many layers, in all documents.")

# ---------------------------------------------------------------- clips

KEN_BURNS_CLIP = (
    Socket(io.Image, "images", "The frames, RGB; black where edges are transparent."),
    Socket(io.Mask, "masks", "Where characters are in each frame. White = character."),
    Socket(
        io.Mask, "edges",
        "Black where the picture's edge came into view and edges are transparent. White = "
        "background or character.",
    ),
)  # fmt: skip
PUPPET_CLIP = (
    Socket(io.Image, "images", "The frames, RGB."),
    Socket(io.Mask, "masks", "The alpha of all characters in each frame. White = character."),
    Socket(
        io.String, "report",
        "Joints of each character in pixels, as JSON, with notes.",
    ),
)  # fmt: skip
VIDEO = "The clip, for Save Video. It has no transparency: those parts are black."
