"""Options for several characters: who is found, chosen, cropped, pasted back and prompted."""

from __future__ import annotations

from .cutout import FEATHER, GROW
from .option import Option, choice, number, switch, text, whole

ORDERS = ("left-right", "top-bottom", "area", "score", "centre")
AS_THEY_ARE = "as they are"

# ---------------------------------------------------------------- who is a character

MIN_SCORE = number(
    "min_score", 0.3, (0.0, 1.0, 0.01),
    "How sure the detector must be. Lower: more characters, and more mistakes. Regions of a matte "
    "are scored by their mean opacity.",
    label="Least score",
)  # fmt: skip
MAX_COUNT = whole(
    "max_count", 100, (0, 1000),
    "The most characters per picture; the best scores are kept. 0: all.",
    flag="--limit",
)  # fmt: skip
SORT_BY = choice(
    "sort_by", "left-right", ORDERS,
    "The order in every output, and the numbers in the preview. left-right and top-bottom: by the "
    "middle of the box. area: largest first. score: best first. centre: nearest to it first.",
    flag="--sort",
)  # fmt: skip
SOFT = switch("soft", True, "Masks with soft edges. Off: black and white only.")
REFINE_AREA = choice(
    "refine_area", "picture", ("picture", "box"),
    "What the refiner sees at a time. picture: as it was trained. box: the surroundings of each "
    "character, for more detail in large pictures.",
)  # fmt: skip
DROP_DUPLICATES = switch(
    "drop_duplicates", True, "Leaves a mask out if four fifths of it lie in larger ones."
)
MIN_AREA = number(
    "min_area_percent", 1.0, (0.0, 100.0, 0.05),
    "Leaves out tiny masks, which cover less of the picture than this. Lower it for crowds and "
    "other small characters.",
)  # fmt: skip
IF_NONE = choice(
    "if_none", "empty mask", ("empty mask", "whole picture", "error"),
    "When there is no character at all. empty mask: the graph runs on with a black mask, and the "
    "picture stays as it is. whole picture: it is the one character. error: stop with a message.",
)  # fmt: skip
MIN_OVERLAP = number(
    "min_overlap", 0.5, (0.0, 1.0, 0.05),
    "The least IoU of your box with a detected box. Below it, the refiner gets your box itself. 1: "
    "always your box.",
)  # fmt: skip
BOX_LINES = text(
    "box_lines", "",
    "One box per line: x0, y0, x1, y1 in pixels, or in percent with a % sign. JSON with x, y, "
    "width, height works too.",
    lines=True, placeholder="boxes, one a line: x0, y0, x1, y1",
)  # fmt: skip
POINT_LINES = text(
    "point_lines", "",
    "A point on each character: x, y in pixels, or in percent with a % sign. JSON with x and y "
    "works too, as point editors give it.",
    lines=True, placeholder="points, one a line: x, y",
)  # fmt: skip

# ---------------------------------------------------------------- choosing

NUMBERS = text(
    "numbers", "",
    "Numbers as in the preview, in the order that you want: 0, 2-4. -1 is the last one. Empty: "
    "all. A range is cut to what is there.",
    label="Which ones",
)  # fmt: skip
POINTS = text(
    "points", "",
    "Characters at these points: x, y in pixels, or in percent with a % sign; more points after a "
    "semicolon. Where masks overlap, the smallest is meant.",
)  # fmt: skip
CHOSEN_SCORE = MIN_SCORE.but(default=0.0, help="Leaves out characters whose score is lower.")
CHOSEN_LEAST_AREA = MIN_AREA.but(
    default=0.0, help="Leaves out characters that cover less of the picture than this."
)
CHOSEN_MOST_AREA = MIN_AREA.but(
    name="max_area_percent",
    default=100.0,
    help="Leaves out characters that cover more of the picture than this.",
)
CHOSEN_ORDER = SORT_BY.but(
    default=AS_THEY_ARE,
    choices=(AS_THEY_ARE, *ORDERS),
    help="as they are: in the order of the masks, or of numbers. " + SORT_BY.help,
)
REVERSE = switch("reverse", False, "The opposite of sort_by.")
CHOSEN_COUNT = MAX_COUNT.but(default=0, help="How many are kept, after sorting. 0: all.")
EXCLUSIVE = switch(
    "exclusive", False,
    "Each pixel belongs to one character. Where masks overlap, the first in the order keeps it.",
)  # fmt: skip
SPLIT = choice(
    "split", "one each", ("one each", "connected regions"),
    "one each: every mask is a character. connected regions: every separate part of a mask is one; "
    "a soft edge stays with its part.",
)  # fmt: skip
GIVEN_DUPLICATES = DROP_DUPLICATES.but(default=False)  # masks that somebody gave are meant
GIVEN_LEAST_AREA = MIN_AREA.but(default=0.1)

