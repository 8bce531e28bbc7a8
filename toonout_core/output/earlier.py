"""What earlier runs have left where new results are to go."""

from __future__ import annotations

from collections.abc import Sequence

from .destination import Destination
from .naming import Source
from .publishing import result_name


def results_there(destination: Destination, suffixes: Sequence[str]) -> tuple[int, int]:
    """Count the sources whose results are there: those in the manifest, and those that are not.

    `suffixes`: the endings of results, as `output.batch.Form` lists them; none: any.
    """
    known = [_is_recorded(destination, source, suffixes) for source in destination.sources]
    others = [
        not recorded and _name_is_taken(destination, source, suffixes)
        for source, recorded in zip(destination.sources, known, strict=True)
    ]
    return sum(known), sum(others)


def said_of(count: int, advice: str) -> str:
    """Spell one line, to be said before any work; empty where there are none."""
    if not count:
        return ""
    there = "1 result is" if count == 1 else f"{count} results are"
    return f"{there} there already; new ones get new numbers. {advice}"


def _is_recorded(destination: Destination, source: Source, suffixes: Sequence[str]) -> bool:
    record = destination.manifest.last(source.path) if destination.manifest is not None else None
    endings = tuple(suffixes) or ("",)
    return record is not None and any(
        output.endswith(endings) and (destination.out / output).is_file()
        for output in record.outputs
    )


def _name_is_taken(destination: Destination, source: Source, suffixes: Sequence[str]) -> bool:
    target = destination.out / source.target
    names = [result_name(target, suffix, frame=frame) for suffix in suffixes for frame in (0, 1)]
    return any(path.exists() and not destination.holds_input([path]) for path in names)
