"""`toonout evaluate`: how good mattes are, of files or of models at work."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import measuring, models, running
from ..weights import ANIME, find
from .evaluate_mattes import add_matte_options, evaluate_mattes
from .options import add_model_options, load_model, open_host, split_of
from .parsing import Verbs, add
from .reports import save_json
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..evaluation.report import Predict

EXAMPLES = """\
examples:
  toonout evaluate mattes truth -o report                 files against files
  toonout evaluate mattes truth --by-folder --metrics PA,BIoU,WF
  toonout evaluate ours theirs truth -o report            two folders of mattes side by side
  toonout evaluate --model toonout-mini --model toonout images truth --by-folder -o report
  toonout evaluate --cutouts cutouts                      models for anime, as far as they are here
  toonout evaluate --cutouts cutouts --model mine.safetensors
  toonout evaluate --data art --split val                 composites made from cutouts
  toonout evaluate --data art --split test --model runs/first/best.safetensors --grabcut
  toonout evaluate --masked art/real/masked               pictures with their own backgrounds

Files belong together that have the same place in their folders; the ending may differ. A matte is
a grey picture or the alpha of a cutout. OUT gets report.html, scores.csv, scores.json and, of
models, their mattes. docs/measuring.md says which figure to trust.

With --data every figure of DATA/fg/SPLIT, and with --cutouts every cutout of the folder, is laid
on plain colours and on scenes, and drawn in lines on paper, the same on every machine: PSNR (dB),
pixel accuracy and IoU at 0.5 with its interval (95 %, bootstrap over pictures) and its mean over
the worst tenth, mean absolute error of alpha, and of the pixels more than 20 px inside and outside
the share that is glass (alpha below 0.98) or haze (above 0.02). --masked measures pictures NAME
beside masks NAME_mask.

exit codes: 0 all measured, 1 some pictures were not, 2 nothing could be measured
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "evaluate",
        help="measure mattes, or models, against pictures of known alpha",
        description="Measure mattes, or models at work, against known alpha.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH",
        help="folders or files of mattes, and the truth last; with --model: the pictures, then the "
        "truth",
    )  # fmt: skip
    add_matte_options(parser)
    add(parser, measuring.CUTOUTS, title="composites")
    add(parser, measuring.DATA, measuring.SPLIT, title="composites")
    add(parser, measuring.SIZES, title="composites", count="+")
    add(parser, measuring.PER_FIGURE, measuring.BY_STYLE, title="composites")
    add(parser, measuring.MASKED, measuring.AT_SIZE, title="composites")
    add(parser, measuring.GRABCUT, measuring.FIGURES_FILE, running.QUIET)
    add_model_options(parser, several=True)


def run(arguments: argparse.Namespace) -> int:
    """Print Markdown tables on stdout."""
    made = arguments.data or arguments.masked or arguments.cutouts
    if made and arguments.paths:
        raise BadInput("either --data or folders must be given", "both", "Leave one out.")
    if made:
        return _run_composites(arguments)
    return evaluate_mattes(arguments)


def _run_composites(arguments: argparse.Namespace) -> int:
    from ..evaluation.report import (
        evaluate_composites,
        evaluate_library,
        evaluate_masked,
        markdown_table,
    )
    from ..synthesis.cutouts import read_cutouts

    names = [*(_for_anime(arguments) if arguments.cutouts else ()), *arguments.model]
    names = list(dict.fromkeys(names)) or [models.MODEL.default]
    mattings = [load_model(arguments, name) for name in names]
    methods: dict[str, Callable[[int], Predict]] = {
        matting.name: _at_size(matting, arguments.at_size) for matting in mattings
    }
    if len(methods) < len(mattings):
        raise BadInput("models must have different names", ", ".join(names))
    if arguments.grabcut:
        from ..evaluation.baselines import grabcut

        methods["GrabCut"] = lambda _: grabcut
    host, rows = mattings[0].host, list[Any]()
    if arguments.cutouts:
        rows += evaluate_library(
            methods, read_cutouts(Path(arguments.cutouts)), host, label="cutouts",
            sizes_px=arguments.size, per_figure=arguments.per_figure,
        )  # fmt: skip
    if arguments.data:
        rows += evaluate_composites(
            methods, Path(arguments.data), split_of(arguments), host, sizes_px=arguments.size,
            per_figure=arguments.per_figure, by_style=arguments.by_style,
        )  # fmt: skip
    if arguments.masked:
        predictors = {name: make(0) for name, make in methods.items()}
        rows += evaluate_masked(predictors, Path(arguments.masked), host)
    print(markdown_table(rows))
    if arguments.report:
        text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
        say(f"Figures: {save_json(Path(arguments.report), text)}")
    return 0


def _for_anime(arguments: argparse.Namespace) -> list[str]:
    """Those of the anime table that are here: nothing is downloaded for it."""
    from ..weight_files.locating import find_file

    host = open_host(arguments)
    here: list[str] = []
    for row in map(find, ANIME):
        if row is not None and (row.embedded or find_file(row, host) is not None):
            here.append(row.name)
        elif row is not None:
            say(
                f"{row.name} is not here and is not measured. toonout weights download {row.name} "
                f"fetches it ({row.size_bytes / 1e6:.0f} MB)."
            )
    return here


def _at_size(matting: Any, at_size: bool) -> Callable[[int], Predict]:
    return lambda size_px: _predictor(matting, size_px or None if at_size else None)


def _predictor(matting: Any, resolution: int | None) -> Predict:
    return lambda image: matting.predict(image, resolution=resolution)
