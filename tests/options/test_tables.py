"""The tables themselves: sound, without torch, and in agreement with the core's own records."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from dataclasses import fields
from typing import Literal, get_args

import pytest

from tests.options.tables import every
from toonout_core import chosen, options
from toonout_core.characters import crops, prompts
from toonout_core.flow import SourceAlpha
from toonout_core.instances import Order
from toonout_core.layers import files, sprites
from toonout_core.layers.sprites import SheetOptions
from toonout_core.ops.foreground import Method
from toonout_core.ops.placing import BackgroundFit
from toonout_core.options import characters, cutout, layers, models
from toonout_core.output import animations
from toonout_core.segmentation.asking import Area, SegmentOptions
from toonout_core.segmentation.fusion import Vote
from toonout_core.words import Dtype, Fit

TABLES = every()


@pytest.mark.parametrize("option", TABLES.values(), ids=TABLES)
def test_a_row_is_sound(option):
    assert not option.help[0].islower() or option.help.split(":")[0] in option.choices
    assert option.help.endswith((".", "…")), "a help is made of sentences"
    assert not option.help.startswith("Of "), "a help says what the option is, not only of what"
    assert option.name.isidentifier()
    if option.default is not None:
        assert option.check(option.default) == option.default
        assert type(option.check(option.default)) is type(option.default)
    if option.kind in ("whole", "number"):
        assert option.least < option.most
        assert option.step > 0


def test_tables_need_no_torch():
    names = [f"options.{info.name}" for info in pkgutil.iter_modules(options.__path__)]
    imports = "; ".join(f"import toonout_core.{name}" for name in (*names, "motion.options"))
    code = f"import sys; {imports}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (models.PRECISION, Literal["auto", Dtype]),  # fast is a switch of its own
        (cutout.FIT, Fit),
        (cutout.SOURCE_ALPHA, SourceAlpha),
        (cutout.FOREGROUND_METHOD, Method),
        (cutout.BACKGROUND_FIT, BackgroundFit),
        (characters.SORT_BY, Order),
        (characters.REFINE_AREA, Area),
        (characters.VOTE, Vote),
        (characters.STYLE_POSITION, prompts.Position),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_choices_are_the_words_of_the_core(option, words):
    # "fast" is what "auto" means together with the switch of that name
    assert set(option.choices) == set(get_args(words)) - {models.FAST.name}


def test_scales_are_those_of_crops():
    scales = [chosen.crop_options({"scale": scale}).scale for scale in characters.SCALE.choices]
    assert scales == list(get_args(crops.Scale))


def test_choices_are_the_keys_of_the_core():
    assert list(layers.LAYERS_FORMAT.choices) == [suffix[1:] for suffix in files.FORMATS]
    assert layers.PIVOT.choices == tuple(sprites.PIVOTS)
    assert set(layers.ANIMATION.choices) == {"none", *animations.MOVING}
    sheet = SheetOptions(*(option.default for option in layers.SHEET))
    assert sheet == SheetOptions()


def defaults(*options):
    return {option.name: option.default for option in options}


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (chosen.adjust_options, cutout.MATTE),
        (
            chosen.foreground_options,
            (cutout.CLEAN_COLOURS, cutout.RADIUS, cutout.REFINE_RADIUS, cutout.FOREGROUND_METHOD),
        ),
        (
            chosen.share_options,
            (characters.TRUST_MASKS, characters.UNCERTAIN, characters.REACH),
        ),
        (
            chosen.fusion_options,
            (
                *(characters.VOTE, characters.VOTE_THRESHOLD, characters.VOTE_RADIUS),
                *(characters.EROSIONS, characters.DILATIONS, characters.PER_CHARACTER),
            ),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_defaults_are_those_of_the_cores_records(made, options):
    assert made(defaults(*options)) == made({})


def test_what_is_chosen_reaches_the_record():
    options = chosen.adjust_options({"black_point": 0.1, "white_point": 0.9, "grow_px": -2.0})
    assert (options.black, options.white, options.grow_px) == (0.1, 0.9, -2.0)
    assert chosen.foreground_options({"clean_colours": False}) is None
    found = chosen.segment_options({"max_count": 0, "resolution": 0, "min_area_percent": 5.0})
    assert (found.limit, found.side_px, found.min_area) == (1000, None, 0.05)
    assert chosen.segment_options({"max_count": 3}).limit == 100
    usual = {characters.MIN_AREA.name: characters.MIN_AREA.default}
    assert chosen.segment_options(usual).min_area == SegmentOptions().min_area
    tidying = chosen.tidy_options({"sort_by": "as they are", "max_count": 3})
    assert (tidying.order, tidying.limit) == (None, 3)
    assert chosen.crop_options({"multiple_of": "32"}).multiple_of == 32
    known = {field.name for field in fields(crops.CropOptions)}
    assert {"padding_px", "grow_px"} <= known
