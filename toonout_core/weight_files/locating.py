"""Find the file on this machine that is meant: by its name, its path, or its content.

The host's folders are searched in its order. In ComfyUI these are `background_removal`,
`anime_instance` and what extra_model_paths adds to them, then the folders of other packs for the
same files (`models/BiRefNet`, `models/RMBG/BiRefNet`, `models/sams`, …), then the cache; last comes
what the hub's own client keeps for other programs. A published file is known by its size and
sha256, whatever its name is. A file that `weights convert` wrote says itself what it is. Where
neither is found, a file of the published name and size serves, and a warning says that it was not
compared.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from ..errors import CorruptWeights, UnknownModel
from ..host import Host
from ..weights import ANIME, WEIGHTS, Weights
from .fingerprints import Fingerprints
from .hub import cached
from .reading import SUFFIXES, read_header

log = logging.getLogger("toonout")

ASSETS = Path(__file__).parents[1] / "assets"
WEIGHTS_KEY = "toonout.weights"  # in the metadata of converted files: name of the row

_DEPTH = 3
_PICKLES = (".pth", ".pt", ".ckpt", ".bin")
_INEXACT = 0.01  # how far the size of a row may be off that is not known to the byte


def weight_files(host: Host) -> list[Path]:
    """List all files in the host's folders that look like weights, in the order of the search."""
    found = (path for folder in host.weight_dirs() for path in _walk(folder))
    return list(dict.fromkeys(found))


def find_file(row: Weights, host: Host) -> Path | None:
    """Find the file of `row`, or one that holds the same numbers, in the host's folders."""
    if row.embedded:
        return ASSETS / row.file
    fingerprints = Fingerprints(host)
    rows = [
        row,
        *(other for other in WEIGHTS if other != row and _name(other) == _name(row)),
    ]
    files = weight_files(host)
    for path in files:
        if any(_is_file_of(path, candidate, fingerprints) for candidate in rows):
            return path
    names = {candidate.name for candidate in rows}
    converted = next((path for path in files if claimed_name(path) in names), None)
    fetched = next(filter(None, (_in_hub_cache(r, fingerprints) for r in rows)), None)
    return converted or fetched or _find_by_name(rows, files, fingerprints)


def identify(path: Path, host: Host) -> Weights | None:
    """Return the row whose published file `path` is, by its content."""
    fingerprints = Fingerprints(host)
    return next((row for row in WEIGHTS if _is_file_of(path, row, fingerprints)), None)


def find_path(name: str, host: Host) -> Path:
    """Find a file by its path, or by its name in one of the host's folders, with or
    without suffix.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    folders = host.weight_dirs()
    for folder in folders:
        for candidate in (folder / name, *(folder / f"{name}{suffix}" for suffix in SUFFIXES)):
            if candidate.is_file():
                return candidate
    by_name = next((file for file in weight_files(host) if name in (file.name, file.stem)), None)
    if by_name is not None:
        return by_name
    what = "a folder" if path.is_dir() else "none of them"
    raise UnknownModel(
        f"The model must be one of {', '.join(_meant(name))}, … (`toonout weights list` and "
        f"docs/weights.md have all), or a weight file, but {name} is {what}. "
        f"Folders searched: {', '.join(map(str, folders))}."
    )


def _meant(name: str) -> list[str]:
    """List the three names that are nearest, or the best ones, in the order of the table."""
    names = [row.name for row in WEIGHTS]
    chosen = list(dict.fromkeys([*get_close_matches(name, names), *ANIME]))[:3]
    return sorted(chosen, key=names.index)


def claimed_name(path: Path) -> str:
    """Return the name of the row that a converted file says it was made from; else an
    empty text.
    """
    if path.suffix not in (".safetensors", ".sft"):
        return ""
    try:
        metadata = read_header(path).get("__metadata__")
    except (CorruptWeights, OSError):
        return ""
    return str(metadata.get(WEIGHTS_KEY, "")) if isinstance(metadata, dict) else ""


def _in_hub_cache(row: Weights, fingerprints: Fingerprints) -> Path | None:
    path = cached(row)
    if path is None:
        return None
    # the cache calls the bytes of a large file by their sha256
    wanted = row.sha256 or path.resolve().name
    try:
        return path if fingerprints.of(path).sha256 == wanted else None
    except OSError:
        return None


def _find_by_name(
    rows: list[Weights], files: list[Path], fingerprints: Fingerprints
) -> Path | None:
    """Find a file that only looks like a published one. A name that several files bear says
    nothing.
    """
    names = [Path(row.file).name for row in WEIGHTS]
    for row in rows:
        name = Path(row.file).name
        for path in files if names.count(name) == 1 else ():
            if path.name == name and _may_be(path, row):
                got = f"{fingerprints.of(path).sha256} instead of {row.sha256 or 'a known one'}"
                _warn_once(
                    f"{path} bears the name of {row.name}, but its sha256 is {got}. It is used as "
                    f"it is; if the results are poor, delete it and get it again: {row.url}"
                )
                return path
    return None


@cache
def _warn_once(text: str) -> None:
    log.warning(text)


def _name(row: Weights) -> str:
    return row.same_as or row.name


def _is_file_of(path: Path, row: Weights, fingerprints: Fingerprints) -> bool:
    """Tell whether the file is the row's. One that cannot be read is not: others may serve."""
    try:
        if not _may_be(path, row):
            return False
        if row.sha256:
            return fingerprints.of(path).sha256 == row.sha256
        known = fingerprints.recall(path)
        return known is not None and known.source == source_of(row) and known.is_current(path)
    except OSError as error:
        _warn_once(f"{path} is left out: it cannot be read ({error.strerror}).")
        return False


def source_of(row: Weights) -> str:
    """Spell where a file was fetched from, as records hold it."""
    return f"{row.repo}/{row.file}"


def _may_be(path: Path, row: Weights) -> bool:
    if (path.suffix.lower() in _PICKLES) != row.file.endswith(_PICKLES):
        return False
    return fits_size(path.stat().st_size, row)


def fits_size(size: int, row: Weights) -> bool:
    """Tell whether a file of so many bytes may be the one of `row`."""
    return abs(size - row.size_bytes) <= (0 if row.size_is_exact else row.size_bytes * _INEXACT)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=True):
        depth = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and depth < _DEPTH)
        for name in sorted(files):
            path = Path(root) / name
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path