# ---------------------------------------------------------------- mattes and segments

TRUST_MASKS = switch(
    "trust_masks", False,
    "On: well inside the characters' masks everything is opaque, even if the matte misses it. Use "
    "it if the matte has lost parts of a character.",
)  # fmt: skip
UNCERTAIN = number(
    "uncertain_px", 0.0, (0.0, 500.0, 0.5),
    "How far from their edges the masks may be wrong. 0: by picture size.",
)  # fmt: skip
REACH = whole(
    "reach_px", 0, (0, 10_000),
    "Leaves out parts of the matte farther than this from every mask. 0: leaves out nothing.",
)  # fmt: skip
VOTE = choice(
    "vote", "coverage", ("coverage", "iou"),
    "Says to which character a segment belongs. coverage: by the part of the segment that lies in "
    "the mask. iou: by the IoU of segment and mask.",
)  # fmt: skip
VOTE_THRESHOLD = number(
    "threshold", 0.3, (0.0, 1.0, 0.01),
    "The least coverage or IoU, from 0 to 1. With a lower number, more segments are taken.",
)  # fmt: skip
VOTE_RADIUS = whole(
    "radius_px", 2, (0, 100),
    "Disk by which the detector's masks are eroded and dilated first.",
)  # fmt: skip
EROSIONS = whole(
    "erosions", 3, (0, 50),
    "How often the masks are eroded. Thin parts and edges are then ignored.",
)  # fmt: skip
DILATIONS = whole("dilations", 2, (0, 50), "How often the masks are dilated after that.")
PER_CHARACTER = switch("per_character", True, "Off: all characters become one mask.")
SEGMENT_ANYTHING = choice(
    "segment_anything", "none", (),
    "A checkpoint of Segment Anything, used if no segments are connected. Needs the Python package "
    "segment-anything.",
)  # fmt: skip

# ---------------------------------------------------------------- crops

PADDING = whole(
    "padding_px", 32, (0, 2048),
    "Surroundings that are shown on every side, in pixels. Models need some, to see "
    "what is around the character.",
)  # fmt: skip
PADDING_PERCENT = whole(
    "padding_percent", 0, (0, 200),
    "More surroundings, in percent of the character's longer side.",
)  # fmt: skip
MULTIPLE_OF = whole(
    "multiple_of", 64, (8, 256, 8),
    "Both sides of a crop are multiples of this number. VAE Encode needs at least 8; 64 suits "
    "every model.",
)  # fmt: skip
SCALE = choice(
    "scale", "keep", ("keep", "longer side", "area"),
    "keep: as large as in the picture. longer side: scaled until that side is resolution. area: "
    "scaled to an area of resolution × resolution, as SDXL needs.",
)  # fmt: skip
CROP_RESOLUTION = whole(
    "resolution", 1024, (64, 8192, 8),
    "What crops are scaled to, unless scale is keep. SD 1.5: 512 to 768; SDXL: 1024.",
)  # fmt: skip
CROP_GROW = GROW.but(
    default=8.0, least=0.0,
    help="Grows the masks, so that the edge is repainted too and the pasted crop has room to fade. "
    "0 for exact mattes.",
)  # fmt: skip
CROP_BACKGROUND = switch(
    "background", False,
    "One more item after the characters: the whole picture, with a mask of the background.",
)  # fmt: skip
PASTE_FEATHER = FEATHER.but(
    default=8.0,
    help="Over how many pixels, from a mask's edge inwards, the new picture fades in. A good "
    "value is the number of pixels by which the masks were grown; 0 for exact mattes.",
)
ON_TOP = choice(
    "on_top", "last", ("last", "first"),
    "Which one is in front where masks overlap: the last or the first of the list. A background is "
    "always behind.",
)  # fmt: skip
CROP_FACTOR = number(
    "crop_factor", 1.5, (1.0, 10.0, 0.1),
    "The region around the character is larger than its box by this factor.",
)  # fmt: skip
LABEL = text("label", "character", "The label of every item, for nodes that filter by it.")

