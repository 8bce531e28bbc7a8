"""Write prompts for characters one by one: a style that all share, and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import BadInput

Position = Literal["first", "last"]

BACKGROUND_TAGS = ("simple background", "white background")  # taggers say so of masked crops

_SEPARATOR = re.compile(r"\[SEP\]", re.IGNORECASE)
_NAME_OF_WORK = re.compile(r"[^()]+ \([^()]+\)(?: \([^()]+\))?")
_FACE = 3  # letters: what is so short with an underscore is a face, such as ^_^ or o_o


@dataclass(frozen=True)
class PromptOptions:
    """How prompts are put together.

    `style_position`: before or behind the tags. `drop`: tags that are left out. `keep_characters`:
    tags such as "saber (fate)" stay. `background`: what is said of a background, instead of its
    tags.
    """

    style_position: Position = "first"
    drop: tuple[str, ...] = BACKGROUND_TAGS
    keep_characters: bool = True
    background: str = ""


def join_prompts(
    style: str,
    tags: Sequence[str],
    lines: Sequence[str],
    backgrounds: Sequence[bool] | None = None,
    options: PromptOptions = PromptOptions(),
) -> list[str]:
    """Write one prompt for each instance: the style, its own line, its cleaned tags.

    `tags`: what a tagger says; `lines`: what a user says, left as written. Either may be empty.
    `backgrounds`: for each instance whether it is the background; None means that all are
    characters. Raises BadInput where the counts differ.
    """
    count = _count(tags, lines, backgrounds, options)
    flags = list(backgrounds) if backgrounds is not None else [False] * count
    own = _filled(lines, flags, options)
    tagged = _filled(tags, flags, options)
    prompts: list[str] = []
    for line, text, is_background in zip(own, tagged, flags, strict=True):
        parts = [line, *clean_tags(text, options)]
        if is_background and options.background.strip():
            parts = [options.background]
        first = options.style_position == "first"
        prompts.append(join([style, *parts] if first else [*parts, style]))
    return prompts


def _count(
    tags: Sequence[str],
    lines: Sequence[str],
    backgrounds: Sequence[bool] | None,
    options: PromptOptions,
) -> int:
    counts = {"tags": len(tags), "lines": len(lines)}
    given = {name: count for name, count in counts.items() if count}
    if backgrounds is None:
        if len({*given.values()}) > 1:
            raise _mismatch("tags and lines must be equally many", given)
        return max(given.values(), default=1)
    expected = {len(backgrounds), len(backgrounds) - sum(backgrounds)}
    if any(count not in expected for count in given.values()):
        several = " or ".join(str(number) for number in sorted(expected))
        raise _mismatch(f"there must be {several} prompts, one for each character", given)
    return len(backgrounds)


def _mismatch(expected: str, given: dict[str, int]) -> BadInput:
    return BadInput(
        expected,
        " and ".join(f"{count} {name}" for name, count in given.items()),
        "Write a line for each character, in their order, or give the tags of their crops.",
    )


def _filled(texts: Sequence[str], flags: Sequence[bool], options: PromptOptions) -> list[str]:
    """Return one text for each flag: where texts are only of characters, backgrounds have none."""
    if not texts:
        return [""] * len(flags)
    if len(texts) == len(flags):
        return list(texts)
    rest = iter(texts)
    return ["" if is_background else next(rest) for is_background in flags]


def split_prompts(text: str) -> list[str]:
    """Split a text at [SEP]; parts may be empty. Without [SEP] its lines are the parts, empty ones
    left out.
    """
    if not text.strip():
        return []
    if has_separator(text):
        return [" ".join(part.split()) for part in _SEPARATOR.split(text)]
    return [line.strip() for line in text.splitlines() if line.strip()]


def prompt_texts(given: Sequence[str] | None, backgrounds: Sequence[bool] | None) -> list[str]:
    """Return a text for each prompt: a list as it is, one text alone split by `split_prompts`.

    `backgrounds`: for each prompt that there must be, whether it is of a background; None: not
    known. Where there must be one prompt it may have several lines.
    """
    if given is None:
        return []
    if len(given) > 1:
        return list(given)
    parts = split_prompts(given[0])
    if backgrounds is not None and len(backgrounds) == 1 and not has_separator(given[0]):
        return [given[0]] if parts else []
    return parts


def has_separator(text: str) -> bool:
    """Tell whether [SEP] is in it."""
    return _SEPARATOR.search(text) is not None


def clean_tags(text: str, options: PromptOptions = PromptOptions()) -> list[str]:
    """Clean the tags of a tagger, each once: blanks for underscores, parentheses escaped for CLIP
    nodes.
    """
    dropped = {_plain(tag) for tag in options.drop}
    kept: dict[str, str] = {}
    for part in re.split(r"[,\n]", text):
        tag = _spaced(part)
        name = _plain(tag)
        if not tag or name in dropped or name in kept:
            continue
        if not options.keep_characters and _NAME_OF_WORK.fullmatch(name):
            continue
        kept[name] = _escaped(tag)
    return list(kept.values())


def join(parts: Sequence[str]) -> str:
    """Join parts by ", ". Empty parts, and commas at the ends of parts, are left out."""
    stripped = (re.sub(r"^[\s,]+|[\s,]+$", "", part) for part in parts)
    return ", ".join(part for part in stripped if part)


def _spaced(tag: str) -> str:
    tag = tag.strip()
    bare = tag.replace("\\", "")
    face = len(bare) <= _FACE and "_" in bare
    return tag if face else re.sub(r"[\s_]+", " ", tag).strip()


def _plain(tag: str) -> str:
    """Simplify a tag for comparing."""
    return _spaced(tag).replace("\\(", "(").replace("\\)", ")").lower()


def _escaped(tag: str) -> str:
    return re.sub(r"(?<!\\)([()])", r"\\\1", tag)
