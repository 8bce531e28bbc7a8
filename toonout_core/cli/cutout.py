"""`toonout cutout`: pictures, folders and patterns into a folder."""

from __future__ import annotations

import argparse
import io
import re
import sys
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import cutout, running
from .clips import cut_clips, is_clip_run
from .folder_run import (
    file_state,
    finish,
    note,
    open_file,
    open_folder,
    settings_of,
    shrink_to,
)
from .options import add_file_options, add_model_options, add_output_options, load_model
from .parsing import Verbs, add
from .terminal import require_redirected_stdout

if TYPE_CHECKING:
    from ..flow import MattingFlow
    from ..imaging import Picture
    from ..ops.framing import Framing
    from ..output.cutouts import Cut, Output
    from ..results import Matte

EXAMPLES = """\
examples:
  toonout cutout girl.png -o girl_cutout.png
  toonout cutout drawings -o cutouts --recursive
  toonout cutout drawings -o cutouts --recursive --resume          after an interruption
  toonout cutout '*.jpg' -o white --background white --format jpg
  toonout cutout drawings -o cutouts --model toonout                the full-quality model
  toonout cutout drawings -o icons --crop 5% --aspect 1:1
  toonout cutout dance.gif -o dance.webp
  cat girl.jpg | toonout cutout - > girl.png
  toonout cutout walk.mp4 -o walk.webm                             a clip with alpha and sound
  toonout cutout walk.mp4 -o frames/ --resume                      its frames, as png

names:
  The folders under a folder appear again under OUT. drawings/sub/girl.jpg becomes
  OUT/sub/girl.png; if a girl.png lies beside it, they become girl.jpg.png and girl.png.png.
  An animation becomes one (png: APNG, webp, gif), with its timing. With --frames, and where the
  format cannot move, its frames become girl_0001.png, girl_0002.png, ...
  Nothing is overwritten unless you say so: girl_2.png is next.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "cutout",
        help="cut characters out of pictures, folders or stdin",
        description="Cut characters out of pictures. Inputs are never changed.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="picture, folder, pattern ('*.png'), or - (stdin)"
    )
    add(parser, running.OUT_OR_FILE)
    add_model_options(parser)
    add(parser, cutout.DETAIL, title="model")
    add(parser, cutout.STEADY, cutout.SOUND, title="clips")
    add(parser, *cutout.MATTE, title="matte")
    add_output_options(parser)
    add_file_options(parser)


# ---------------------------------------------------------------- running


def run(arguments: argparse.Namespace) -> int:
    """Cut out everything that was named."""
    if "-" in arguments.paths and len(arguments.paths) > 1:
        raise BadInput("- must be the only input", " ".join(arguments.paths))
    if arguments.out == "-" or (arguments.out is None and arguments.paths == ["-"]):
        return _to_stdout(arguments)
    if arguments.out is None:
        raise BadInput("-o OUT must say where results go", "nothing", "Name a folder.")
    out = Path(arguments.out)
    if is_clip_run(arguments.paths, out):
        from ..output.writing import format_of

        output = _output(arguments, out if format_of(out) else None)
        return cut_clips(arguments, out, output, lambda: _make_cut(arguments), _settings(arguments))
    if _is_file_name(out):
        return _to_file(arguments, out)
    return _to_folder(arguments, out)


def _is_file_name(out: Path) -> bool:
    from ..imaging import picture_suffixes
    from ..output.writing import FORMATS, format_of

    if out.is_dir() or out.suffix.lower() not in picture_suffixes():
        return False
    if format_of(out) is None:
        raise BadInput(f"a result must be one of {', '.join(FORMATS)}", f"the file name {out}")
    return True


def _to_stdout(arguments: argparse.Namespace) -> int:
    from ..imaging import read_frames
    from ..output.cutouts import encode_matte

    require_redirected_stdout()
    if len(arguments.paths) != 1:
        raise BadInput("stdout must get one picture", f"{len(arguments.paths)}", "Name a folder.")
    output = _output(arguments)
    name = arguments.paths[0]
    source = io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name
    pictures = read_frames(source, shrink_to=shrink_to(arguments))
    first = list(islice(pictures, 2))
    cut = _make_cut(arguments)
    join = output.join() if len(first) > 1 and first[0].seconds > 0 else None
    if join is None:
        remarks = encode_matte(sys.stdout.buffer, cut(first[0]), first[0], output)
    else:
        moving = io.BytesIO()  # a pipe cannot go back to write how long it became
        remarks = join(moving, ((cut(picture), picture) for picture in chain(first, pictures)))
        sys.stdout.buffer.write(moving.getvalue())
    for remark in remarks:
        note(arguments, remark)
    sys.stdout.buffer.flush()
    return 0


def _to_file(arguments: argparse.Namespace, out: Path) -> int:
    from ..imaging import read
    from ..output.batch import Batch
    from ..output.cutouts import cut_picture

    output = _output(arguments, out)
    if arguments.paths == ["-"]:
        picture = read(io.BytesIO(sys.stdin.buffer.read()), shrink_to=shrink_to(arguments))
        path, notes = cut_picture(
            picture, _make_cut(arguments), out, output, overwrite=arguments.on_exists == "overwrite"
        )
        for remark in [*notes, str(path)]:
            note(arguments, remark)
        return 0
    destination, found = open_file(arguments, out)
    batch = Batch(destination, lambda: _make_cut(arguments), output, shrink_to=shrink_to(arguments))
    return finish(arguments, batch, found, label="cutout")


def _to_folder(arguments: argparse.Namespace, out: Path) -> int:
    from ..output.batch import Batch

    output = _output(arguments)
    pixels = shrink_to(arguments)
    with open_folder(arguments, out, _settings(arguments)) as (destination, found):
        batch = Batch(destination, lambda: _make_cut(arguments), output, shrink_to=pixels)
        return finish(arguments, batch, found, label="cutout")


# ---------------------------------------------------------------- from options to parts


def _make_cut(arguments: argparse.Namespace) -> Cut:
    import torch

    from ..chosen import adjust_options, foreground_options
    from ..ops.adjust import AdjustOptions, adjust
    from ..steadying import SteadyMatting

    adjustments = adjust_options(vars(arguments))
    adjust(torch.zeros(1, 1, 1, 1), adjustments)  # before any picture, if they are wrong
    changed = adjustments != AdjustOptions()
    # each picture is seen once: no time goes into telling it from the others
    matting: MattingFlow = load_model(arguments, remember=False)
    if arguments.steady:
        matting = SteadyMatting(matting)
    colours = None if arguments.mask_only else foreground_options(vars(arguments))

    def cut(picture: Picture) -> Matte:
        return matting(
            picture,
            source_alpha=arguments.source_alpha,
            adjust=adjustments if changed else None,
            foreground=colours,
            keep_image=False,
            detail=arguments.detail,
        )

    return cut


def _output(arguments: argparse.Namespace, out: Path | None = None) -> Output:
    from ..output.cutouts import Output
    from ..output.writing import format_of

    by_name = format_of(out) if out is not None else None
    if by_name and arguments.format and by_name != arguments.format:
        raise BadInput(
            f"--format must fit the name {out}", arguments.format, "Leave one of them out."
        )
    return Output(
        format=arguments.format or by_name or "png",
        suffix=out.suffix if out is not None else "",
        bits=0 if arguments.bits == "auto" else int(arguments.bits),
        quality=arguments.quality,
        mask_only=arguments.mask_only,
        background=_background(arguments.background) if arguments.background else None,
        keep_metadata=arguments.metadata,
        framing=_framing(arguments),
        joined=not arguments.frames,
    )


def _framing(arguments: argparse.Namespace) -> Framing | None:
    from ..ops.framing import Framing, parse_aspect

    if arguments.crop is None:
        if arguments.aspect:
            raise BadInput("--aspect must come with --crop", "no --crop")
        return None
    margin = re.fullmatch(r"(\d{1,5})(%?)", arguments.crop)
    if margin is None:
        raise BadInput("--crop must be pixels or percent", repr(arguments.crop), "Write 16 or 5%.")
    aspect = parse_aspect(arguments.aspect)
    if margin[2]:
        return Framing(margin=int(margin[1]) / 100, aspect=aspect)
    return Framing(int(margin[1]), aspect=aspect)


def _background(text: str) -> Any:
    from ..ops.compositing import parse_colour
    from ..segmentation.asking import seen

    return seen(text) if Path(text).is_file() else parse_colour(text)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    names = (
        "precision",
        "fast",
        "format",
        "background",
        "mask_only",
        "foreground_method",
        "shrink_to",
    )
    names += ("source_alpha", "bits", "quality", "metadata")
    names += tuple(
        name
        for name in ("detail", "steady", "crop", "aspect", "frames")
        if getattr(arguments, name)
    )  # new ones
    return settings_of(arguments, "clean_colours", *names) | {
        "resolution": arguments.resolution or None,
        "adjust": _changed_adjustments(arguments),
        "model": file_state(arguments.model),
        "background": file_state(arguments.background),
    }


def _changed_adjustments(arguments: argparse.Namespace) -> dict[str, float]:
    """By the names of the core's record."""
    from ..chosen import adjust_options
    from ..ops.adjust import AdjustOptions

    usual = asdict(AdjustOptions())
    found = asdict(adjust_options(vars(arguments)))
    return {name: value for name, value in found.items() if value != usual[name]}
