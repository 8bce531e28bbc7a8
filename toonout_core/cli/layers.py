"""`toonout layers`: pictures as layered files of paint programs, a layer for each character."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import files, layers
from .finding import add_finding_options, finding_settings, make_find, require_files
from .folder_run import file_state, finish, open_file, open_folder, settings_of, shrink_to
from .options import add_file_options, add_foreground_options
from .parsing import Verbs, add

if TYPE_CHECKING:
    from ..layers.files import LayerFiles

SUFFIXES = (".psd", ".ora")  # those of layers.files, which imports torch

EXAMPLES = """\
examples:
  toonout layers group.png -o group.psd             Photoshop, Krita, GIMP
  toonout layers group.png -o group.ora             OpenRaster: Krita, GIMP, MyPaint
  toonout layers drawings -o layered --format ora --recursive
  toonout layers group.png -o group.psd --plate empty_room.png

layers, the lowest first:
  picture        as it was, hidden
  background     what is behind the characters, painted over smoothly; or --plate
  characters     a group with one layer for each: soft hair, colours free of the old background;
                 whose feet stand lower is in front
  Laid over one another they look like the picture. They have 8 bits a channel.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "layers",
        help="save pictures in layers, one for each character (.psd, .ora)",
        description="Save pictures in layers, one for each character. Inputs are never changed.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help='picture, folder or pattern ("*.png")'
    )
    add(parser, layers.LAYERS_OUT, required=True)
    add_finding_options(parser)
    add(parser, layers.LAYERS_KIND, layers.LAYER_PLATE, title="result")
    add_foreground_options(parser)
    add(parser, files.SHRINK_TO, title="result")
    add_file_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Take apart everything that was named."""
    require_files(arguments)
    out = Path(arguments.out)
    to_file = out.suffix.lower() in SUFFIXES and not out.is_dir()
    written = _files(arguments, out if to_file else None)
    if to_file:
        return _run(arguments, written, *open_file(arguments, out))
    settings, suffixes = _settings(arguments), written.suffixes()
    with open_folder(arguments, out, settings, suffixes) as (destination, found):
        return _run(arguments, written, destination, found)


def _run(arguments: argparse.Namespace, written: LayerFiles, destination: Any, found: Any) -> int:
    from ..output.batch import Batch

    def make() -> Any:
        return make_find(arguments, matte=True, colours=True, soft=True)

    batch = Batch(destination, make, written, shrink_to=shrink_to(arguments))
    return finish(arguments, batch, found, label="layers")


def _files(arguments: argparse.Namespace, out: Path | None) -> LayerFiles:
    from ..layers.files import LayerFiles
    from ..segmentation.asking import seen

    suffix = out.suffix if out is not None else ""
    if arguments.format and suffix and suffix.lower() != f".{arguments.format}":
        raise BadInput(
            f"--format must fit the name {out}", arguments.format, "Leave one of them out."
        )
    kind = suffix.lower() or f".{arguments.format or 'psd'}"
    return LayerFiles(kind, suffix, seen(arguments.plate) if arguments.plate else None)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    names = ("format", "clean_colours", "foreground_method", "shrink_to")
    given = settings_of(arguments, *names) | finding_settings(arguments)
    return {"verb": "layers", "plate": file_state(arguments.plate), **given}
