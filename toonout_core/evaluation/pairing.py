"""Find which prediction belongs to which truth, and read a matte from a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from torch import Tensor

from ..errors import BadInput
from ..imaging import read
from ..output.naming import find_sources

# folders of the published data sets that say what a file is, not which category it belongs to; the
# first of several is meant
_OF_SOURCES = ("", "im", "an", "gt")
_OF_TRUTHS = ("", "gt", "an", "im")
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
    """Pair two folders, searched with their subfolders, or two files, by name.

    A name is the place in its folder without ending, and without folders called im, gt and an. Its
    category is the rest of the folders. Of one name, the file in im is the source, and the one in
    gt, or else in an, is the truth: both may be the same folder. `out` is not searched. Raises
    BadInput for what is not there.
    """
    for path in (sources, truths):
        if not path.exists():
            raise BadInput("what is measured must exist", f"no file or folder {path}")
    if truths.is_file() and sources.is_file():
        return Paired([Pair(truths.stem, "", sources, truths)])
    result = Paired()
    found = _by_name(sources, out, _OF_SOURCES, result)
    expected = _by_name(truths, out, _OF_TRUTHS, result)
    for name in sorted({*found, *expected}):
        if name not in found:
            result.problems.append((name, f"There is no {name} in {sources}."))
        elif name not in expected:
            result.problems.append((name, f"There is no truth for it in {truths}."))
        else:
            category = _category(PurePath(name).parent)
            result.pairs.append(Pair(name, category, found[name], expected[name]))
    return result


def _by_name(
    folder: Path, out: Path | None, roles: Sequence[str], result: Paired
) -> dict[str, Path]:
    """Take, of one name, the file of the first of `roles`; two of one role are a problem."""
    files: dict[str, dict[str, Path]] = {}
    found = find_sources([folder], recursive=True, out=out)
    result.problems += [problem for problem in found.problems if problem not in result.problems]
    for source in found.sources:
        folders = source.target.parts[:-1]
        parts = [part for part in folders if part not in roles]
        role = next((part for part in reversed(folders) if part in roles), "")
        name = PurePath(*parts, source.target.name).as_posix()
        of_name = files.setdefault(name, {})
        if role in of_name or (of_name and "" in (role, *of_name)):
            other = of_name.get(role) or next(iter(of_name.values()))
            problem = (name, f"{source.path} has the same name as {other}.")
            result.problems += [problem] * (problem not in result.problems)
        of_name.setdefault(role, source.path)
    return {
        name: next(of_name[role] for role in roles if role in of_name)
        for name, of_name in files.items()
    }


def _category(folder: PurePath) -> str:
    return "/".join(_SET_NAME.sub("", part) for part in folder.parts)


def categories_of(pairs: Sequence[Pair]) -> list[str]:
    """List the categories, each once, sorted."""
    return sorted({pair.category for pair in pairs})


def read_matte(path: Path) -> Tensor:
    """Read alpha 1×1×H×W of a cutout, or a grey picture as alpha.

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
