"""The folders that nodes may read and write: ComfyUI's own, and those that its user names.

`extra_model_paths.yaml` may list further ones to read under the key `toonout_folders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import folder_paths

from ..toonout_core.errors import BadInput, plain

KEY = "toonout_folders"
HERE = "."  # the input folder itself; older graphs say nothing
_DEPTH = 3
_ENTRIES = 5000  # looked at for the menu: a folder of any size must not hold the server up
_NAME_BYTES = 230  # of the 255 that file systems take: numbers and endings come behind
_RESULTS = {".png", ".webp"}  # what Save Cutout writes
_LABELLED = re.compile(r"(.*?) *\[([^\[\]]+)\]", re.DOTALL)


def roots() -> dict[str, Path]:
    """By their labels in the menu."""
    found = {
        "input": Path(folder_paths.get_input_directory()),
        "output": Path(folder_paths.get_output_directory()),
    }
    for path in map(Path, folder_paths.folder_names_and_paths.get(KEY, ([], set()))[0]):
        label, number = path.name, 1
        while label in found:
            number += 1
            label = f"{path.name} {number}"
        found[label] = path
    return found


def folder_names() -> list[str]:
    """What the menu of Load Folder offers: `film`, `film [output]`; links are left out."""
    names: list[str] = []
    for label, root in roots().items():
        ending = "" if label == "input" else f" [{label}]"
        names += [name + ending for name in [HERE, *_folders_in(root)]]
    return names


def folder_of(name: str) -> Path:
    """The folder that an entry of the menu, or a path below one of the roots, means.

    Raises BadInput for every other.
    """
    labelled = _LABELLED.fullmatch(name)
    known = roots()
    root, inner = known["input"], name
    if labelled is not None and labelled[2] in known:
        inner, root = labelled[1], known[labelled[2]]
    try:
        path = root / inner
        if _is_below(path, known.values()) and path.is_dir():
            return path
    except (OSError, ValueError):
        pass
    raise BadInput(
        "folder must be one in ComfyUI's input or output folder",
        repr(plain(name, 200)),
        f"Choose one of the list (press R after adding one). Other folders of this machine belong "
        f"in extra_model_paths.yaml, under the key {KEY}.",
    )


def refusal(name: str) -> str:
    """Why the folder of an entry may not be read; empty if it may."""
    try:
        folder_of(name)
    except BadInput as error:
        return str(error)
    return ""


def names_of_results(folder: str) -> set[str]:
    """Names without ending, from `folder` in the output folder on, of all pictures that lie there;
    nothing for an empty name and for a folder that is not there yet."""
    root = Path(folder_paths.get_output_directory()) / folder
    if not folder or not _is_below(root, [Path(folder_paths.get_output_directory())]):
        return set()
    found = (path.relative_to(root) for path in root.rglob("*") if path.suffix in _RESULTS)
    return {path.with_name(path.stem).as_posix() for path in found}


def require_no_way_out(folder: Path) -> None:
    """BadInput for a link to a folder that leads out of the roots, however deep it lies."""
    known = roots().values()
    waiting, seen = [folder], {folder.resolve()}
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir()]
        for path in folders:
            if path.is_symlink() and not _is_below(path, known):
                raise BadInput(
                    "links in a folder must stay in ComfyUI's input and output folders",
                    f"{plain(path)}, which leads to {plain(path.resolve())}",
                    f"Remove the link, or name its target in extra_model_paths.yaml, under the "
                    f"key {KEY}.",
                )
            if path.resolve() not in seen:
                seen.add(path.resolve())
                waiting.append(path)


def may_read(path: Path) -> bool:
    """Whether a file lies below one of the roots, links followed."""
    return _is_below(path, roots().values())


def check_prefix(prefix: str) -> None:
    """BadInput for a name under which nothing may, or can, be saved in the output folder."""
    advice = "Give a name such as toonout/cutout."
    root = Path(folder_paths.get_output_directory())
    expected = "filename_prefix and names must be of letters and signs that a file may have"
    if any(ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for sign in prefix):
        raise BadInput(expected, repr(plain(prefix, 200)), advice)
    longest = max((len(part.encode()) for part in Path(prefix).parts), default=0)
    if longest > _NAME_BYTES or len(prefix.encode()) > 8 * _NAME_BYTES:
        raise BadInput(
            f"names of files and folders must have at most {_NAME_BYTES} bytes", f"{longest}",
            "Choose a shorter one.",
        )  # fmt: skip
    place = Path(os.path.normpath(root / prefix)).parent
    if not _is_below(place, [root]):
        raise BadInput(
            "results must stay in ComfyUI's output folder",
            f"{prefix!r}, which leads to {plain(place.resolve())}",
            advice,
        )


def _is_below(path: Path, known: Iterable[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(root.resolve()) for root in known)


def _folders_in(root: Path) -> list[str]:
    found: list[str] = []
    waiting, left = [(root, 0)], _ENTRIES
    while waiting and left > 0:
        folder, depth = waiting.pop(0)
        try:
            with os.scandir(folder) as inside:
                entries = list(islice(inside, left))
        except OSError:
            continue
        left -= len(entries)
        inner = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
        inner = [name for name in inner if not name.startswith(".") and name.isprintable()]
        found += [(folder / name).relative_to(root).as_posix() for name in inner]
        waiting += [(folder / name, depth + 1) for name in inner if depth + 1 < _DEPTH]
    return sorted(found)
