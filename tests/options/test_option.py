"""One option: its names in each host, and how values are checked."""

from __future__ import annotations

import pytest

from toonout_core.errors import BadInput
from toonout_core.options.option import choice, number, switch, text, whole

GROW = number("grow_px", 0.0, (-4.0, 4.0, 0.25), "Moves the edge.")
COUNT = whole("count", 1, (0, 9), "How many.")
SOFT = switch("soft", True, "Soft edges.")
FIT = choice("fit", "auto", ("auto", "pad"), "How it fits.")
NAME = text("name", "", "Its name.")


def test_names_follow_from_one_name():
    assert (GROW.in_shell, GROW.on_page, GROW.in_usage) == ("--grow", "Grow (px)", "X")
    assert (COUNT.in_shell, COUNT.on_page, COUNT.in_usage) == ("--count", "Count", "N")
    area = COUNT.but(name="min_area_percent", flag="--least", label="Least area", metavar="P")
    assert (area.in_shell, area.on_page, area.in_usage) == ("--least", "Least area", "P")


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        (GROW, "-1.5", -1.5),
        (GROW, 4, 4.0),
        (COUNT, 3.0, 3),
        (COUNT, "7", 7),
        (SOFT, "False", False),
        (SOFT, True, True),
        (FIT, "pad", "pad"),
        (NAME, "", ""),
    ],
)
def test_values_get_their_type(option, given, expected):
    value = option.check(given)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("option", "given", "sentence"),
    [
        (GROW, 4.25, "grow_px must be -4 … 4, but got 4.25"),
        (GROW, "wide", "grow_px must be -4 … 4, but got 'wide'"),
        (GROW, float("nan"), "grow_px must be -4 … 4, but got nan"),
        (GROW, "inf", "grow_px must be -4 … 4, but got inf"),
        (GROW, int("9" * 400), "grow_px must be -4 … 4"),
        (COUNT, True, "count must be 0 … 9, but got True"),
        (COUNT, 1.5, "count must be a whole number, but got 1.5"),
        (SOFT, "yes", "soft must be true or false, but got 'yes'"),
        (SOFT, 1, "soft must be true or false, but got 1"),
        (FIT, "squash", "fit must be one of auto, pad, but got 'squash'"),
        (FIT, None, "fit must be a text, but got None"),
    ],
)
def test_wrong_values_are_sentences(option, given, sentence):
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(")):
        option.check(given)


def test_a_sentence_calls_it_as_its_host_does():
    with pytest.raises(BadInput, match=r"^--grow must be -4 … 4, but got 9\."):
        GROW.check(9, GROW.in_shell)


def test_another_place_may_have_another_default():
    other = GROW.but(default=2.0, least=0.0)
    assert (other.default, other.least, other.most) == (2.0, 0.0, 4.0)
    assert GROW.default == 0.0
