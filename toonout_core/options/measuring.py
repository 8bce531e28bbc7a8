"""Options for measuring mattes, and for seeing them side by side."""

from __future__ import annotations

from .option import choice, text, whole

FIGURES = choice(
    "figures", "for soft mattes", ("for soft mattes", "as published", "all"),
    "for soft mattes: what ranks soft edges rightly. as published: the figures of the ToonOut and "
    "BiRefNet papers, which make a mask of the truth first. all: both, and the slow correction "
    "effort (HCE).",
)  # fmt: skip
MATTE_NAMES = text(
    "names", "",
    "Their names, separated by commas, one for each matte_1 to matte_4. Without: matte 1, matte 2 "
    "…",
)  # fmt: skip
COLOURS = text(
    "colours", "white, black, magenta",
    "Behind the cutouts: names or #rrggbb, separated by commas.",
    metavar="A,B,…",
)  # fmt: skip
EDGES = choice(
    "edges", "both", ("as they are", "clean colours", "both"),
    "as they are: the picture's own colours. clean colours: estimated, as for a cutout. both: a "
    "row each.",
)  # fmt: skip
CELL = whole("cell_px", 320, (32, 1024), "Longer side of each picture on the sheet.", metavar="PX")
