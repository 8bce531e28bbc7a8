"""`toonout cutout`: pictures, folders and patterns into a folder."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from .fields import Verbs
from .options import (
    add_adjust_options,
    add_file_options,
    add_model_options,
    add_output_options,
    given_adjustments,
    load_model,
)
from .terminal import ProgressBar, require_redirected_stdout, say

if TYPE_CHECKING:
    from ..batch import Batch
    from ..imaging import Picture
    from ..naming import Found
    from ..output import Cut, Output
    from ..report import Report
    from ..results import Matte

EXAMPLES = """\
examples:
  toonout cutout girl.png -o girl_cutout.png
  toonout cutout drawings -o cutouts --recursive
  toonout cutout drawings -o cutouts --recursive --resume          after an interruption
  toonout cutout '*.jpg' -o white --background white --format jpg
  toonout cutout drawings -o cutouts --model toonout                the full-quality model
  cat girl.jpg | toonout cutout - > girl.png

names:
  The folders under a folder appear again under OUT. drawings/sub/girl.jpg becomes
  OUT/sub/girl.png; if a girl.png lies beside it, they become girl.jpg.png and girl.png.png.
  The frames of an animation become girl_0001.png, girl_0002.png, ...
  Nothing is overwritten unless you say so: girl_2.png is next.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "cutout",
        help="cut characters out of pictures, folders or stdin",
        description="Cut characters out of pictures. Inputs are never changed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="picture, folder, pattern ('*.png'), or - (stdin)"
    )
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="folder, file for a single picture, or - for stdout"
    )
    add_model_options(parser)
    add_adjust_options(parser)
    add_output_options(parser)
    add_file_options(parser)


# ---------------------------------------------------------------- running


def run(arguments: argparse.Namespace) -> int:
    """Cut out everything that was named."""
    if "-" in arguments.paths and len(arguments.paths) > 1:
        raise BadInput("- must be the only input", " ".join(arguments.paths))
    if arguments.quality is not None and not 1 <= arguments.quality <= 100:
        raise BadInput("quality must be 1 … 100", str(arguments.quality))
    if arguments.shrink_to is not None and arguments.shrink_to <= 0:
        raise BadInput("--shrink-to must be above 0 megapixels", str(arguments.shrink_to))
    if arguments.out == "-" or (arguments.out is None and arguments.paths == ["-"]):
        return _to_stdout(arguments)
    if arguments.out is None:
        raise BadInput("-o OUT must say where results go", "nothing", "Name a folder.")
    out = Path(arguments.out)
    if _is_file_name(arguments, out):
        return _to_file(arguments, out)
    return _to_folder(arguments, out)


def _is_file_name(arguments: argparse.Namespace, out: Path) -> bool:
    from ..writing import format_of

    single = len(arguments.paths) == 1 and not Path(arguments.paths[0]).is_dir()
    return format_of(out) is not None and not out.is_dir() and single


def _to_stdout(arguments: argparse.Namespace) -> int:
    from ..imaging import read
    from ..output import encode_matte

    require_redirected_stdout()
    if len(arguments.paths) != 1:
        raise BadInput("stdout must get one picture", f"{len(arguments.paths)}", "Name a folder.")
    output = _output(arguments)
    name = arguments.paths[0]
    source = io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name
    picture = read(source, shrink_to=_shrink_to(arguments))
    matte = _make_cut(arguments)(picture)
    for note in encode_matte(sys.stdout.buffer, matte, picture, output):
        _note(arguments, note)
    sys.stdout.buffer.flush()
    return 0


def _to_file(arguments: argparse.Namespace, out: Path) -> int:
    from ..batch import Batch
    from ..destination import Destination
    from ..imaging import read
    from ..naming import Found, Source, find_sources
    from ..output import cut_picture

    output = _output(arguments, out)
    if arguments.paths == ["-"]:
        picture = read(io.BytesIO(sys.stdin.buffer.read()), shrink_to=_shrink_to(arguments))
        path, notes = cut_picture(
            picture, _make_cut(arguments), out, output, overwrite=arguments.on_exists == "overwrite"
        )
        for note in [*notes, str(path)]:
            _note(arguments, note)
        return 0
    found = find_sources(arguments.paths)
    if len(found.sources) > 1:
        raise BadInput(
            "OUT must be a folder for several pictures", f"the file name {out}", "Name a folder."
        )
    named = [Source(source.path, PurePath(out.stem)) for source in found.sources]
    destination = Destination(out.parent, named, settings={}, existing=arguments.on_exists)
    batch = Batch(
        destination, lambda: _make_cut(arguments), output, shrink_to=_shrink_to(arguments)
    )
    return _finish(arguments, batch, Found(named, found.problems))


