"""`toonout evaluate`: figures of a model on composites whose alpha is known."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fields import Verbs
from .options import add_model_options, load_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..evaluation.report import Predict

EXAMPLES = """\
examples:
  toonout evaluate --data art --split val
  toonout evaluate --data art --split test --model runs/first/best.safetensors --grabcut
  toonout evaluate --data art --split val --size 512 --json figures.json

Every figure of DATA/fg/SPLIT is laid on plain colours and on scenes, the same on every machine.
PSNR (dB), pixel accuracy and IoU at 0.5, mean absolute error of alpha.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "evaluate",
        help="measure a model on pictures of known alpha",
        description="Measure a model on composites of known alpha.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", metavar="DIR", required=True, help="folder with fg/ and bg/")
    parser.add_argument("--split", default="val", help="subfolder of fg/ (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[256, 512], metavar="N",
        help="sides of the composites (default: 256 512)",
    )  # fmt: skip
    parser.add_argument(
        "--per-figure", type=int, default=2, metavar="N", help="composites of each (default: 2)"
    )
    parser.add_argument(
        "--at-size", action="store_true",
        help="let the network see the composite's own size, not the model's",
    )  # fmt: skip
    parser.add_argument("--grabcut", action="store_true", help="OpenCV's GrabCut beside it")
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a Markdown table on stdout."""
    from ..evaluation.report import evaluate_composites, markdown_table

    matting = load_model(arguments)
    methods: dict[str, Callable[[int], Predict]] = {
        matting.name: lambda size_px: _predictor(matting, size_px if arguments.at_size else None)
    }
    if arguments.grabcut:
        from ..evaluation.baselines import grabcut

        methods["GrabCut"] = lambda _: grabcut
    rows = evaluate_composites(
        methods, Path(arguments.data), arguments.split, matting.host,
        sizes_px=arguments.size, per_figure=arguments.per_figure,
    )  # fmt: skip
    print(markdown_table(rows))
    if arguments.json:
        text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
        Path(arguments.json).write_text(text, encoding="utf-8")
    return 0


def _predictor(matting: Any, resolution: int | None) -> Predict:
    return lambda image: matting.predict(image, resolution=resolution)
