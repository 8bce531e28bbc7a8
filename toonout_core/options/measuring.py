"""Options for measuring mattes, and for seeing them side by side."""

from __future__ import annotations

from .option import choice, switch, text, whole
from .running import OUT, REPORT

FIGURES = choice(
    "figures", "for soft mattes", ("for soft mattes", "as published", "all"),
    "for soft mattes: figures that rank soft edges correctly. as published: the figures of the "
    "ToonOut and BiRefNet papers, which first turn the true matte into a mask. all: both, and "
    "the slow correction effort (HCE).",
)  # fmt: skip
MATTE_NAMES = text(
    "names", "",
    "Their names, separated by commas, one for each matte_1 to matte_4. Without: matte 1, matte 2 "
    "…",
)  # fmt: skip
COLOURS = text(
    "colours", "white, black, magenta",
    "Behind the cutouts: names or #rrggbb, separated by commas. A strong colour shows faults that "
    "white hides.",
    metavar="A,B,…",
)  # fmt: skip
EDGES = choice(
    "edges", "both", ("as they are", "clean colours", "both"),
    "as they are: the picture's own colours, with what is left of the old background. clean "
    "colours: estimated, as for a cutout. both: a row each.",
)  # fmt: skip
CELL = whole("cell_px", 320, (32, 1024), "Longer side of each picture on the sheet.", metavar="PX")

# ---------------------------------------------------------------- the shell

FORMATS = text(
    "formats", None,
    "Compare each model's weights stored as fp32, fp16, bf16. Without it: as they are. The "
    "precision of the computation is --precision.",
    metavar="A,B,…",
)  # fmt: skip
GRABCUT = switch("grabcut", False, "OpenCV's GrabCut beside it.")
FUSION_ROWS = switch(
    "fusion", True, "A second row each, with clean colours by blur fusion.",
    flag="--foreground", older=("--fusion",),
)  # fmt: skip
SHEETS_OUT = OUT.but(help="Folder for the sheets.")
REPORT_OUT = OUT.but(help="Folder for report.html, scores.csv and scores.json.")
FIGURES_FILE = REPORT.but(help="Write the figures there as well, as JSON.", older=("--json",))
BY_FOLDER = switch("by_folder", False, "A table by category: a subfolder each.")
METRICS = text(
    "metrics", None,
    "'all' or some of PA, BIoU, BIoU_soft, WF, E, S, MAE, MSE, F, MBA, HCE, SAD, Grad, Conn, PSNR, "
    "IoU. Without it: all but HCE, which takes as long as the others together.",
    metavar="A,B,…",
)  # fmt: skip
IMAGES = text(
    "images", None, "The pictures of the mattes, for the report's gallery.", metavar="DIR"
)
GALLERY = whole("gallery", 12, (0, 1000), "How many of the worst pictures the report shows.")
DATA = text("data", None, "Folder with fg/ and bg/.", metavar="DIR")
CUTOUTS = text(
    "cutouts", None,
    "A folder of cutouts. The anime models on this machine are measured with them, and --model "
    "adds more.",
    metavar="DIR",
)  # fmt: skip
SPLIT = text("split", "val", "Subfolder of fg/. val and validation are the same.", metavar="NAME")
SIZES = whole("size", (256, 512), (32, 4096), "Sides of the composites.")
PER_FIGURE = whole("per_figure", 2, (1, 1000), "Composites of each picture in fg/.")
BY_STYLE = switch("by_style", False, "A row for each style as well.")
MASKED = text("masked", None, "Pictures beside masks NAME_mask.png.", metavar="DIR")
AT_SIZE = switch("at_size", False, "Let the network see the composite's own size, not the model's.")
