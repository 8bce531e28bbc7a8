"""Split a folder of pictures into train, validation and test, so that nothing is in two of them."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from ...errors import BadInput
from ...imaging import read
from ...output.naming import find_sources
from ...output.publishing import partial_file, publish
from ...synthesis.cutouts import attribution
from .likeness import Bits, likeness_bits, near_pairs

SPLITS = ("train", "validation", "test")
ROLES = ("im", "gt", "an")
Category = str | None
_WHOLE = None  # a category that everything is in
BACKGROUNDS = "bg"  # a folder of pictures that nobody is in
# the published names are ALPHA_CONTEXT_CHARACTER[_SEED]; a plain name may end in a number
_PUBLISHED = re.compile(r"[^_]+_[^_]+_([^_]+)(?:_seed.*)?$")
_SEEDED = re.compile(r"[^_]+_[^_]+_([^_]+)_seed.*$")
_NUMBERED = re.compile(r"(.+?)[\s_.-]*\d*$")


@dataclass(frozen=True)
class Item:
    """One picture with what belongs to it.

    `files`: the file of each role, "" for a cutout. `character`: semicolons separate several.
    """

    name: str
    category: str
    character: str
    files: dict[str, Path]

    @property
    def picture(self) -> Path:
        """The file that shows it."""
        return next(iter(self.files.values()))

    @property
    def characters(self) -> list[str]:
        """The names of all who are in it."""
        return [who.strip() for who in self.character.split(";")]


def character_of(name: str, rule: str = "name") -> str:
    """Tell who is in a picture by its name: its path below the data set, without the ending.

    `rule` says how:
    "name"       published names with a seed name the character; of other names it is all before the
                 last number, or the whole name where no letter is left
    "published"  the third part of the name, with or without a seed
    "folder"     the folder that the picture is in
    "file"       every picture shows another character
    a pattern    its first group
    """
    path = PurePath(name)
    if rule == "file":
        return name
    if rule == "folder":
        return path.parent.as_posix()
    if rule in ("name", "published"):
        pattern = _PUBLISHED if rule == "published" else _SEEDED
        match = pattern.match(path.name) or _NUMBERED.match(path.name)
        who = match.group(1) if match else path.name
        return who if any(letter.isalpha() for letter in who) else name
    try:
        match = re.search(rule, name)
    except re.error as error:
        raise BadInput(
            "--character must be name, published, folder, file or a pattern", str(error)
        ) from error
    if match is None or not match.groups():
        raise BadInput(f"--character {rule!r} must find a group in every name", repr(name))
    return str(match.group(1))


def find_items(root: Path, rule: str = "name", *, out: Path | None = None) -> list[Item]:
    """List all pictures below `root` by name. Folders im, gt and an hold the parts of one picture.

    Category and character stand in ROOT/ATTRIBUTION.csv; its column `file` may name any of the
    parts. Where they are not there, the category is the first folder, and `rule` says who the
    character is. `out` and ROOT/bg are not searched.
    """
    root = Path(os.path.abspath(root))  # as find_sources names what it finds
    known = attribution(root)
    files: dict[str, dict[str, Path]] = {}
    for source in find_sources([root], recursive=True, out=out).sources:
        place = source.path.relative_to(root)
        if place.parts[0] == BACKGROUNDS:
            continue
        role = place.parent.name if place.parent.name in ROLES else ""
        folder = place.parent.parent if role else place.parent
        name = (folder / place.stem).as_posix()
        files.setdefault(name, {})[role] = source.path
    items: list[Item] = []
    for name, parts in sorted(files.items()):
        places = [path.relative_to(root).as_posix() for path in parts.values()]
        row = next((known[place] for place in places if place in known), {})
        first = PurePath(name).parts[0] if len(PurePath(name).parts) > 1 else ""
        category = row.get("category") or first
        character = row.get("character") or character_of(name, rule)
        items.append(Item(name, category, character, _in_order(parts)))
    return items


def _in_order(parts: dict[str, Path]) -> dict[str, Path]:
    return {role: parts[role] for role in ("", *ROLES) if role in parts}


def look_alike(items: Sequence[Item]) -> list[Bits]:
    """Return the bits of likeness of every picture, in order."""
    bits: list[Bits] = []
    for item in items:
        picture = read(item.picture)
        bits.append(likeness_bits(picture.image, picture.alpha))
    return bits


def group_items(items: Sequence[Item], pairs: Iterable[tuple[int, int]] = ()) -> list[list[int]]:
    """Return groups of items, by number, that must stay together: they show one character, or are
    one of the `pairs`."""
    parent = list(range(len(items)))

    def root_of(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, item in enumerate(items):
        for character in item.characters:
            parent[root_of(index)] = root_of(first.setdefault(character, index))
    for one, other in pairs:
        parent[root_of(one)] = root_of(other)
    groups: dict[int, list[int]] = {}
    for index in range(len(items)):
        groups.setdefault(root_of(index), []).append(index)
    return sorted(groups.values())


def assign(
    items: Sequence[Item], groups: Sequence[Sequence[int]], shares: Sequence[float], seed: int
) -> list[str]:
    """Choose a split for every item.

    Large groups come first. Each goes to the split where its categories, and all in all, lack most.
    So no split is left without pictures of a small category.
    """
    if len(shares) != 3 or min(shares) < 0 or not 0.999 < sum(shares) < 1.001:
        raise BadInput("--shares must be three numbers that add up to 1", str(tuple(shares)))
    totals = _counts(items)
    lacking = {
        split: {category: share * total for category, total in totals.items()}
        for split, share in zip(SPLITS, shares, strict=True)
    }
    result = [""] * len(items)
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    for number in sorted(order, key=lambda number: -len(groups[number])):
        counts = _counts([items[index] for index in groups[number]])
        need = _need(lacking, counts, dict(zip(SPLITS, shares, strict=True)))
        chosen = max(SPLITS, key=need)
        for category, count in counts.items():
            lacking[chosen][category] -= count
        for index in groups[number]:
            result[index] = chosen
    return result


def _counts(items: Sequence[Item]) -> Counter[Category]:
    counts: Counter[Category] = Counter(item.category for item in items)
    counts[_WHOLE] = len(items)
    return counts


def _need(
    lacking: dict[str, dict[Category, float]], counts: Counter[Category], shares: dict[str, float]
) -> Callable[[str], float]:
    """Tell how much nearer to its targets a split comes when it gets these."""

    def need(split: str) -> float:
        if shares[split] == 0:
            return float("-inf")
        pairs = [(lacking[split][category], count) for category, count in counts.items()]
        return sum(lack**2 - (lack - count) ** 2 for lack, count in pairs)

    return need


def split_folder(
    root: Path,
    out: Path,
    *,
    rule: str = "name",
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    by_looks: bool = True,
) -> dict[str, Counter[str]]:
    """Copy the pictures to OUT/SPLIT/… and write OUT/split.csv. Return the count of each split and
    category."""
    if out.exists() and any(out.iterdir()):
        raise BadInput("--out must be a new or empty folder", str(out))
    items = find_items(root, rule, out=out)
    if not items:
        raise BadInput(f"{root} must hold pictures", "none")
    near = [pair[:2] for pair in near_pairs(look_alike(items))] if by_looks else []
    chosen = assign(items, group_items(items, near), shares, seed)
    for item, split in zip(items, chosen, strict=True):
        for role, path in item.files.items():
            folder = out / split / PurePath(item.name).parent / role
            _copy(path, folder / path.name)
    with (out / "split.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("name", "split", "category", "character"))
        for item, split in zip(items, chosen, strict=True):
            table.writerow((item.name, split, item.category, item.character))
    found = zip(items, chosen, strict=True)
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for item, split in found:
        counts[split][item.category] += 1
    return counts


def _copy(source: Path, target: Path) -> None:
    with partial_file(target.parent) as partial:
        shutil.copyfile(source, partial)
        publish(partial, target)
