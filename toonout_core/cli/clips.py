"""`toonout cutout` of clips: videos into a video, an animated picture or a folder of frames."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, ToonOutError
from .folder_run import conclude, note, require_folder, tell_what_is_there
from .terminal import ProgressBar

if TYPE_CHECKING:
    from ..imaging import Picture
    from ..output.cutouts import Cut, Output
    from ..output.destination import Destination
    from ..output.records import Record
    from ..output.report import Result
    from ..results import Matte


def is_clip_run(paths: list[str], out: Path) -> bool:
    """Whether a video is named, or is to be made."""
    from ..output.clips import is_video

    return is_video(out) or out.suffix.lower() == ".apng" or any(is_video(Path(p)) for p in paths)


def cut_clips(
    arguments: argparse.Namespace,
    out: Path,
    output: Output,
    make_cut: Callable[[], Cut],
    settings: Mapping[str, Any],
) -> int:
    """One clip to the file OUT, or the frames of all of them into the folder OUT."""
    from ..output.clip_formats import clip_format_of
    from ..output.naming import Found, Source
    from ..output.report import Report

    clips = [Path(path) for path in arguments.paths]
    to_file = clip_format_of(out) is not None and not out.is_dir()
    _require_possible(arguments, clips, out, output, to_file=to_file)
    report = Report()
    try:
        cut = make_cut()
        if to_file:
            report.results.append(
                _one(clips[0], lambda: _to_file(arguments, clips[0], out, output, cut))
            )
        else:
            _to_frames(arguments, clips, out, output, cut, settings, report.results)
    except KeyboardInterrupt:
        report.interrupted = True
    sources = [Source(clip, PurePath(clip.stem)) for clip in clips]
    conclude(arguments, report, Found(sources, []), out)
    return report.exit_code


def _require_possible(
    arguments: argparse.Namespace, clips: list[Path], out: Path, output: Output, *, to_file: bool
) -> None:
    from ..output.clip_formats import CLIP_FORMATS, require_format

    if arguments.shrink_to:
        raise BadInput("--shrink-to must be left out for clips", str(arguments.shrink_to))
    if not to_file:
        stems = [clip.stem for clip in clips]
        if len(set(stems)) < len(stems):
            raise BadInput(
                "clips that go to one folder must have different names", ", ".join(stems)
            )
        return
    if len(clips) != 1 or not clips[0].is_file():
        raise BadInput(
            f"{out} must be made of one clip",
            ", ".join(arguments.paths),
            "Name a folder for several.",
        )
    opaque = output.mask_only or output.background is not None
    kind = require_format(out)
    if not opaque and not CLIP_FORMATS[kind].transparent:
        raise BadInput(
            f"{kind} must have a background, as it has no transparency", "none",
            "Give --background, or save as webm, mov or webp.",
        )  # fmt: skip


def _one(clip: Path, work: Callable[[], tuple[Path, ...]]) -> Result:
    """What became of a clip; what goes wrong with it does not end the others."""
    from ..output.destination import sentence_of
    from ..output.report import Result

    begun = time.monotonic()
    try:
        outputs = work()
    except (ToonOutError, OSError) as error:
        return Result(clip, "failed", message=sentence_of(error))
    return Result(clip, "done", outputs, seconds=round(time.monotonic() - begun, 3))


def _to_file(
    arguments: argparse.Namespace, clip: Path, out: Path, output: Output, cut: Cut
) -> tuple[Path, ...]:
    from ..output.clip_cutting import cut_to_clip
    from ..output.clips import pictures_of, timing

    rate, total = timing(clip)
    with ProgressBar(total, clip.name, quiet=arguments.quiet) as bar:
        path = cut_to_clip(
            out, pictures_of(clip), cut, output, lambda _: bar.advance(),
            rate=rate, sound=clip if arguments.sound else None,
            overwrite=arguments.on_exists == "overwrite",
        )  # fmt: skip
    return (path,)


# ---------------------------------------------------------------- frames


def _to_frames(
    arguments: argparse.Namespace,
    clips: list[Path],
    out: Path,
    output: Output,
    cut: Cut,
    settings: Mapping[str, Any],
    results: list[Result],
) -> None:
    from ..output.destination import Destination
    from ..output.manifest import claim
    from ..output.naming import Source

    require_folder(out)
    with claim(out, wait=True) as manifest:
        destination = Destination(
            out, [Source(clip, PurePath(clip.stem)) for clip in clips], settings=settings,
            existing=arguments.on_exists, resume=arguments.resume, manifest=manifest,
        )  # fmt: skip
        stems = tuple(f"{clip.stem}_" for clip in clips)
        made = [path for path in manifest.outputs() if path.name.startswith(stems)]
        tell_what_is_there(arguments, sum(path.is_file() for path in made))
        destination.prepare()
        for source in destination.sources:
            frames = _Frames(destination, source.path, output)
            results.append(_one(source.path, lambda f=frames: f.run(arguments, cut)))
            if frames.kept:
                note(arguments, f"{source.path}: {frames.kept} frames were done before.")


class _Frames:
    """The frames of a clip, each whole and recorded, or not there."""

    def __init__(self, destination: Destination, clip: Path, output: Output) -> None:
        from ..output.naming import Source

        self.destination, self.clip, self.output = destination, clip, output
        self.kept = 0
        self._source = Source(clip, PurePath(clip.stem))

    def run(self, arguments: argparse.Namespace, cut: Cut) -> tuple[Path, ...]:
        from ..output.clip_cutting import cut_clip
        from ..output.clips import pictures_of, timing

        if not self.clip.is_file():
            raise BadInput("a clip must exist", f"no file at {self.clip}")
        self._record = self.destination.begin(self._source)
        folder = self.destination.out
        with (
            ProgressBar(timing(self.clip)[1], self.clip.name, quiet=arguments.quiet) as bar,
            closing(
                cut_clip(pictures_of(self.clip), cut, self._write, wanted=self._wanted)
            ) as cutting,
        ):
            for _ in cutting:
                bar.advance()
        return (folder,)

    def _place(self, number: int) -> Path:
        """What the manifest calls a frame."""
        return self.clip.with_name(f"{self.clip.name}#{number:05d}")

    def _wanted(self, number: int) -> bool:
        """Whether an earlier run with the same settings has not made it."""
        manifest = self.destination.manifest
        if manifest is None or not self.destination.resumes:
            return True
        found = manifest.last(self._place(number))
        if found is None or _state(found) != _state(self._record):
            return True
        there = bool(manifest.unchanged(found))
        self.kept += there
        return not there

    def _write(self, number: int, matte: Matte, picture: Picture) -> None:
        from ..imaging import verify
        from ..output.naming import Source
        from ..output.publishing import numbered

        (part,) = self.output.parts(matte, picture)
        plain = self.destination.out / f"{self.clip.stem}_{number:05d}{part.suffix}"
        place = Source(self._place(number), PurePath(plain.stem))
        with self.destination.partial(place) as partial:
            self.destination.write(partial, part.encode)
            verify(partial)
            record = replace(self._record, source=str(place.path))
            self.destination.publish(
                place, [partial], lambda counted: [numbered(plain, counted)], record
            )


def _state(record: Record) -> tuple[int, int, str]:
    """What a frame depends on."""
    return record.size, record.mtime_ns, record.settings
