"""Find the pictures that are meant, and name their results.

The name of a result follows from the input's place alone, never from the order of work:
`folder/sub/girl.png` becomes `OUT/sub/girl`. Pictures of one folder that differ only in the ending
keep it (`a.png` and `a.jpg` become `a.png.png` and `a.jpg.png`). With several folders each gets its
own name in OUT, with as many of its parents as it takes to tell them apart.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ..imaging import animated_suffixes, picture_suffixes

# results of a file that may hold several frames are called girl_0001, girl_0002, …
_FRAME = re.compile(r"(.+)_\d{4,}")


@dataclass(frozen=True)
class Source:
    """One picture. `target`: its place under OUT, without the ending of the result."""

    path: Path
    target: PurePath


@dataclass
class Found:
    """What a search has found. `not_pictures`: files of the folders that are not read."""

    sources: list[Source] = field(default_factory=list[Source])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    folders_left_out: int = 0  # subfolders, when not recursive
    results_left_out: int = 0  # results of ours that lie among the inputs
    not_pictures: list[Path] = field(default_factory=list[Path])


@dataclass(frozen=True)
class _Root:
    folder: Path
    mirrored: bool  # a folder that was named, not a picture in it


def find_sources(
    arguments: Sequence[str | Path],
    *,
    recursive: bool = False,
    out: Path | None = None,
    results: Collection[Path] = frozenset(),
) -> Found:
    """Find pictures by paths, folders and glob patterns: each once, sorted by its place under OUT.

    `out` is not searched when it lies in an input folder, nor are the `results` of earlier runs.
    Hidden files and folders are left out; a link to a folder is followed unless it was seen before.
    """
    found = Found()
    search = _Search(found, recursive, out.resolve() if out else None, results)
    roots: dict[Path, _Root] = {}
    for argument in arguments:
        for root, path in search.expand(argument):
            held = roots.get(path)
            if held is None or _rank(root) < _rank(held):
                roots[path] = root
    found.sources = _name(roots, results)
    return found


def _rank(root: _Root) -> tuple[bool, int, str]:
    return not root.mirrored, len(root.folder.parts), str(root.folder)


class _Search:
    def __init__(
        self, found: Found, recursive: bool, out: Path | None, results: Collection[Path]
    ) -> None:
        self.found, self.recursive, self.out, self.results = found, recursive, out, results

    def expand(self, argument: str | Path) -> Iterator[tuple[_Root, Path]]:
        path = Path(os.path.abspath(Path(argument).expanduser()))
        if path.is_dir():
            root = _Root(path, mirrored=True)
            yield from ((root, item) for item in self._own(self._walk(path, set())))
        elif path.exists():
            yield from ((_Root(path.parent, False), item) for item in self._own([path]))
        elif glob.has_magic(str(argument)):
            yield from self._glob(path)
        else:
            self.found.problems.append((str(argument), "There is no such file or folder."))

    def _glob(self, path: Path) -> Iterator[tuple[_Root, Path]]:
        """Resolve a pattern; names that exist with their brackets are not taken for patterns."""
        fixed = Path(path.anchor)
        inner = list(path.parts[1:])
        while len(inner) > 1 and (fixed / inner[0]).is_dir():
            fixed /= inner.pop(0)
        pattern = os.path.join(*inner)
        # pathlib's ** follows no links, so that no circle of them traps it
        patterns = [pattern + os.sep + "*" if pattern.endswith("**") else pattern]
        patterns.append(patterns[0].replace("[", "[[]"))  # brackets may belong to names, too
        pictures: list[Path] = []
        for pattern in dict.fromkeys(patterns):
            pictures = pictures or [p for p in fixed.glob(pattern) if self._is_meant(p, fixed)]
        if not pictures:
            self.found.problems.append((str(path), "No picture has such a name."))
        yield from ((_Root(fixed, mirrored=True), item) for item in self._own(pictures))

    def _is_meant(self, path: Path, root: Path) -> bool:
        if not _is_picture(path) or not path.is_file():
            return False
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            return False
        return (
            self.out is None or self.out == root.resolve() or self.out not in path.resolve().parents
        )

    def _own(self, paths: Sequence[Path] | Iterator[Path]) -> Iterator[Path]:
        for path in paths:
            if path in self.results:
                self.found.results_left_out += 1
            else:
                yield path

    def _walk(self, folder: Path, seen: set[Path]) -> Iterator[Path]:
        seen.add(folder.resolve())
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            self.found.problems.append((str(folder), f"The folder cannot be read: {error}."))
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if not os.path.isdir(path):
                if _is_picture(path):
                    yield path
                elif path not in self.results:
                    self.found.not_pictures.append(path)
                continue
            real = path.resolve()
            if real in seen or real == self.out:
                continue
            if self.recursive:
                yield from self._walk(path, seen)
            else:
                self.found.folders_left_out += 1


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in picture_suffixes()


# ---------------------------------------------------------------- names


def _name(roots: dict[Path, _Root], results: Collection[Path]) -> list[Source]:
    leaves = _leaf_names(roots, results)
    several = len(set(roots.values())) > 1
    depth = {root: int(several and root.mirrored) for root in roots.values()}

    def place(path: Path) -> PurePath:
        root = roots[path]
        parents = root.folder.parts[1:]
        inner = path.parent.relative_to(root.folder)
        return PurePath(*parents[len(parents) - depth[root] :], inner, leaves[path])

    while deeper := _clashing_roots({path: str(place(path)) for path in roots}, roots, depth):
        for root in deeper:
            depth[root] += 1
    sources = [Source(path, place(path)) for path in roots]
    return sorted(sources, key=lambda source: (source.target.parts, str(source.path)))


def _clashing_roots(
    names: dict[Path, str], roots: dict[Path, _Root], depth: dict[_Root, int]
) -> set[_Root]:
    """Find the folders that need one more parent to tell their results apart.

    None does where only upper and lower case differ: publishing numbers what the file system takes
    for the same.
    """
    groups: dict[str, set[_Root]] = {}
    for path, name in names.items():
        groups.setdefault(name.casefold(), set()).add(roots[path])
    found: set[_Root] = set()
    for group in groups.values():
        folders = {str(root.folder).casefold() for root in group}
        if len(folders) > 1:
            found |= {root for root in group if depth[root] < len(root.folder.parts) - 1}
    return found


def _clashing(names: dict[Path, str]) -> list[Path]:
    counts = Counter(name.casefold() for name in names.values())
    return [path for path, name in names.items() if counts[name.casefold()] > 1]


def _leaf_names(paths: Iterable[Path], results: Collection[Path]) -> dict[Path, str]:
    """Name each result without its ending: by the stem, or by the whole name where another picture
    of the folder, chosen or not, has the same stem.
    """
    folders: dict[Path, set[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(path)
    names: dict[Path, str] = {}
    for folder, chosen in folders.items():
        present = {path for path in _pictures_in(folder) if path not in results}
        names |= _names_in_folder(chosen | present)
    return names


def _pictures_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if _is_picture(path) and path.name[0] != "."]
    except OSError:
        return []


def _names_in_folder(siblings: set[Path]) -> dict[Path, str]:
    frames = {match[1].casefold() for path in siblings if (match := _FRAME.fullmatch(path.stem))}
    full = {
        path
        for path in siblings
        if path.suffix.lower() in animated_suffixes() and path.stem.casefold() in frames
    }
    while True:
        names = {path: path.name if path in full else path.stem for path in siblings}
        clashing = set(_clashing(names)) - full
        if not clashing:
            return names
        full |= clashing
