"""`toonout synthesize keyed`: cutouts from chroma-key pictures and clips."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import running
from ..synthesis.options import ClipOptions, KeyOptions
from .fields import add_fields, given_fields
from .folder_run import note, require_folder
from .parsing import Verbs, add
from .reports import save_json
from .terminal import ProgressBar, say_failure

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.naming import Source
    from ..output.report import Result

EXAMPLES = """\
examples:
  toonout synthesize keyed frames -o art/fg/train
  toonout synthesize keyed dance.mp4 -o art/fg/train --every 12
  toonout synthesize keyed portrait.png -o out --edge 12         hair, motion blur

The key is the most common hue of the frame's border; of a clip there is one for all frames. Frames
without a screen or a figure, and frames that are nearly the same as the one before, are left out
and listed in OUT/keyed.json. girl.png becomes girl.png, clip.mp4 becomes clip_0001.png and so on.
Sources that are done already are not done again.

exit codes: 0 all done, 1 some sources gave nothing, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""


def add_keyed(kinds: Verbs) -> None:
    """Add it to `toonout synthesize`."""
    parser = kinds.add_parser(
        "keyed",
        help="cutouts from pictures and clips before a green or blue screen",
        description="Cut characters out of chroma-key frames: soft alpha, clean colours.",
        epilog=EXAMPLES,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="picture, video or folder of them")
    add(parser, running.OUT, required=True)
    add(parser, running.QUIET)
    add_fields(parser, KeyOptions)
    add_fields(parser, ClipOptions)


def run_keyed(arguments: argparse.Namespace) -> int:
    """Cut out every frame of every source."""
    from ..output.destination import Destination
    from ..output.manifest import claim
    from ..output.naming import Source

    options = KeyOptions(**given_fields(arguments, KeyOptions))
    clip = ClipOptions(**given_fields(arguments, ClipOptions))
    out = Path(arguments.out)
    sources = _sources([Path(path) for path in arguments.paths], out)
    settings = {"what": "keyed", **asdict(options), **asdict(clip)}
    named = [Source(path, PurePath(path.stem)) for path in sources]
    require_folder(out)
    results: list[Result] = []
    with claim(out, wait=True) as manifest:
        destination = Destination(out, named, settings=settings, resume=True, manifest=manifest)
        destination.prepare()
        try:
            with ProgressBar(len(named), "clips", quiet=arguments.quiet) as bar:
                for source in named:
                    before = destination.done_before(source, [])
                    results.append(before or _key_source(source, destination, options, clip))
                    bar.advance(text=source.path.name)
        finally:
            _write_down(arguments, out, results)
    failed = sum(result.status == "failed" for result in results)
    return 0 if not failed else 1 if failed < len(results) else 2


def _sources(paths: list[Path], out: Path) -> list[Path]:
    from ..synthesis.keyed_clips import is_clip

    found: list[Path] = []
    for path in paths:
        if path.is_dir() and path.resolve() == out.resolve():
            raise BadInput("OUT must be another folder than that of the frames", str(path))
        inside = (
            sorted(child for child in path.iterdir() if is_clip(child)) if path.is_dir() else []
        )
        found += inside if path.is_dir() else [path]
    if absent := [path for path in found if not path.is_file()]:
        raise BadInput("a picture or video must exist", f"no file at {absent[0]}")
    if not found:
        raise BadInput("there must be pictures or videos", "none")
    names = [path.stem for path in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(
            "sources must have different names", ", ".join(sorted(twice)), "Use several OUT."
        )
    return [path.resolve() for path in found]


def _key_source(
    source: Source, destination: Destination, options: KeyOptions, clip: ClipOptions
) -> Result:
    """All frames of a source, or none."""
    from ..output.destination import raise_if_disk_is_full, sentence_of
    from ..output.publishing import named
    from ..output.report import Result

    record = destination.begin(source)
    endings: list[str] = []

    def names(number: int) -> list[Path]:
        counted = f"_{number}" if number > 1 else ""
        return [named(destination.out / source.target, counted + ending) for ending in endings]

    message, outputs, details = "no frame with a figure", (), ()
    try:
        with ExitStack() as stack:
            endings, partials, details = _cut_frames(source, destination, options, clip, stack)
            if partials:
                complete = replace(record, details=details)
                outputs, _ = destination.publish(source, partials, names, complete)
    except (BadInput, OSError) as error:
        raise_if_disk_is_full(error, destination.out)
        message, details = sentence_of(error), ()
    if outputs:
        return Result(source.path, "done", outputs, details=details)
    result = Result(source.path, "failed", message=message, details=details)
    destination.remember_failure(record, result)
    return result


def _cut_frames(
    source: Source,
    destination: Destination,
    options: KeyOptions,
    clip: ClipOptions,
    stack: ExitStack,
) -> tuple[list[str], list[Path], tuple[dict[str, Any], ...]]:
    """What follows the name of each cutout, the cutouts, and what is to be said of all frames."""
    from ..imaging import verify
    from ..output.writing import encode
    from ..synthesis.keyed_clips import key_frames

    endings: list[str] = []
    partials: list[Path] = []
    details: list[dict[str, Any]] = []
    for frame in key_frames(source.path, options, clip):
        if (keyed := frame.keyed) is None:
            details.append({"frame": frame.number, "left_out": frame.left_out})
            continue
        partials.append(stack.enter_context(destination.partial(source)))
        write = partial(encode, image=keyed.image, alpha=keyed.alpha)
        destination.write(partials[-1], write)
        verify(partials[-1])
        endings.append(".png" if frame.still else f"_{frame.number:04d}.png")
        hue = round(keyed.key.hue_deg, 1)
        details.append({"frame": frame.number, "key_hue_deg": hue, "cut_sides": frame.cut_sides})
    return endings, partials, tuple(details)


def _write_down(arguments: argparse.Namespace, out: Path, results: list[Result]) -> None:
    document = [
        {
            "source": str(result.source),
            "status": "failed" if result.status == "failed" else "done",
            "message": result.message,
            "frames": result.details,
        }
        for result in results
    ]
    for result in results:
        if result.status == "failed":
            say_failure(result.source, result.message)
    cutouts = sum(len(result.outputs) for result in results)
    left = sum("left_out" in frame for result in results for frame in result.details)
    note(arguments, f"{out}: {cutouts} cutouts, {left} frames left out.")
    told = save_json(out / "keyed.json", json.dumps(document, indent=2) + "\n")
    note(arguments, f"What became of each frame: {told}")
