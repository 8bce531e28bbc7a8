"""Options of layered files, sprite sheets and animated pictures."""

from __future__ import annotations

from .clips import PLATE
from .files import FILENAME_PREFIX
from .option import choice, number, switch, text, whole
from .running import OUT

# ---------------------------------------------------------------- layers

LAYERS_FORMAT = choice(
    "format", "psd", ("psd", "ora"),
    "psd: Photoshop, Krita, GIMP. ora: OpenRaster, for Krita, GIMP, MyPaint.",
)  # fmt: skip
LAYER_NAMES = text(
    "names", "", "Names of the characters, or of the cards, a line each. Empty: numbers.",
    lines=True, placeholder="names of the layers, one a line",
)  # fmt: skip
LAYERS_PREFIX = FILENAME_PREFIX.but(default="toonout/layers")

# ---------------------------------------------------------------- sprite sheets

COLUMNS = whole(
    "columns", 0, (0, 1000), "Frames in a row. 0: as many as make the sheet nearly square."
)
TRIM = switch("trim", True, "Cuts all frames to the one box that holds all that is visible.")
SHEET_PADDING = whole(
    "padding_px", 0, (0, 512),
    "Empty room around every frame, so that engines do not mix neighbours.",
)  # fmt: skip
POWER_OF_TWO = switch(
    "power_of_two", False,
    "Fills the sides up to 256, 512, 1024, …, as old graphics cards want.",
)  # fmt: skip
PIVOT = choice(
    "pivot", "bottom", ("centre", "bottom", "top-left"),
    "The point of a frame that engines place: a slice in the list. bottom: stands on the ground.",
)  # fmt: skip
FPS = number(
    "fps", 12.0, (0.1, 240.0, 0.5), "Frames per second. Connect fps of Get Video Components."
)  # fmt: skip
SPRITES_PREFIX = FILENAME_PREFIX.but(
    default="toonout/sprites", help="Folder and beginning of the file names, in the output folder."
)
ANIMATION = choice(
    "animation", "none", ("none", "webp", "png", "gif"),
    "Also saves the frames one after the other. webp and png (APNG) have soft edges, gif has hard "
    "ones and 256 colours.",
)  # fmt: skip
SHEET = (COLUMNS, TRIM, SHEET_PADDING, POWER_OF_TWO, PIVOT)

# ---------------------------------------------------------------- the shell

LAYERS_OUT = OUT.but(help="Folder, or file for a single picture.")
LAYERS_KIND = LAYERS_FORMAT.but(
    default=None, help=LAYERS_FORMAT.help + " Without it: the ending of OUT, or psd."
)
LAYER_PLATE = PLATE.but(help="The same picture without its characters, for the layer below them.")
SHEET_OUT = OUT.but(help="The sheet, a .png.")
OWN_FPS = FPS.but(default=None, help="Frames per second. Without it: those of the clip, or 10.")
EVERY = whole("every", 1, (1, 1_000_000), "Use every Nth frame.")
ANIMATION_FILE = text(
    "animation", None, "Also write the frames as a .webp, .png or .gif.", metavar="FILE"
)
CUT = choice(
    "cut", "auto", ("auto", "always", "never"),
    "auto: cut out the characters of frames that are opaque.",
)  # fmt: skip
