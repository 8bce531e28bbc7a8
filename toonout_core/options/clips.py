"""Options of clips that are made of one picture."""

from __future__ import annotations

from .cutout import COLOUR
from .files import FILENAME_PREFIX
from .option import choice, switch, text
from .running import OUT, OVERWRITE

CLIP = OUT.but(
    help="The clip: clip.mp4, clip.webm, clip.webp, or a folder for its frames, such as frames/.",
    metavar="CLIP",
)
REPLACE_CLIP = OVERWRITE.but(help="Replace a clip of that name.")
PLATE = text(
    "plate", None,
    "The picture without its characters, of the same size. Without it, the background behind them "
    "is painted automatically, which looks worse.",
    metavar="FILE",
)  # fmt: skip
DEPTH = text("depth", None, "A depth picture; near is white.", metavar="FILE")
POSE = text("pose", None, "Joints, or a sequence of them (see below).", metavar="JSON")
BVH_FILE = text("bvh", None, "Motion capture that drives the characters.", metavar="FILE")
PLANE = choice("plane", "front", ("front", "side"), "The side from which --bvh is seen.")
TRANSPARENT = switch("transparent", False, "The characters alone, without a background.")

# ---------------------------------------------------------------- nodes

KEPT = choice(
    "output", "images and video", ("images and video", "video only"),
    "video only: images and masks hold the first frame alone. For long clips, whose frames do not "
    "fit into memory: 300 of 1024 x 1024 take 4 GB.",
)  # fmt: skip
SHOW = choice(
    "show", "background", ("background", "characters alone"),
    "characters alone: on black, with their alpha in masks.",
)  # fmt: skip
CUT_FORMAT = choice(
    "format", "webm", ("webm", "mov", "mkv", "mp4"),
    "webm: VP9 with transparency, for browsers and OBS. mov: ProRes 4444 with transparency, for "
    "video editors. mkv: FFV1 with transparency, without loss. mp4: H.264 on the colour, plays "
    "everywhere.",
)  # fmt: skip
CUT_COLOUR = COLOUR.but(
    help="Behind the character in mp4, which has no transparency: #rrggbb or a name such as white.",
)
CUT_PREFIX = FILENAME_PREFIX.but(
    default="toonout/clip",
    help="Folder and beginning of the file name, in the output folder. Empty: the clip is only "
    "passed on; its file is in the temporary folder.",
)
BVH = choice(
    "bvh", "none", (),
    "Motion capture from the input folder (.bvh) that drives all characters, instead of motion and "
    "of the poses of a clip.",
)  # fmt: skip
