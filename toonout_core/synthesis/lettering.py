"""Write words of no meaning in several scripts, in the fonts that the machine has."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ImageDraw, ImageFont
from PIL.Image import Resampling

from ..imaging import to_pil, unit_floats
from ..words import Array

Generator = np.random.Generator

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
_LATIN = "ABCDEFGHIJKLMNOPRSTUVWabcdefghijklmnoprstuvwy0123456789!?&"
_GREEK_CYRILLIC = "ΑΒΓΔΘΛΞΠΣΦΨΩαβγδεζηθλξπσφψωБГДЖЗИЙЛПФЦЧШЩЫЭЮЯбвгджзийлпфцчшщыэюя"
_KANA = "".join(map(chr, [*range(0x3042, 0x3094), *range(0x30A2, 0x30F4)]))
_KANJI = "東京日本語漢字文化新世界大小山川空海花月火水木金土夢星愛戦闘魔法少女猫犬龍神風雷"
_HANGUL = "가나다라마바사아자차카타파하한국말꿈별사랑전투마법소녀고양이"
_ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
# part of a font's file name, in small letters → what it can write
_SCRIPTS = (
    (("nanum", "malgun", "unfonts"), (_HANGUL,)),
    (("ipa", "wqy", "cjk", "gothic", "mincho", "meiryo", "hiragino"), (_KANA, _KANJI)),
    (("amiri", "naskh", "arabic"), (_ARABIC,)),
    (("dejavu", "arial", "times", "noto"), (_LATIN, _GREEK_CYRILLIC)),
)


@lru_cache(maxsize=1)
def font_files() -> tuple[str, ...]:
    """List the fonts of this machine that can be scaled; none is shipped."""
    found = {
        str(path)
        for folder in FOLDERS
        for ending in ("*.ttf", "*.otf", "*.ttc")
        for path in Path(folder).rglob(ending)
    }
    return tuple(sorted(found))


def letters(rng: Generator, size_px: int, height_px: int, lines: int) -> Array:
    """Write some lines of text anywhere on the canvas: coverage size×size float32 in [0, 1]."""
    files = font_files()
    path = files[int(rng.integers(len(files)))] if files else ""
    font = _font(path, max(height_px, 6))
    scripts = next((s for names, s in _SCRIPTS if any(n in path.lower() for n in names)), (_LATIN,))
    script = scripts[int(rng.integers(len(scripts)))]
    picker = random.Random(int(rng.integers(2**31)))
    text = "\n".join("".join(picker.choices(script, k=picker.randint(1, 9))) for _ in range(lines))
    sheet = to_pil(torch.zeros(1, 1, size_px, size_px))
    corner = tuple((rng.uniform(-0.1, 0.8, 2) * size_px).round().astype(int).tolist())
    ImageDraw.Draw(sheet).multiline_text(corner, text, fill=255, font=font)
    if rng.random() < 0.4:
        sheet = sheet.rotate(float(rng.normal(0, 15)), Resampling.BILINEAR)
    return unit_floats(np.asarray(sheet))


@lru_cache(maxsize=256)
def _font(path: str, height_px: int) -> Any:
    if path:
        try:
            return ImageFont.truetype(path, height_px)
        except OSError:  # a bitmap font
            pass
    return ImageFont.load_default(height_px)
