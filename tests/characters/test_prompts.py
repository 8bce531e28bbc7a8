"""Prompts: one for each instance, clean, never silently repeated."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonout_core import BadInput
from toonout_core.characters.prompts import (
    PromptOptions,
    clean_tags,
    join,
    join_prompts,
    prompt_texts,
    split_prompts,
)
from toonout_core.characters.regional import regional_prompts


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("1girl, long_hair,  blue_eyes", ["1girl", "long hair", "blue eyes"]),
        ("1girl,, ,smile,", ["1girl", "smile"]),
        ("smile, Smile, smile", ["smile"]),
        ("long_hair, long hair", ["long hair"]),
        ("simple_background, white background, hat", ["hat"]),
        ("saber_(fate)", [r"saber \(fate\)"]),
        (r"saber_\(fate\), saber (fate)", [r"saber \(fate\)"]),
        ("^_^, o_o, :3, >_<", ["^_^", "o_o", ":3", ">_<"]),
        ("a_b\nc_d", ["a_b", "c_d"]),
        ("", []),
    ],
)
def test_tags_are_cleaned(text, tags):
    assert clean_tags(text) == tags


def test_tags_can_be_dropped_and_characters_left_unnamed():
    options = PromptOptions(drop=("Blue_Eyes", "hat"), keep_characters=False)
    text = (
        "1girl, blue_eyes, hat, saber_(fate), artoria_pendragon_(swimsuit)_(fate), white_background"
    )
    assert clean_tags(text, options) == ["1girl", "white background"]


@given(st.lists(st.text("ab_() ,\\", max_size=12), max_size=6))
@settings(max_examples=60, deadline=None)
def test_cleaning_twice_is_cleaning_once(tags):
    once = clean_tags(", ".join(tags))
    assert clean_tags(", ".join(once)) == once


def test_empty_parts_and_commas_at_the_ends_vanish():
    assert join(["anime style, ", "", "  ", ",smile"]) == "anime style, smile"
    assert join(["(soft light:1.2)"]) == "(soft light:1.2)"


def test_one_text_for_several():
    assert split_prompts("red hair\r\n blue hair\n\ngreen\n") == ["red hair", "blue hair", "green"]
    text = "red hair,\nsmile [SEP]blue hair[sep][SEP] green"
    assert split_prompts(text) == ["red hair, smile", "blue hair", "", "green"]


def test_nothing_splits_to_nothing():
    assert split_prompts(" \n ") == []


# ---------------------------------------------------------------- joining


def test_style_line_and_tags_in_this_order():
    assert join_prompts("3d style", ["1girl, long_hair", "1boy"], ["red", "(blue_1:1.1)"]) == [
        "3d style, red, 1girl, long hair",
        "3d style, (blue_1:1.1), 1boy",
    ]
    last = PromptOptions(style_position="last")
    assert join_prompts("3d style", ["1girl"], ["red"], options=last) == ["red, 1girl, 3d style"]


def test_style_alone_is_said_of_each():
    assert join_prompts("3d style", [], [], [False, False]) == ["3d style", "3d style"]
    assert join_prompts("3d style", [], []) == ["3d style"]


def test_counts_that_differ_are_a_sentence():
    with pytest.raises(BadInput, match=r"3 prompts, one for each character, but got 2 lines"):
        join_prompts("style", [], ["a", "b"], [False] * 3)
    with pytest.raises(BadInput, match=r"2 tags"):
        join_prompts("style", ["a", "b"], ["a", "b", "c"], [False] * 3)
    with pytest.raises(BadInput, match="equally many, but got 1 tags and 2 lines"):
        join_prompts("style", ["a"], ["b", "c"])


def test_the_background_has_words_of_its_own_or_none():
    flags = [False, False, True]
    words = PromptOptions(background="a (quiet:1.2) street")
    assert join_prompts("3d", ["1girl", "1boy", "no_humans"], [], flags, words) == [
        "3d, 1girl",
        "3d, 1boy",
        "3d, a (quiet:1.2) street",
    ]
    assert join_prompts("3d", ["1girl", "1boy", "no_humans"], [], flags)[2] == "3d, no humans"
    # lines for the characters only
    assert join_prompts("3d", [], ["red", "blue"], flags) == ["3d, red", "3d, blue", "3d"]


def test_a_background_in_the_middle_takes_no_line_of_a_character():
    flags = [False, True, False]
    assert join_prompts("", [], ["red", "blue"], flags) == ["red", "", "blue"]


# ---------------------------------------------------------------- what is given for them


@pytest.mark.parametrize(
    ("given", "backgrounds", "expected"),
    [
        (None, None, []),
        (["a\nb"], None, ["a", "b"]),
        (["a\nb"], [False, True], ["a", "b"]),
        (["a\nb"], [False], ["a\nb"]),  # one prompt may have several lines
        (["a [SEP] b"], [False], ["a", "b"]),
        ([" "], [False], []),
        (["a\nb", "c"], [False], ["a\nb", "c"]),
    ],
)
def test_a_list_is_kept_and_a_text_is_split(given, backgrounds, expected):
    assert prompt_texts(given, backgrounds) == expected


def test_prompts_of_one_picture_end_with_the_background():
    style = "best"
    assert regional_prompts(2, style, ["red\nblue"], "sea") == [
        "best, red",
        "best, blue",
        "best, sea",
    ]
    assert regional_prompts(2, style, ["red"]) == ["best, red", "best, red", "best"]
    assert regional_prompts(0, style, ["red"], "sea") == ["best, sea"]
    with pytest.raises(BadInput, match="4 lines"):
        regional_prompts(2, style, ["a", "b", "c", "d"])
