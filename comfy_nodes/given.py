"""What nodes are given by other nodes: every input that is no widget, with its tooltip.

What a user chooses stands in `toonout_core.options` in the same way, and what nodes make in
`made.py`.
"""

from __future__ import annotations

from comfy_api.latest import io

from .types import (
    Boxes,
    ClipLink,
    CropLink,
    InstancesLink,
    LayersLink,
    MattingModel,
    PoseKeypoint,
    SegmenterModel,
    Socket,
)

AnyPicture = io.Custom("IMAGE,MASK")

# ---------------------------------------------------------------- models

MODEL = Socket(
    MattingModel, "model",
    "From Load Matting Model (ToonOut), or from ComfyUI's own loader. Empty: the built-in model.",
    optional=True,
)  # fmt: skip
# hosts without VIDEO have no node that takes it
VIDEO = Socket(getattr(io, "Video", None), "video", "From Load Video, or any other node.")
SEGMENTER = Socket(SegmenterModel, "segmenter", "From Load Character Segmenter (ToonOut).")
TEXT_ENCODER = Socket(ClipLink, "clip", "The text encoder of the model that samples.")

# ---------------------------------------------------------------- pictures that are given

IMAGE = Socket(
    io.Image, "image", "One picture or a batch (a video's frames), RGB or RGBA, of any size."
)
WITH_BACKGROUND = IMAGE.but(help="The picture with its background.")
PROMPTED_IMAGE = IMAGE.but(help="One picture or a batch: the prompts go to each.")
ONE_IMAGE = IMAGE.but(help="One picture.")
SEARCHED_IMAGE = IMAGE.but(help="The picture in which they were found.")
LAYERED_IMAGE = SEARCHED_IMAGE.but(optional=True)
CROPPED_IMAGE = IMAGE.but(help="The picture that was cropped.")
COMPARED_IMAGE = IMAGE.but(help="The picture that the mattes belong to.")
FOR_PREVIEW = IMAGE.but(help="The picture, for the preview only.", optional=True)
FOR_SEGMENTS = FOR_PREVIEW.but(help="The picture: for the preview, and for segment_anything.")
FOR_CROPS = FOR_PREVIEW.but(
    help="Connect it to put cropped pictures into the SEGS; most need none."
)
UNDER_ERRORS = FOR_PREVIEW.but(
    help="The picture, to be seen under the errors. Without it: the true matte."
)
SAVED_IMAGE = IMAGE.but(help="cutout (RGBA), or foreground (RGB) together with the mask.")
SAVED_FRAMES = IMAGE.but(help="Frames: cutout (RGBA), or foreground (RGB) together with the mask.")
TOP = Socket(
    io.Image, "foreground",
    "cutout or foreground of Cut Out Character; not the original picture.",
)  # fmt: skip
BACKDROP = Socket(
    io.Image, "background",
    "Picture or clip behind the character, of any size. Without it: the colour.",
    optional=True,
)  # fmt: skip
PLATE = BACKDROP.but(
    help="The picture without its characters, from an inpainting graph: it shows what comes into "
    "view behind them. Without it, the background there is painted smoothly."
)
LAYER_PLATE = BACKDROP.but(
    help="The same picture without its characters, for example inpainted. Without it they are "
    "painted over smoothly."
)
LAYER_COLOURS = TOP.but(
    help="foreground of Cut Out Character: colours free of the old background. Without it they are "
    "estimated.",
    optional=True,
)
CARDS = Socket(
    io.Image, "cards",
    "RGBA pictures that are layers already, the lowest first: a list or a batch, such as the parts "
    "that See-through gives. They lie above the rest. No image and no instances are needed then.",
    optional=True,
)  # fmt: skip
WORKED_CROPS = Socket(
    io.Image, "crops",
    "The changed crops, in the same order: what VAE Decode gives. Several versions of each (a "
    "batch) give several pictures. They may be larger or smaller, but must keep their aspect.",
)  # fmt: skip
DEPTH = Socket(
    AnyPicture, "depth",
    "A depth picture from any pack, of any size; near is white. Without it characters stand before "
    "a flat background.",
    optional=True,
)  # fmt: skip

# ---------------------------------------------------------------- masks that are given