# ---------------------------------------------------------------- prompts

STYLE = text(
    "style", "",
    "Added to the prompt of every character and of the background, unchanged.",
    lines=True, placeholder="style: for every character",
)  # fmt: skip
LINES = text(
    "lines", "",
    "Your prompt for each character, in their order: a line each, or with [SEP] between. It stays "
    "unchanged. Empty: nothing.",
    lines=True, placeholder="one line for each character, or [SEP] between",
)  # fmt: skip
BACKGROUND_PROMPT = text(
    "background", "",
    "The prompt of the background, if it comes as one more item. Lines and tags are only for "
    "characters.",
    lines=True, placeholder="the background, if Crop Characters gives it",
)  # fmt: skip
STYLE_POSITION = choice(
    "style_position", "first", ("first", "last"),
    "Whether the style comes before or after the rest.",
)  # fmt: skip
DROP_TAGS = text(
    "drop_tags", "simple background, white background",
    "Tags that are left out, with commas between.",
)  # fmt: skip
CHARACTER_TAGS = switch(
    "character_tags", True, "Off: leaves out tags that name a character, such as saber (fate)."
)

# one conditioning of several prompts
SHARED_STYLE = STYLE.but(
    help="Added to the prompt of every character and of the background, before the rest.",
    placeholder="style: for everything",
)
SHARED_LINES = LINES.but(
    help="Your prompt for each character, in their order: a line each, or with [SEP] between. A "
    "single line is used for all. A list works too.",
)
REST_PROMPT = BACKGROUND_PROMPT.but(
    help="The prompt where no character is.", placeholder="prompt for the rest of the picture"
)
PROMPT_STRENGTH = number(
    "strength", 1.0, (0.0, 1.0, 0.05),
    "How strong a character's own prompt is inside of its mask. The rest is the background's "
    "prompt: 0.8 binds characters and surroundings together.",
)  # fmt: skip
PROMPT_FEATHER = FEATHER.but(
    default=24.0, most=500.0, step=1.0,
    help="Over how many pixels of the picture one prompt fades into the next. A latent pixel is 8 "
    "of them: less than that does nothing.",
)  # fmt: skip

EDGES: tuple[Option, ...] = (
    GROW.but(help="Pixels by which the masks' edges move outwards; negative: inwards."),
    FEATHER.but(help="Softens the masks' edges by that many pixels."),
)

# ---------------------------------------------------------------- the shell

FOUND_LEAST_AREA = MIN_AREA.but(
    help=MIN_AREA.help + " It counts for toonout-mini and other matting models, not for "
    "detectors such as anime-instances."
)  # fmt: skip
FILE_SOFT = SOFT.but(  # a file of a mask has 1 bit unless somebody wants more
    default=False, help="Masks with soft edges, of 8 bit. Without it: black and white, of 1 bit."
)
TRUST = choice(
    "trust", "auto", ("auto", "masks", "matte"),
    "masks: well inside a mask everything is opaque; matte far from all masks is left out. matte: "
    "all parts sum to the matte. auto: masks if a detector made them and toonout-mini the matte, "
    "else matte.",
)  # fmt: skip
SAVE = text(
    "save", "masks,mattes,cutouts,background,overlay,coco",
    "What to write, separated by commas: some of masks, mattes, cutouts, background, overlay, "
    "coco.",
    metavar="KIND,…",
)  # fmt: skip
CROP_MARGIN = whole(
    "crop", None, (0, 4096),
    "Cuts each cutout to its character, with this margin in pixels. Without it they are as large "
    "as the picture.",
    metavar="PIXELS",
)  # fmt: skip
SHARED_MATTE = text(
    "matte", None,
    "The matting model whose matte is shared out. Without it: the detector if that is a matting "
    "model, else toonout-mini.",
    metavar="NAME|FILE",
)  # fmt: skip
