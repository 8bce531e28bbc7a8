"""`toonout synthesize keyed`: cutouts from chroma-key pictures and clips."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..synthesis.options import ClipOptions, KeyOptions
from .fields import Verbs, add_fields, given_fields
from .folder_run import note, write_json
from .terminal import ProgressBar, say_failure

if TYPE_CHECKING:
    from ..output.manifest import Manifest, Record

EXAMPLES = """\
examples:
  toonout synthesize keyed frames -o art/fg/train
  toonout synthesize keyed dance.mp4 -o art/fg/train --every 12
  toonout synthesize keyed portrait.png -o out --edge-px 12         hair, motion blur

The key is the most common hue of the frame's border; of a clip there is one for all frames. Frames
without a screen or a figure, and frames that are nearly the same as the one before, are left out
and listed in OUT/keyed.json. girl.png becomes girl.png, clip.mp4 becomes clip_0001.png and so on.
Sources that are done already are not done again.

exit codes: 0 all done, 1 some sources gave nothing, 2 nothing could be done, 130 interrupted
"""


def add_keyed(kinds: Verbs) -> None:
    """Add it to `toonout synthesize`."""
    parser = kinds.add_parser(
        "keyed",
        help="cutouts from pictures and clips before a green or blue screen",
        description="Cut characters out of chroma-key frames: soft alpha, clean colours.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="picture, video or folder of them")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder for the cutouts")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    add_fields(parser, KeyOptions)
    add_fields(parser, ClipOptions)


def run_keyed(arguments: argparse.Namespace) -> int:
    """Cut out every frame of every source."""
    from ..output.manifest import Manifest, settings_hash

    options = KeyOptions(**given_fields(arguments, KeyOptions))
    clip = ClipOptions(**given_fields(arguments, ClipOptions))
    out = Path(arguments.out)
    sources = _sources([Path(path) for path in arguments.paths], out)
    manifest = Manifest(out)
    settings = settings_hash({"what": "keyed", **asdict(options), **asdict(clip)})
    records: list[Record] = []
    with ProgressBar(len(sources), "clips", quiet=arguments.quiet) as bar:
        for source in sources:
            record = manifest.finished(source, settings)
            if record is None:
                record = _key_source(source, manifest, settings, options, clip)
                manifest.append(record)
            records.append(record)
            bar.advance()
    return _conclude(arguments, out, records)


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
    source: Path, manifest: Manifest, settings: str, options: KeyOptions, clip: ClipOptions
) -> Record:
    from ..output.manifest import Record
    from ..output.writing import write
    from ..synthesis.keyed_clips import key_frames

    outputs: list[str] = []
    details: list[dict[str, Any]] = []
    message = ""
    earlier = manifest.outputs()
    state = source.stat()
    try:
        for frame in key_frames(source, options, clip):
            if frame.keyed is None:
                details.append({"frame": frame.number, "left_out": frame.left_out})
                continue
            name = f"{source.stem}{'' if frame.still else f'_{frame.number:04d}'}.png"
            path = manifest.folder / name
            ours = path.absolute() in earlier
            written = write(path, frame.keyed.image, frame.keyed.alpha, overwrite=ours)
            outputs.append(written.name)
            hue = round(frame.keyed.key.hue_deg, 1)
            details.append(
                {"frame": frame.number, "key_hue_deg": hue, "cut_sides": frame.cut_sides}
            )
    except (BadInput, OSError) as error:
        message = str(error)
        details = []
    status = "done" if outputs else "failed"
    return Record(
        str(source), state.st_size, state.st_mtime_ns, settings, status, tuple(outputs),
        message=message or ("" if outputs else "no frame with a figure"), details=tuple(details),
    )  # fmt: skip


def _conclude(arguments: argparse.Namespace, out: Path, records: list[Record]) -> int:
    document = [
        {"source": r.source, "status": r.status, "message": r.message, "frames": r.details}
        for r in records
    ]
    write_json(document, out / "keyed.json", overwrite=True)
    failed = [record for record in records if record.status == "failed"]
    for record in failed:
        say_failure(record.source, record.message)
    cutouts = sum(len(record.outputs) for record in records)
    left = sum("left_out" in frame for record in records for frame in record.details)
    note(arguments, f"{out}: {cutouts} cutouts, {left} frames left out.")
    return 0 if not failed else 1 if cutouts else 2
