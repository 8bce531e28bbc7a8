"""`toonout synthesize`: labelled pictures from cutouts and backgrounds, cutouts from screens."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import data_sets, running
from ..synthesis.options import PairOptions, SceneOptions
from .fields import add_fields, given_fields
from .folder_run import file_state, note
from .keyed import add_keyed, run_keyed
from .options import split_of
from .parsing import Parser, Verbs, add
from .terminal import ProgressBar

if TYPE_CHECKING:
    from ..synthesis.cutouts import Art
    from ..synthesis.data_set import Make

EXAMPLES = """\
examples:
  toonout synthesize scenes --data art -o set --count 1000
  toonout synthesize scenes --data art -o set --count 100 --split val --seed 1
  toonout synthesize scenes --data art -o set --layouts person_keypoints_val2017.json
  toonout synthesize pairs --data art -o set --kind simple --count 500
  toonout synthesize keyed dance.mp4 -o art/fg/train --every 12

DATA holds fg/train, fg/val (cutouts with alpha) and bg (backgrounds): see docs/training.md. OUT
gets images/ and labels/ (YOLO-seg), instances_train.json (COCO) and data.yaml. A command that was
interrupted goes on where it stopped; a larger --count adds to what is there. The same seed makes
the same pictures, with any number of --workers.

exit codes: 0 all done, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "synthesize",
        help="make labelled pictures for training, and cutouts from green screens",
        description="Make labelled pictures from cutouts and backgrounds, or the cutouts.",
        epilog=EXAMPLES,
    )
    kinds = parser.add_verbs("what")
    scenes = kinds.add_parser(
        "scenes",
        help="several characters a picture, as in Instance-guided Cartoon Editing",
        description="Scenes of several characters, with a mask each.",
    )
    _add_common(scenes)
    add(scenes, data_sets.LAYOUTS)
    add_fields(scenes, SceneOptions)
    pairs = kinds.add_parser(
        "pairs",
        help="figures pasted on backgrounds, as in the report on YOLOv8 and Segment Anything",
        description="Figures pasted on backgrounds, with a mask each.",
    )
    _add_common(pairs)
    add_fields(pairs, PairOptions)
    add_keyed(kinds)


def _add_common(parser: Parser) -> None:
    add(parser, data_sets.ART, data_sets.SET_OUT, required=True)
    add(parser, data_sets.COUNT, data_sets.SET_SPLIT, running.SEED, data_sets.WORKERS)
    add(parser, data_sets.SET_FORMAT, data_sets.MATTES)
    add(parser, data_sets.LEAVE_OUT, count="*")
    add(parser, running.QUIET)


def run(arguments: argparse.Namespace) -> int:
    """Make everything that is not there yet."""
    if arguments.what == "keyed":
        return run_keyed(arguments)
    from ..synthesis.cutouts import find_art
    from ..synthesis.data_set import DataSet, write_scenes

    art = find_art(Path(arguments.data), split_of(arguments), tuple(arguments.leave_out))
    make, options = _maker(arguments, art)
    settings = {
        "what": arguments.what,
        "seed": arguments.seed,
        "options": options,
        "figures": [figure.path.name for figure in art.figures],
        "backgrounds": [path.name for path in art.backgrounds],
        "layouts": file_state(getattr(arguments, "layouts", None)),
    }
    data = DataSet(
        Path(arguments.out), split_of(arguments), settings, arguments.format, arguments.mattes
    )
    workers = arguments.workers or os.cpu_count() or 1
    with ProgressBar(arguments.count, "scenes", quiet=arguments.quiet) as bar:
        made = write_scenes(data, make, arguments.count, workers=workers, step=bar.advance)
    there = arguments.count - made
    note(arguments, f"{data.out}: {made} made" + (f", {there} were there." if there else "."))
    return 0


def _maker(arguments: argparse.Namespace, art: Art) -> tuple[Make, dict[str, Any]]:
    if arguments.what == "pairs":
        from ..synthesis.pairs import make_pair

        pair = PairOptions(**given_fields(arguments, PairOptions))
        return partial(make_pair, art, arguments.seed, options=pair), asdict(pair)
    from ..synthesis.layouts import read_layouts
    from ..synthesis.scenes import make_scene

    scene = SceneOptions(**given_fields(arguments, SceneOptions))
    layouts = read_layouts(Path(arguments.layouts)) if arguments.layouts else []
    make = partial(make_scene, art, arguments.seed, options=scene, layouts=layouts)
    return make, asdict(scene)
