"""Which prediction belongs to which truth, and how a matte is read from a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from torch import Tensor

from ..errors import BadInput
from ..imaging import read
from ..output.naming import find_sources

# folders of the published data sets that say what a file is, not which category it belongs to
_ROLES = frozenset({"im", "gt", "an"})
_SET_NAME = re.compile(r"(?:train|validation|test)_generations_\d{8}_(?=.)")

_GREY = 2 / 255  # how far colours may be apart in a grey picture, which JPEG does not keep exactly


@dataclass(frozen=True)
class Pair:
    """One picture. `source`: the prediction, or the image that a model is to see."""

    name: str
    category: str
    source: Path
    truth: Path


@dataclass
class Paired:
    """`problems`: (what, sentence) of files without a partner or of ambiguous names."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def pair_files(sources: Path, truths: Path, *, out: Path | None = None) -> Paired:
    """Two folders, searched with their subfolders, or two files → pairs of the same name.

    A name is the place in its folder without ending, and without folders called im, gt and an; its
    category is the rest of the folders. `out` is not searched. Raises BadInput for what is not
    there.
    """
    for path in (sources, truths):
        if not path.exists():
            raise BadInput("what is measured must exist", f"no file or folder {path}")
    if truths.is_file() and sources.is_file():
        return Paired([Pair(truths.stem, "", sources, truths)])
    result = Paired()
    found = _by_name(sources, out, result)
    expected = _by_name(truths, out, result)
    for name in sorted({*found, *expected}):
        if name not in found:
            result.problems.append((name, f"There is no {name} in {sources}."))
        elif name not in expected:
            result.problems.append((name, f"There is no truth for it in {truths}."))
        else:
            category = _category(PurePath(name).parent)
            result.pairs.append(Pair(name, category, found[name], expected[name]))
    return result


def _by_name(folder: Path, out: Path | None, result: Paired) -> dict[str, Path]:
    files: dict[str, Path] = {}
    found = find_sources([folder], recursive=True, out=out)
    result.problems += found.problems
    for source in found.sources:
        parts = [part for part in source.target.parts[:-1] if part not in _ROLES]
        name = PurePath(*parts, source.target.name).as_posix()
        if name in files:
            result.problems.append((name, f"{source.path} has the same name as {files[name]}."))
        files.setdefault(name, source.path)
    return files


def _category(folder: PurePath) -> str:
    return "/".join(_SET_NAME.sub("", part) for part in folder.parts)


def categories_of(pairs: Sequence[Pair]) -> list[str]:
    """Each once, sorted."""
    return sorted({pair.category for pair in pairs})


def read_matte(path: Path) -> Tensor:
    """Alpha 1×1×H×W of a cutout, or a grey picture as alpha.

    Raises BadInput for an opaque picture in colours.
    """
    picture = read(path)
    grey = picture.image.mean(1, keepdim=True)
    if picture.alpha is not None and float(picture.alpha.min()) < 1:
        return picture.alpha
    if float((picture.image - grey).abs().max()) > _GREY:
        raise BadInput(
            f"{path.name} must be a grey picture or have transparency", "an opaque one in colours"
        )
    return grey