def _to_folder(arguments: argparse.Namespace, out: Path) -> int:
    from ..batch import Batch
    from ..destination import Destination
    from ..manifest import Manifest
    from ..naming import find_sources

    output = _output(arguments)
    if out.exists() and not out.is_dir():
        raise BadInput("OUT must be a folder", f"the file {out}", "Name a folder.")
    manifest = Manifest(out)
    found = find_sources(
        arguments.paths, recursive=arguments.recursive, out=out, results=manifest.outputs()
    )
    destination = Destination(
        out,
        found.sources,
        settings=_settings(arguments),
        existing=arguments.on_exists,
        resume=arguments.resume,
        manifest=manifest,
    )
    batch = Batch(
        destination, lambda: _make_cut(arguments), output, shrink_to=_shrink_to(arguments)
    )
    return _finish(arguments, batch, found)


def _finish(arguments: argparse.Namespace, batch: Batch, found: Found) -> int:
    from ..report import Report, Result

    report = Report([Result(Path(name), "failed", message=text) for name, text in found.problems])
    try:
        with ProgressBar(len(batch), "cutout", quiet=arguments.quiet) as bar:
            for result in batch.run():
                report.results.append(result)
                bar.advance()
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if report.results or report.interrupted or not found.sources:
            conclude(arguments, report, found)
    return exit_code(report, found)


def exit_code(report: Report, found: Found) -> int:
    """The report's, but 2 where there was nothing to do."""
    return report.exit_code if found.sources else 2


def conclude(arguments: argparse.Namespace, report: Report, found: Found) -> None:
    """Say what failed, what is worth knowing, how many of each there were; write the report."""
    if arguments.report:
        write_report(report, Path(arguments.report))
    for result in report.results:
        if result.status == "failed":
            say(f"failed: {result.source}: {result.message}")
        for note in result.notes:
            _note(arguments, f"{result.source}: {note}")
    if not found.sources:
        say("There is no picture." + _left_out(found))
        return
    written = [path for result in report.results for path in result.outputs]
    where = f" Result: {written[0]}" if len(written) == 1 else ""
    _note(arguments, report.sentence() + where + _left_out(found))


def write_report(report: Report, path: Path) -> None:
    """As JSON, whole or not at all."""
    from ..publishing import partial_file, publish

    with partial_file(path.parent) as partial:
        partial.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
        publish(partial, path, overwrite=True)


def _left_out(found: Found) -> str:
    text = ""
    if found.folders_left_out:
        text += f" Subfolders not read: {found.folders_left_out} (--recursive reads them)."
    if found.results_left_out:
        text += f" Own results among the inputs, left out: {found.results_left_out}."
    return text


def _note(arguments: argparse.Namespace, text: str) -> None:
    if not arguments.quiet:
        say(text)


# ---------------------------------------------------------------- from options to parts


def _make_cut(arguments: argparse.Namespace) -> Cut:
    from ..matting import ForegroundOptions
    from ..ops.adjust import AdjustOptions
    from ..output import adjusting

    matting = load_model(arguments)
    colours = ForegroundOptions() if arguments.foreground and not arguments.mask_only else None
    given = given_adjustments(arguments)

    def cut(picture: Picture) -> Matte:
        early = None if given else colours
        return matting(picture, source_alpha=arguments.source_alpha, foreground=early)

    return adjusting(cut, AdjustOptions(**given), colours) if given else cut


def _output(arguments: argparse.Namespace, out: Path | None = None) -> Output:
    from ..output import Output
    from ..writing import format_of

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
    )


def _background(text: str) -> Any:
    from ..imaging import read
    from ..ops.compositing import parse_colour

    return read(text).image if Path(text).is_file() else parse_colour(text)


def _shrink_to(arguments: argparse.Namespace) -> int | None:
    return int(arguments.shrink_to * 1e6) if arguments.shrink_to is not None else None


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    names = ("resolution", "precision", "format", "background", "mask_only", "foreground")
    names += ("shrink_to", "source_alpha", "bits", "quality", "metadata")
    return {name: getattr(arguments, name) for name in names} | {
        "adjust": given_adjustments(arguments),
        "model": _file_state(arguments.model),
        "background": _file_state(arguments.background),
    }


def _file_state(name: str | None) -> Any:
    """A name as it is; of a file also its size and time, as it may change under its name."""
    if name is None or not Path(name).is_file():
        return name
    state = Path(name).stat()
    return [str(Path(name).resolve()), state.st_size, state.st_mtime_ns]
