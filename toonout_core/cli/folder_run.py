"""What every verb does that fills a folder from pictures: search, run, tell how it went."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import BadInput
from .reports import save_json
from .terminal import ProgressBar, say, say_failure

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.naming import Found
    from ..output.report import Report, Result


class Work(Protocol):
    """A folder's work, in this process or elsewhere: see `output.batch.Batch`."""

    destination: Destination

    def __len__(self) -> int: ...
    def run(self) -> Iterator[Result]: ...


@contextmanager
def open_folder(
    arguments: argparse.Namespace,
    out: Path,
    settings: Mapping[str, Any],
    suffixes: Sequence[str] = (),
) -> Iterator[tuple[Destination, Found]]:
    """OUT with what earlier runs left there, and the pictures that are named.

    `suffixes`: of results, see `output.batch.Form`. No other run writes to OUT meanwhile: it waits,
    or this one does.
    """
    from ..output.destination import Destination
    from ..output.earlier import results_there
    from ..output.manifest import claim
    from ..output.naming import find_sources

    require_folder(out)
    with _no_empty_folder(out), claim(out, wait=True) as manifest:
        found = find_sources(
            arguments.paths, recursive=arguments.recursive, out=out, results=manifest.outputs()
        )
        destination = Destination(
            out,
            found.sources,
            settings=settings,
            existing=arguments.on_exists,
            resume=arguments.resume,
            manifest=manifest,
        )
        tell_what_is_there(arguments, *results_there(destination, suffixes))
        yield destination, found


@contextmanager
def _no_empty_folder(out: Path) -> Iterator[None]:
    """Take away the folders that were made for results, where there are none."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


def tell_what_is_there(arguments: argparse.Namespace, recorded: int, others: int = 0) -> None:
    """One line before any work, where new results would get numbers beside earlier ones.

    `recorded`: those in the manifest; `others` have a result's name and are not.
    """
    from ..output.earlier import said_of

    if arguments.resume or arguments.on_exists != "number":
        return
    way = "--on-exists skip" if others else "--resume"
    told = said_of(recorded + others, f"{way} leaves them out, --overwrite replaces them.")
    if told:
        note(arguments, told)


def open_file(arguments: argparse.Namespace, out: Path) -> tuple[Destination, Found]:
    """OUT as the name of the one result, and the picture that is named."""
    from ..output.destination import Destination
    from ..output.naming import Found, Source, find_sources

    found = find_sources(arguments.paths, recursive=arguments.recursive)
    if len(found.sources) > 1 or any(Path(path).is_dir() for path in arguments.paths):
        raise BadInput(
            "OUT must be a folder for several pictures", f"the file name {out}", "Name a folder."
        )
    named = [Source(source.path, PurePath(out.stem)) for source in found.sources]
    destination = Destination(out.parent, named, settings={}, existing=arguments.on_exists)
    return destination, Found(named, found.problems)


def require_folder(out: Path) -> None:
    """Raises BadInput where OUT is called as a file, or where it, or a folder above it, is one."""
    there = next((path for path in (out, *out.parents) if path.exists()), Path())
    if not out.exists() and out.suffix.lower() in _file_endings():
        raise BadInput("OUT must be a folder", f"the file name {out}", "Name a folder.")
    if not there.is_dir():
        raise BadInput(f"{out} must be a folder", f"the file {there}", "Name another folder.")


def _file_endings() -> frozenset[str]:
    from ..imaging import picture_suffixes
    from ..output.clip_formats import VIDEO_SUFFIXES

    return frozenset(picture_suffixes()) | VIDEO_SUFFIXES


def finish(
    arguments: argparse.Namespace,
    batch: Work,
    found: Found,
    *,
    label: str,
    summarise: Callable[[Report], None] | None = None,
) -> int:
    """Run the batch, tell how it went and return the exit code.

    `summarise` writes what concerns all pictures, also after an interruption.
    """
    from ..output.report import Report, Result

    report = Report(
        [Result(Path(name), "failed", message=text) for name, text in found.problems],
        not_read=found.not_pictures,
    )
    try:
        with (
            _no_empty_folder(batch.destination.out),
            ProgressBar(len(batch), label, quiet=arguments.quiet) as bar,
        ):
            for result in batch.run():
                report.results.append(result)
                bar.advance(text=result.source.name)
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if summarise is not None and report.results:
            summarise(report)
        if report.results or report.interrupted or not found.sources:
            conclude(arguments, report, found, batch.destination.out)
        if report.interrupted and len(found.sources) > 1:
            note(arguments, "To go on from there, run it again with --resume.")
    return exit_code(report, found)


def exit_code(report: Report, found: Found) -> int:
    """The report's, but 2 where there was nothing to do."""
    return report.exit_code if found.sources else 2


def conclude(
    arguments: argparse.Namespace, report: Report, found: Found, out: Path | None = None
) -> None:
    """Say what failed, what is worth knowing, how many of each there were and where; write the
    report."""
    for result in report.results:
        if result.status == "failed":
            say_failure(result.source, result.message)
        for remark in result.notes:
            note(arguments, f"{result.source}: {remark}")
    if found.sources:
        note(arguments, report.sentence() + _left_out(found) + _where(report, out))
        if getattr(arguments, "resume", False) and report.count("failed"):
            note(arguments, _STAYS_BROKEN)
    else:
        where = "" if found.problems else f" in {', '.join(arguments.paths)}"
        say(f"There is no picture{where}." + report.not_read_sentence() + _left_out(found))
    if arguments.report:
        text = json.dumps(report.as_json(), indent=2) + "\n"
        note(arguments, f"Report: {save_json(Path(arguments.report), text)}")


_STAYS_BROKEN = "--resume tries what failed each time: move such a file away to end that."


def _where(report: Report, out: Path | None) -> str:
    written = [path for result in report.results for path in result.outputs]
    if len(written) == 1:
        return f" Result: {written[0]}"
    return f" Results: {out}" if written and out is not None else ""


def note(arguments: argparse.Namespace, text: str) -> None:
    """Say it unless the user wants quiet."""
    if not arguments.quiet:
        say(text)


def shrink_to(arguments: argparse.Namespace) -> int | None:
    """Pixels that larger pictures are reduced to."""
    if arguments.shrink_to is None:
        return None
    return int(arguments.shrink_to * 1e6)


# in the manifests that earlier releases wrote
_OLDER = {"clean_colours": "foreground", "max_count": "limit", "sort_by": "sort"}


def settings_of(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """What a manifest says of these options."""
    return {_OLDER.get(name, name): getattr(arguments, name) for name in names}


def file_state(name: str | None) -> Any:
    """A name as it is; of a file also its size and time, as it may change under its name."""
    if name is None or not Path(name).is_file():
        return name
    state = Path(name).stat()
    return [str(Path(name).resolve()), state.st_size, state.st_mtime_ns]


def _first_clip(found: Found) -> Path | None:
    if not found.not_pictures:
        return None
    from ..output.clips import is_video

    return next((path for path in found.not_pictures if is_video(path)), None)


def _left_out(found: Found) -> str:
    text = ""
    if clip := _first_clip(found):
        text += f" Clips are cut out by name: toonout cutout {clip.name} -o {clip.stem}.webp."
    if found.folders_left_out:
        text += f" Subfolders not read: {found.folders_left_out} (--recursive reads them)."
    if found.results_left_out:
        text += f" Own results among the inputs, left out: {found.results_left_out}."
    return text
