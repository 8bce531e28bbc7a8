"""`toonout cutout`: pictures, folders and patterns into a folder."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from subprocess import list2cmdline

from ..errors import BadInput
from ..options import cutout, running
from .clips import cut_clips, is_clip_run
from .cutting import add_cutting_options, cutout_settings, make_cut, output_of
from .folder_run import finish, note, open_file, open_folder, shrink_to
from .options import add_file_options
from .parsing import Verbs, add
from .raw import cut_raw
from .rembg_words import in_our_words
from .terminal import require_redirected_stdout

EXAMPLES = """\
examples:
  toonout cutout girl.png -o girl_cutout.png
  toonout cutout drawings -o cutouts --recursive
  toonout cutout drawings -o cutouts --recursive --resume          after an interruption
  toonout cutout "*.jpg" -o white --background white --format jpg
  toonout cutout drawings -o cutouts --model toonout                the full-quality model
  toonout cutout drawings -o icons --crop 5% --aspect 1:1
  toonout cutout drawings -o cutouts --engine ray --ray-address auto
  toonout cutout dance.gif -o dance.webp
  cat girl.jpg | toonout cutout - > girl.png
  toonout cutout walk.mp4 -o walk.webm                             a clip with alpha and sound
  toonout cutout walk.mp4 -o frames/ --resume                      its frames, as png
  ffmpeg -i walk.mp4 -f rawvideo -pix_fmt rgb24 - |
    toonout cutout --raw 1920x1080 - > walk.rgba                   frames of another program

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
        "paths", nargs="+", metavar="PATH", help='picture, folder, pattern ("*.png"), or - (stdin)'
    )
    add(parser, running.OUT_OR_FILE)
    add_cutting_options(parser)
    add(parser, cutout.STEADY, cutout.SOUND, cutout.RAW, title="clips")
    add_file_options(parser)
    add(parser, *(running.ENGINE, running.RAY_ADDRESS, running.FILES_PER_TASK), title="cluster")
    parser.translate = in_our_words


# ---------------------------------------------------------------- running


def run(arguments: argparse.Namespace) -> int:
    """Cut out everything that was named."""
    if "-" in arguments.paths and len(arguments.paths) > 1:
        raise BadInput("- must be the only input", " ".join(arguments.paths))
    if arguments.engine == "ray":
        return _to_cluster(arguments)
    if arguments.raw:
        return cut_raw(arguments)
    if arguments.out == "-" or (arguments.out is None and arguments.paths == ["-"]):
        return _to_stdout(arguments)
    if arguments.out is None:
        raise BadInput("-o OUT must say where results go", "nothing", _meant(arguments.paths))
    out = Path(arguments.out)
    if is_clip_run(arguments.paths, out):
        from ..output.writing import format_of

        output = output_of(arguments, out if format_of(out) else None)
        return cut_clips(
            arguments, out, output, lambda: make_cut(arguments), cutout_settings(arguments)
        )
    if _is_file_name(out):
        return _to_file(arguments, out)
    return _to_folder(arguments, out)


def _meant(paths: Sequence[str]) -> str:
    """As rembg and cp have it, the last word is where results go."""
    if len(paths) < 2 or Path(paths[-1]).is_file():
        return "Name a folder, or a file for a single picture: -o cutout.png."
    quoted = {"nt": list2cmdline}.get(os.name, shlex.join)
    return f"Did you mean: toonout cutout {quoted(paths[:-1])} -o {quoted(paths[-1:])}?"


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
    output = output_of(arguments)
    name = arguments.paths[0]
    source = io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name
    pictures = read_frames(source, shrink_to=shrink_to(arguments))
    first = list(islice(pictures, 2))
    cut = make_cut(arguments)
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

    output = output_of(arguments, out)
    if arguments.paths == ["-"]:
        picture = read(io.BytesIO(sys.stdin.buffer.read()), shrink_to=shrink_to(arguments))
        path, notes = cut_picture(
            picture, make_cut(arguments), out, output, overwrite=arguments.on_exists == "overwrite"
        )
        for remark in [*notes, str(path)]:
            note(arguments, remark)
        return 0
    destination, found = open_file(arguments, out)
    batch = Batch(destination, lambda: make_cut(arguments), output, shrink_to=shrink_to(arguments))
    return finish(arguments, batch, found, label="cutout")


def _to_cluster(arguments: argparse.Namespace) -> int:
    from .ray_engine import RayBatch, require_ray

    out = Path(arguments.out or "-")
    if arguments.raw or "-" in (*arguments.paths, str(out)) or is_clip_run(arguments.paths, out):
        raise BadInput("--engine ray must cut pictures into a folder", "a clip or a pipe")
    if _is_file_name(out):
        raise BadInput("--engine ray must cut pictures into a folder", f"the file name {out}")
    require_ray(arguments)
    output = output_of(arguments)
    settings, suffixes = cutout_settings(arguments), output.suffixes()
    with open_folder(arguments, out, settings, suffixes) as (destination, found):
        batch = RayBatch(arguments, destination, output)
        return finish(arguments, batch, found, label="cutout")


def _to_folder(arguments: argparse.Namespace, out: Path) -> int:
    from ..output.batch import Batch

    output = output_of(arguments)
    pixels = shrink_to(arguments)
    settings, suffixes = cutout_settings(arguments), output.suffixes()
    with open_folder(arguments, out, settings, suffixes) as (destination, found):
        batch = Batch(destination, lambda: make_cut(arguments), output, shrink_to=pixels)
        return finish(arguments, batch, found, label="cutout")
