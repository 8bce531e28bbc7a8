"""What is wrong with a data set, before a day of training finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import torch
from torch import Tensor

from ...errors import BadInput
from ...imaging import read
from ..examples import SPLIT_NAMES
from .likeness import Bits, likeness_bits, near_pairs
from .splitting import Item, find_items

SMALLEST_PX = 256
ENOUGH_TO_CHOOSE = 5  # pictures that the best epoch is chosen by
_LONGEST_RATIO = 4
_HARD_SHARE = 0.0005  # of soft pixels, below which edges are a mask's


@dataclass(frozen=True)
class Finding:
    """`kind` in few words, `names` of pictures or splits, `grave`: training should not start."""

    kind: str
    names: tuple[str, ...]
    text: str
    grave: bool = True


@dataclass
class Checked:
    """`counts`: split → category → pictures."""

    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def sound(self) -> bool:
        return not any(finding.grave for finding in self.findings)


def check_folder(root: Path, *, rule: str = "name") -> Checked:
    """Sizes, alpha, missing parts, duplicates, and whatever stands in two splits."""
    items = find_items(root, rule)
    if not items:
        raise BadInput(f"{root} must hold pictures", "none")
    result = Checked()
    outside = [item for item in items if not split_of(item)]
    if 0 < len(outside) < len(items):
        names = tuple(item.name for item in outside)
        text = "They are in no split, and not looked at."
        result.findings.append(Finding("in no split", names, text, grave=False))
        items = [item for item in items if split_of(item)]
    bits: list[Bits] = []
    seen: list[Item] = []
    for item in items:
        result.counts.setdefault(split_of(item), Counter())[_category(item)] += 1
        try:
            findings, looks = _check_item(item)
        except BadInput as error:
            result.findings.append(Finding("unreadable", (item.name,), str(error)))
            continue
        result.findings += findings
        bits.append(looks)
        seen.append(item)
    result.findings += _splits(result.counts)
    result.findings += _duplicates(seen, bits)
    result.findings += _leaking_characters(items)
    return result


def split_of(item: Item) -> str:
    """By the first folder, or the second one below `fg`; "" for a picture in no split."""
    parts = [part for part in PurePath(item.name).parts[:-1] if part != "fg"]
    for split, names in SPLIT_NAMES.items():
        if parts and any(parts[0] == name or parts[0].startswith(f"{name}_") for name in names):
            return split
    return ""


def _category(item: Item) -> str:
    if split_of(item) and item.category == PurePath(item.name).parts[0]:
        return "/".join(PurePath(item.name).parts[1:-1])
    return item.category


def _splits(counts: Mapping[str, Counter[str]]) -> Iterator[Finding]:
    """What training would refuse, or would take and choose badly by."""
    if "" in counts:
        text = "Run `toonout dataset split` next: it makes train, validation and test of them."
        yield Finding("no splits yet", (), text)
        return
    for split, names in SPLIT_NAMES.items():
        count = sum(counts.get(split, Counter[str]()).values())
        if not count:
            text = f"There is no picture in {' or '.join(names)}."
            yield Finding("empty split", names[-1:], text, grave=split != "test")
        elif split == "val" and (text := few_to_choose_by(count)):
            yield Finding("few to choose by", names[-1:], text, grave=False)


def few_to_choose_by(count: int) -> str:
    """What to say of so many pictures in validation; nothing if they are enough."""
    if not 0 < count < ENOUGH_TO_CHOOSE:
        return ""
    pictures = f"{count} picture{'s' if count > 1 else ''}"
    return (
        f"The best epoch would be chosen by {pictures}, which is chance. Take more cutouts, or "
        "split them with --shares 0.6 0.3 0.1."
    )


def _check_item(item: Item) -> tuple[list[Finding], Bits]:
    """Raises BadInput for what cannot be read."""
    picture = read(item.picture)
    found = list(_size(item, picture.size_hw))
    if "" in item.files:
        alpha = picture.alpha
    elif truth := item.files.get("gt") or item.files.get("an"):
        matte = read(truth)
        alpha = matte.alpha if matte.alpha is not None else matte.image.mean(1, keepdim=True)
        if "im" in item.files and matte.size_hw != picture.size_hw:
            (h, w), (y, x) = matte.size_hw, picture.size_hw
            found.append(_fault(item, "sizes differ", f"The matte is {w}×{h}, the picture {x}×{y}"))
        if "im" not in item.files:
            found.append(_fault(item, "no picture", "There is a matte, but no picture in im"))
    else:
        text = "There is no matte in gt and no cutout in an"
        return [*found, _fault(item, "no matte", text)], likeness_bits(picture.image)
    found += _alpha(item, alpha)
    return found, likeness_bits(picture.image, picture.alpha)


def _size(item: Item, size_hw: tuple[int, int]) -> Iterator[Finding]:
    short, long = sorted(size_hw)
    if long < SMALLEST_PX:
        yield _fault(item, "small", f"Its longest side is {long} px", grave=False)
    if long > _LONGEST_RATIO * short:
        text = f"{size_hw[1]}×{size_hw[0]} is squashed into a square"
        yield _fault(item, "long", text, grave=False)


def _alpha(item: Item, alpha: Tensor | None) -> Iterator[Finding]:
    if alpha is None or float(alpha.min()) == 1:
        yield _fault(item, "opaque", "Nothing of it is transparent")
    elif float(alpha.max()) == 0:
        yield _fault(item, "empty", "All of it is transparent")
    elif float(alpha.min()) > 0:
        yield _fault(item, "no background", "No pixel is wholly transparent", grave=False)
    elif float(((alpha > 0) & (alpha < 1)).to(torch.float32).mean()) < _HARD_SHARE:
        yield _fault(item, "hard edges", "Its alpha is a mask without soft edges", grave=False)


def _fault(item: Item, kind: str, text: str, *, grave: bool = True) -> Finding:
    return Finding(kind, (item.name,), f"{text}.", grave)


def _duplicates(items: Sequence[Item], bits: Sequence[Bits]) -> Iterator[Finding]:
    for first, second, distance in near_pairs(bits):
        names = (items[first].name, items[second].name)
        splits = {split_of(items[first]), split_of(items[second])} - {""}
        how = f"They look alike ({distance} of 256 bits differ)"
        if len(splits) > 1:
            yield Finding("leak", names, f"{how} and are in different splits.")
        else:
            yield Finding("duplicate", names, f"{how}.", grave=False)


def _leaking_characters(items: Sequence[Item]) -> Iterator[Finding]:
    places: dict[str, dict[str, str]] = {}
    for item in items:
        if split := split_of(item):
            for character in item.characters:
                places.setdefault(character, {}).setdefault(split, item.name)
    for character, splits in sorted(places.items()):
        if len(splits) > 1:
            yield Finding(
                "character in several splits",
                tuple(splits.values()),
                f"{character} is in {' and '.join(splits)}.",
            )
