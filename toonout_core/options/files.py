"""Options of what is read and written: folders, names and formats."""

from __future__ import annotations

from .option import choice, number, switch, text, whole

_MOST = 1_000_000

# ---------------------------------------------------------------- what is read

FOLDER = choice("folder", ".", (), "A folder that may be read. A dot is the input folder itself.")
EXAMPLE = choice("picture", "girl on a broom", (), "One of the drawings of this pack.")
PATTERN = text(
    "pattern", "*", "Which pictures: *.png, frame_*, … Upper and lower case are the same."
)
RECURSIVE = switch("recursive", False, "Subfolders too; names then keep the subfolder.", short="-r")
START = whole("start", 0, (0, _MOST), "Pictures to skip.")
LIMIT = whole(
    "limit", 0, (0, _MOST),
    "How many pictures at most; 0: all. They are all in memory at one time (12 MB for 1024×1024): "
    "do thousands in parts, with start and limit.",
)  # fmt: skip
SKIP_DONE = text(
    "skip_done", "",
    "A folder in the output folder, such as toonout. Pictures that have a result of their name "
    "there are left out, so that Run goes on where it stopped. Empty: all are done.",
)  # fmt: skip
KEEP_ALPHA = switch("keep_alpha", True, "Transparent pictures come as RGBA. Off: always RGB.")

# ---------------------------------------------------------------- what is written

FILENAME_PREFIX = text(
    "filename_prefix", "toonout/cutout",
    "Folder and beginning of the file name, in the output folder. %width%, %height%, %year% … work "
    "as in Save Image. When names are connected only the folder counts.",
)  # fmt: skip
NODE_FORMAT = choice(
    "format", "png", ("png", "png 16 bit", "webp"),
    "png 16 bit: keeps fine steps in soft edges, for compositing programs.",
)  # fmt: skip
QUALITY = whole("quality", 100, (1, 100), "Quality of webp. 100: without loss.")
NAMES = text("names", None, "File names without ending, as Load Folder gives them.")

# ---------------------------------------------------------------- what the shell writes

FORMAT = choice(
    "format",
    None,
    ("png", "webp", "jpg", "tiff", "gif"),
    "Without it: the ending of OUT, or png. gif has hard edges.",
)
FRAMES = switch("frames", False, "Write the frames of an animation as files.")
MASK_ONLY = switch("mask_only", False, "Write alpha as a grey picture.")
BITS = choice(
    "bits", "auto", ("auto", "8", "16"),
    "Bits per channel. auto keeps 16 where the picture has 16 and the result is png.",
)  # fmt: skip
FILE_QUALITY = QUALITY.but(
    default=None,
    help="Quality of jpg (default 95). webp is lossless unless this is given.",
)
METADATA = switch("metadata", True, "Keep text, colour profile and dpi.")
SHRINK_TO = number(
    "shrink_to", None, (0.0001, 100_000.0, 0.1),
    "Reduce larger pictures to that size. Without it 100 megapixels are the limit.",
    metavar="MEGAPIXELS",
)  # fmt: skip
