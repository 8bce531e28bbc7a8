"""`toonout instances`: every character of every picture by itself, into a folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import BadInput
from ..options import characters, files, running
from .finding import add_finding_options, finding_settings, make_find, require_files
from .folder_run import finish, note, open_folder, settings_of, shrink_to
from .options import add_file_options, add_foreground_options
from .parsing import Verbs, add

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.instance_files import Characters, InstanceFiles
    from ..output.report import Report

# that of instance_files, which imports torch
Kind = Literal["masks", "mattes", "cutouts", "background", "overlay", "coco"]

Annotated = tuple[str, tuple[int, int], list[dict[str, Any]]]  # name, size_hw, annotations

COCO_NAME = "instances.json"
DESCRIPTION = "characters found by toonout"

EXAMPLES = """\
examples:
  toonout instances drawings -o characters                              nothing is downloaded
  toonout instances drawings -o characters --detector anime-instances   the detector of the paper
  toonout instances drawings -o characters --recursive --resume         after an interruption
  toonout instances group.png -o characters --save masks,coco --soft
  toonout instances group.png -o characters --save cutouts --crop 16 --matte toonout

detectors:
  toonout-mini (the default) is part of this package, and separates characters that touch. Its
  scores are probabilities. toonout-mini-regions takes every connected region of the same matte for
  a character, as any other matting model does: those who touch count as one then.
  anime-instances is larger. Its weights, and those of the refiner that sharpens its masks, are
  downloaded once (230 MB and 177 MB) or taken from --models-dir.

results:
  girl.png becomes, for the character with number 0,
    girl.instance00.mask.png     where it is: 1 bit, with --soft 8 bit
    girl.instance00.matte.png    its part of the matte: soft hair (see --trust)
    girl.instance00.cutout.png   its colours and that part of the matte
  and girl.background.png, a mask of the background, and girl.overlay.png, which shows
  all numbers. OUT/instances.json holds masks, boxes and scores of all pictures in COCO's format,
  its category is "character". Folders under a folder appear again under OUT. Nothing is overwritten
  unless you say so: girl_2.instance00.mask.png is next.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "instances",
        help="give every character of a picture its own mask, matte and cutout",
        description="Find the characters of pictures. Inputs are never changed.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help='picture, folder or pattern ("*.png")'
    )
    add(parser, running.OUT, required=True)
    add_finding_options(parser)
    add(parser, characters.SAVE, characters.FILE_SOFT, characters.CROP_MARGIN, title="result")
    add_foreground_options(parser)
    add(parser, files.METADATA, files.SHRINK_TO, title="result")
    add_file_options(parser)


def _kinds(text: str) -> frozenset[Kind]:
    kinds = frozenset(word.strip() for word in text.split(",") if word.strip())
    if not kinds or not kinds <= set(get_args(Kind)):
        raise BadInput(f"--save must be some of {', '.join(get_args(Kind))}", text)
    return kinds  # pyright: ignore[reportReturnType]


# ---------------------------------------------------------------- running


def run(arguments: argparse.Namespace) -> int:
    """Find the characters of everything that was named."""
    require_files(arguments)

    from ..output.batch import Batch
    from ..output.instance_files import InstanceFiles

    written = InstanceFiles(_kinds(arguments.save), arguments.crop, arguments.metadata)
    pixels = shrink_to(arguments)
    out, settings, suffixes = Path(arguments.out), _settings(arguments), written.suffixes()
    with open_folder(arguments, out, settings, suffixes) as (destination, found):
        batch: Batch[Characters] = Batch(
            destination, lambda: _make_find(arguments, written), written, shrink_to=pixels
        )

        def write_coco(report: Report) -> None:
            if "coco" in written.save:
                _write_coco(arguments, destination, report)

        return finish(arguments, batch, found, label="instances", summarise=write_coco)


def _make_find(arguments: argparse.Namespace, written: InstanceFiles) -> Any:
    colours = "cutouts" in written.save
    return make_find(arguments, matte=written.needs_matte, colours=colours, soft=arguments.soft)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    names = ("soft", "crop", "clean_colours", "foreground_method", "metadata", "shrink_to")
    saved = {"verb": "instances", "save": sorted(_kinds(arguments.save))}
    return saved | settings_of(arguments, *names) | finding_settings(arguments)


# ---------------------------------------------------------------- annotations of all pictures


def _write_coco(arguments: argparse.Namespace, destination: Destination, report: Report) -> None:
    """Annotations of this run's pictures; with --resume also of others that the file had."""
    from ..output.coco import dataset
    from ..output.publishing import write_text

    path = destination.out / COCO_NAME
    pictures = _annotated(destination, report)
    earlier = _earlier(path) if arguments.resume else None
    if earlier:
        named = {name for name, _, _ in pictures}
        pictures += [kept for kept in earlier if kept[0] not in named]
    overwrite = arguments.on_exists == "overwrite" or earlier is not None
    document = dataset(pictures, description=DESCRIPTION)
    written = write_text(path, json.dumps(document) + "\n", overwrite=overwrite)
    count = sum(len(annotations) for _, _, annotations in pictures)
    note(arguments, f"{written}: pictures: {len(pictures)}, characters: {count}")


def _annotated(destination: Destination, report: Report) -> list[Annotated]:
    """Every frame that is done, in this run or before."""
    places = {source.path: source.target.parent for source in destination.sources}
    pictures: list[Annotated] = []
    for result in report.results:
        details = result.details
        if result.status == "skipped" and destination.manifest is not None:
            record = destination.manifest.last(result.source)
            details = record.details if record is not None else ()
        for frame, own in enumerate(filter(_is_annotated, details), 1):
            name = (places[result.source] / result.source.name).as_posix()
            name += f"#{frame}" if len(details) > 1 else ""
            height, width = own["size_hw"]
            pictures.append((name, (height, width), own["annotations"]))
    return pictures


def _is_annotated(details: dict[str, Any]) -> bool:
    """Whether they are what `InstanceFiles.details` tells: a manifest may hold anything."""
    size, annotations = details.get("size_hw"), details.get("annotations")
    return (
        isinstance(size, list)
        and [type(side) for side in size] == [int, int]
        and isinstance(annotations, list)
        and all(isinstance(annotation, dict) for annotation in annotations)
    )


def _earlier(path: Path) -> list[Annotated] | None:
    """What the file holds; None if it is none of ours, and so is not to be replaced."""
    from ..output.coco import pictures_of

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        pictures = pictures_of(document)
    except (OSError, ValueError, BadInput):
        return None
    return pictures if document.get("info", {}).get("description") == DESCRIPTION else None
