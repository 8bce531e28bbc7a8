"""Options of rembg's command line, in our words."""

from __future__ import annotations

from ..errors import BadInput
from ..options.cutout import BACKGROUND, DROP_SPECKS
from ..options.files import MASK_ONLY
from ..options.models import MODEL
from ..options.rembg import MODELS, SPECK_AREA
from .terminal import say

_SAME = {
    "-om": [MASK_ONLY.in_shell],
    "-ppm": [DROP_SPECKS.in_shell, str(SPECK_AREA)],
}
# for its alpha matting and clean colours → the words behind it
_NOT_NEEDED = {"-a": 0, "-dc": 0, "-af": 1, "-ab": 1, "-ae": 1}
_COLOUR = "-bgc"
_MODEL = "-m"


def in_our_words(words: list[str]) -> list[str]:
    """`-om` → `--mask-only` and so on; says what ours is called. Raises BadInput."""
    said: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in _NOT_NEEDED:
            say(f"{word} is not needed: every matte is soft, and colours are clean.")
            left = left[_NOT_NEEDED[word] :]
            continue
        ours = _SAME.get(word, [word])
        if word == _COLOUR:
            ours, left = _background(left[:4]), left[4:]
        if word == _MODEL:
            named, left = left[:1], left[1:]
            ours = [MODEL.in_shell, *(MODELS.get(name) or name for name in named)]
        if word in (*_SAME, _COLOUR, _MODEL):
            say(f"{word} is {' '.join(ours) or 'the default: nothing is behind the character'}.")
        said += ours
    return said


def _background(levels: list[str]) -> list[str]:
    """Red, green, blue and alpha; a colour here is opaque, or there is none."""
    numbers = [int(level) if level.isascii() and level.isdigit() else 256 for level in levels]
    if len(numbers) < 4 or max(numbers) > 255 or numbers[3] not in (0, 255):
        raise BadInput(
            f"{_COLOUR} must have red, green and blue from 0 to 255, and alpha 0 or 255",
            " ".join(levels) or "nothing",
            f'Or write {BACKGROUND.in_shell} "#ffffff".',
        )
    return [BACKGROUND.in_shell, "#{:02x}{:02x}{:02x}".format(*numbers)] if numbers[3] else []
