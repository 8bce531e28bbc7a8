"""Options for making and checking the pictures that networks are trained with."""

from __future__ import annotations

from .measuring import DATA, SPLIT
from .option import choice, number, switch, text, whole
from .running import OUT, REPORT

CHARACTER = text(
    "character", "name", "Who is in a picture: name, published, folder, file or a pattern.",
    metavar="RULE",
)  # fmt: skip
SPLIT_SHARES = number(
    "shares", (0.8, 0.1, 0.1), (0.0, 1.0, 0.01), "Shares of train, validation and test."
)
LOOKS = switch(
    "looks",
    True,
    "Keeps pictures that look alike in one part. Off: faster, but near copies may be in two.",
)
THRESHOLD = whole(
    "threshold", None, (0, 255),
    "Two alpha levels: up to the first alpha becomes 0, from the second on 255. The published data "
    "have 0 220. Without it alpha stays.",
    metavar="LEVEL",
)  # fmt: skip
UNDER_CUTOUTS = text(
    "background", "random",
    "Colour under cutouts without a picture of their own. random: a different one for each.",
    metavar="COLOUR",
)  # fmt: skip
FINDINGS = REPORT.but(help="Write the findings there, too, as JSON.", older=("--json",))

# ---------------------------------------------------------------- synthesis

ART = DATA.but(help="The art: fg/ and bg/.")
SET_OUT = OUT.but(help="Folder for the data set.")
SET_SPLIT = SPLIT.but(default="train", help="Subfolder of fg/, and of the result.")
COUNT = whole("count", 1000, (0, 10_000_000), "Pictures in all.")
WORKERS = whole("workers", 0, (0, 1024), "Processes; 0: one a core.")
SET_FORMAT = choice("format", "jpg", ("jpg", "png"), "Format of the pictures.")
MATTES = switch(
    "mattes", False,
    "Also OUT/mattes/SPLIT/im and gt, soft: what `toonout train birefnet --data OUT/mattes` and "
    "`toonout evaluate` read.",
)  # fmt: skip
LEAVE_OUT = text(
    "leave_out", ("item", "building"),
    "Categories of ATTRIBUTION.csv that are not characters.",
    metavar="CATEGORY",
)  # fmt: skip
LAYOUTS = text(
    "layouts", None,
    "COCO annotations whose people say where characters stand. Without it: the statistics of "
    "COCO's people, which are part of this package.",
    metavar="FILE",
)  # fmt: skip

# ---------------------------------------------------------------- training

PICTURES = DATA.but(help="The pictures.")
RUN = OUT.but(help="Folder of the run.", metavar="DIR")
CONFIG = text("config", None, "Start from the fields of a config.json.", metavar="FILE")