MASK = Socket(io.Mask, "mask", "White = character.")
SOFT_MASK = MASK.but(
    help="White = character, soft edges welcome. Masks of Load Image are the other way round "
    "(white = transparent): those need Invert Mask."
)
TOP_MASK = MASK.but(
    help="White = character. Without it the cutout's own alpha is used. Load Image's mask is the "
    "opposite: switch mask_is_transparency on for it.",
    optional=True,
)
SAVED_MASK = MASK.but(
    help="White = character. Takes the place of alpha that the picture already has. Load Image's "
    "mask is the opposite: switch mask_is_transparency on for it.",
    optional=True,
)
SAVED_FRAMES_MASK = SAVED_MASK.but(
    help="White = character. Takes the place of alpha that the frames already have. Load Image's "
    "mask is the opposite: put Invert Mask between."
)
WHOLE_MATTE = MASK.but(
    help="The matte of the whole picture, from Cut Out Character or any matting node. White = "
    "character."
)
MOVED_MATTE = MASK.but(
    help="The matte of the whole picture. With instances it is shared out among them, alone it is "
    "one character. White = character.",
    optional=True,
)
JUDGED = MASK.but(help="The matte to be judged. White = character.")
TRUTH = Socket(
    io.Mask, "truth",
    "The true matte, of the same size. White = character. Load Image gives the opposite of a "
    "cutout's alpha: put Invert Mask between.",
)  # fmt: skip
MATTES = (
    Socket(io.Mask, "matte_1", "The first matte. White = character."),
    *(
        Socket(io.Mask, f"matte_{number}", "Another one. White = character.", optional=True)
        for number in (2, 3, 4)
    ),
)
MASKS = Socket(io.Mask, "masks", "A batch or a list of masks of one picture. White = character.")
ROUGH_MASKS = MASKS.but(
    help="Rough masks, one for each character: painted, or from SAM. White = character. They are "
    "refined; the detector is not asked.",
    optional=True,
)
CROP_MASKS = MASKS.but(
    help="Other masks than those of Crop Characters, of the crops' size. White = character, what "
    "is replaced.",
    optional=True,
)
SEGMENTS = Socket(
    io.Mask, "segments",
    "A batch of segments of the same picture, from ComfyUI's SAM 3 or any SAM pack. "
    "White = character or any other thing.",
    optional=True,
)  # fmt: skip
INSIDE = Socket(
    io.Mask, "inside",
    "Keeps characters of which at least half is inside. White = character wanted.",
    optional=True,
)  # fmt: skip

# ---------------------------------------------------------------- characters that are given

INSTANCES = Socket(InstancesLink, "instances", "From any node that gives characters.")
SHARED_INSTANCES = INSTANCES.but(help="Of the same picture, from Segment Characters.")
ROUGH_INSTANCES = INSTANCES.but(help="What a detector found: rough masks, but the right ones.")
PROMPTED = INSTANCES.but(help="The characters of one picture, in their order.")
COUNTED_INSTANCES = INSTANCES.but(
    help="Gives the number of prompts if regions is not connected.", optional=True
)
MOVED_INSTANCES = INSTANCES.but(
    help="The characters of the picture. Mattes of Characters is best, because its edges are soft.",
    optional=True,
)
LAYERED_INSTANCES = INSTANCES.but(
    help="From Mattes of Characters, for soft hair; masks of Segment Characters give hard edges. "
    "Characters whose feet are lower are in front.",
    optional=True,
)
BOXES_TO_SEGMENT = Socket(
    Boxes, "boxes",
    "Boxes of any detector (BOUNDING_BOX): one box, a list for all pictures, or a list for each.",
    optional=True,
)  # fmt: skip
BOXES_TO_CHOOSE = BOXES_TO_SEGMENT.but(help="For each box the character that overlaps it most.")
REGIONS = Socket(CropLink, "regions", "From Crop Characters.")
COUNTED_REGIONS = REGIONS.but(
    help="From Crop Characters. Gives the number of prompts, and says which is the background's.",
    optional=True,
)
POSE = Socket(
    PoseKeypoint, "pose",
    "Joints from DWPose or another estimator. One frame: those of this picture. More: they drive "
    "the characters. Without it joints are guessed.",
    optional=True,
)  # fmt: skip
TAGS = Socket(
    io.String, "tags",
    "The tags of each crop, from a tagger: a list, or one text with lines or [SEP]. Cleaned: "
    "blanks for underscores, no doubles, escaped parentheses.",
    optional=True,
)  # fmt: skip
LAYERS = Socket(LayersLink, "layers", "From Layers of Characters, or from ComfyUI's Add Layer.")
