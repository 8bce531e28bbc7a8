"""Splitting, converting and checking pictures with known alpha."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from tests.art import draw_background, draw_figure
from toonout_core.errors import BadInput
from toonout_core.imaging import read
from toonout_core.training.dataset.checking import check_folder
from toonout_core.training.dataset.likeness import likeness_bits, near_pairs
from toonout_core.training.dataset.splitting import (
    Item,
    assign,
    character_of,
    find_items,
    group_items,
    split_folder,
)
from toonout_core.training.dataset.truths import PUBLISHED_THRESHOLD, Threshold, write_mattes
from toonout_core.training.examples import find_examples


def save(picture, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture
def cutouts(tmp_path):
    """Two categories; ten characters in each, two pictures of everyone; four in both."""
    root = tmp_path / "cutouts"
    for category, characters in (("pose", range(10)), ("emotion", range(6, 16))):
        for character in characters:
            for number in range(2):
                seed = 1000 * (category == "pose") + 10 * character + number
                save(draw_figure(seed, (40, 60)), root / category / f"who{character}x_{number}.png")
    return root


def splits_of(out):
    with (out / "split.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("pose/alpha_sitting-on-a-chair_ch12_seed44", "name", "ch12"),
        ("pose/alpha_sitting_ch12", "published", "ch12"),
        ("sylvie_blue_normal_2", "name", "sylvie_blue_normal"),
        ("girl 0012", "name", "girl"),
        ("a/girl-2", "name", "girl"),
        ("a/0012", "name", "a/0012"),
        ("a/b/girl", "folder", "a/b"),
        ("a/girl_1", "file", "a/girl_1"),
        ("a/07-girl-red", r"-(\w+)-", "girl"),
    ],
)
def test_who_is_in_a_picture(name, rule, expected):
    assert character_of(name, rule) == expected


@pytest.mark.parametrize("rule", ["([", "girl", "(boy)"])
def test_patterns_that_find_nobody_are_refused(rule):
    with pytest.raises(BadInput, match="--character"):
        character_of("girl_1", rule)


def test_a_character_is_in_one_split_and_the_shares_are_kept(cutouts, tmp_path):
    counts = split_folder(cutouts, tmp_path / "out", by_looks=False)
    rows = splits_of(tmp_path / "out")
    assert len(rows) == 40
    places = {}
    for row in rows.values():
        places.setdefault(row["character"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in places.values())
    for category in ("pose", "emotion"):
        assert 14 <= counts["train"][category] <= 18
        assert counts["validation"][category] >= 1
        assert counts["test"][category] >= 1
    for name, row in rows.items():
        assert (tmp_path / "out" / row["split"] / f"{name}.png").is_file()


def test_a_split_follows_from_the_seed(cutouts, tmp_path):
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        split_folder(cutouts, tmp_path / out, seed=seed, by_looks=False)
    first, again, other = (
        {name: row["split"] for name, row in splits_of(tmp_path / out).items()} for out in "abc"
    )
    assert first == again
    assert first != other
    with pytest.raises(BadInput, match="empty"):
        split_folder(cutouts, tmp_path / "a")


def test_what_looks_alike_stays_together(tmp_path):
    root = tmp_path / "cutouts"
    for index in range(12):
        figure = draw_figure(index, (90, 120))
        save(figure, root / f"a{index}x.png")
        if index < 3:
            save(figure.transpose(Image.Transpose.FLIP_LEFT_RIGHT), root / f"copy{index}x.png")
    split_folder(root, tmp_path / "out", rule="file", shares=(0.5, 0.25, 0.25))
    rows = splits_of(tmp_path / "out")
    for index in range(3):
        assert rows[f"a{index}x"]["split"] == rows[f"copy{index}x"]["split"]
    assert set(Counter(row["split"] for row in rows.values())) == {"train", "validation", "test"}


def test_parts_of_a_published_picture_go_together(tmp_path):
    root = tmp_path / "set"
    for index in range(10):
        for role in ("im", "gt", "an"):
            save(Image.new("L", (8, 8)), root / "pose" / role / f"w{index}x.png")
    split_folder(root, tmp_path / "out", by_looks=False)
    for name, row in splits_of(tmp_path / "out").items():
        place = tmp_path / "out" / row["split"] / "pose"
        found = {path.parent.name for path in place.rglob(f"{name.split('/')[-1]}.png")}
        assert found == {"im", "gt", "an"}


def test_a_table_of_attribution_wins(tmp_path):
    save(draw_figure(1), tmp_path / "x" / "a.png")
    save(draw_background(1), tmp_path / "bg" / "b.png")
    (tmp_path / "ATTRIBUTION.csv").write_text("file,category,character\nx/a.png,item,Sylvie\n")
    (item,) = find_items(tmp_path)
    assert (item.category, item.character) == ("item", "Sylvie")


def test_a_table_may_name_any_part_of_a_picture(tmp_path):
    for role in ("im", "gt"):
        save(draw_background(1), tmp_path / role / "a.png")
    (tmp_path / "ATTRIBUTION.csv").write_text("file,character\nim/a.png,Sylvie;Eileen\n")
    (item,) = find_items(tmp_path)
    assert item.characters == ["Sylvie", "Eileen"]


def test_shares_must_add_up():
    with pytest.raises(BadInput, match="add up"):
        assign([], [], (0.8, 0.1, 0.2), 0)


def test_groups_join_through_characters_and_pairs(tmp_path):
    items = [Item(f"{i}", "", who, {"": tmp_path}) for i, who in enumerate("aabbc")]
    assert group_items(items) == [[0, 1], [2, 3], [4]]
    assert group_items(items, [(1, 4)]) == [[0, 1, 4], [2, 3]]
    several = [*items, Item("5", "", "a; c", {"": tmp_path})]
    assert group_items(several) == [[0, 1, 4, 5], [2, 3]]


# ---------------------------------------------------------------- likeness


def test_copies_are_near_and_others_are_not(tmp_path):
    figure = draw_background(5, (300, 200))
    figure.save(tmp_path / "same.jpg", quality=60)
    figure.resize((150, 110)).save(tmp_path / "small.png")
    figure.save(tmp_path / "a.png")
    for index in range(6):
        draw_background(20 + index, (300, 200)).save(tmp_path / f"other{index}.png")
    paths = sorted(tmp_path.iterdir())
    bits = [likeness_bits(read(path).image) for path in paths]
    names = {frozenset((paths[i].stem, paths[j].stem)) for i, j, _ in near_pairs(bits)}
    assert names == {frozenset(pair) for pair in (("a", "same"), ("a", "small"), ("same", "small"))}


def test_blank_pictures_are_near_to_none():
    bits = [likeness_bits(torch.full((1, 3, 50, 50), grey)) for grey in (0.2, 0.2, 0.9)]
    assert list(near_pairs(bits)) == []


# ---------------------------------------------------------------- mattes


def test_soft_alpha_is_kept_and_the_published_rule_is_an_option(tmp_path):
    ramp = np.zeros((20, 256, 4), np.uint8)
    ramp[..., 3] = np.arange(256)
    ramp[..., 0] = 200
    save(Image.fromarray(ramp), tmp_path / "in" / "pose" / "ramp.png")
    assert write_mattes(tmp_path / "in", tmp_path / "soft", background="#00ff00")[-1] == []
    write_mattes(tmp_path / "in", tmp_path / "hard", threshold=PUBLISHED_THRESHOLD)
    place = "pose/gt/ramp.png"
    with (
        Image.open(tmp_path / "soft" / place) as soft,
        Image.open(tmp_path / "hard" / place) as hard,
    ):
        assert np.array_equal(np.asarray(soft)[0], np.arange(256))
        expected = np.where(np.arange(256) >= 220, 255, np.arange(256))
        assert np.array_equal(np.asarray(hard)[0], expected)
    picture = read(tmp_path / "soft" / "pose" / "im" / "ramp.png").image[0, :, 3]
    assert picture[:, 0].tolist() == [0, 1, 0]
    assert picture[0, 255].item() == pytest.approx(200 / 255)
    (example,) = find_examples_in(tmp_path / "soft", tmp_path)
    assert example.truth.parent.name == "gt"


def find_examples_in(folder, tmp_path):
    (tmp_path / "all").mkdir()
    folder.rename(tmp_path / "all" / "train")
    return find_examples(tmp_path / "all", "train")


def test_the_annotated_picture_goes_with_its_original(tmp_path):
    figure = draw_figure(3)
    original = Image.new("RGB", figure.size, (1, 2, 3))
    save(figure, tmp_path / "in" / "an" / "a.png")
    save(original, tmp_path / "in" / "im" / "a.png")
    save(Image.new("RGB", (5, 5)), tmp_path / "in" / "opaque.png")
    *_, faults = write_mattes(tmp_path / "in", tmp_path / "out")
    assert [name for name, _ in faults] == ["opaque"]
    image = read(tmp_path / "out" / "im" / "a.png").image
    assert torch.equal(image[0, :, 0, 0] * 255, torch.tensor([1.0, 2.0, 3.0]))


def test_thresholds_by_themselves():
    alpha = torch.tensor([0, 1, 100, 219, 220, 255]) / 255
    assert torch.equal(Threshold().apply(alpha), alpha)
    levels = (Threshold(1, 219).apply(alpha) * 255).round().tolist()
    assert levels == [0, 0, 100, 255, 255, 255]


# ---------------------------------------------------------------- check


def kinds(result):
    return Counter(finding.kind for finding in result.findings)


def test_every_planted_fault_is_found(tmp_path):
    big = (300, 360)
    for index in range(4):
        save(draw_figure(index, big), tmp_path / "train" / f"who{index}x.png")
    save(draw_figure(2, big), tmp_path / "test" / "stranger.png")  # a copy of who2x
    save(draw_figure(50, big), tmp_path / "validation" / "who1x_7.png")  # who1x again
    save(draw_figure(51, big).convert("RGB"), tmp_path / "train" / "opaque.png")
    save(Image.new("RGBA", big), tmp_path / "train" / "empty.png")
    save(draw_figure(52, (40, 50)), tmp_path / "train" / "tiny.png")
    hard = draw_figure(53, big)
    hard.putalpha(hard.getchannel("A").point(lambda level: 255 * (level > 127)))
    save(hard, tmp_path / "train" / "hard.png")
    (tmp_path / "train" / "broken.png").write_bytes(b"no picture")
    save(draw_background(1, big), tmp_path / "train" / "im" / "lonely.png")
    save(draw_background(2, big), tmp_path / "train" / "im" / "uneven.png")
    save(draw_figure(2, (280, 360)).getchannel("A"), tmp_path / "train" / "gt" / "uneven.png")
    result = check_folder(tmp_path)
    assert not result.sound
    assert kinds(result) == {
        "leak": 1, "character in several splits": 1, "opaque": 1, "empty": 1, "small": 1,
        "hard edges": 1, "unreadable": 1, "no matte": 1, "sizes differ": 1,
        "few to choose by": 1,
    }  # fmt: skip
    assert sum(result.counts["train"].values()) == 11


def test_pictures_in_no_split_are_named_and_left_out(tmp_path):
    for index, split in enumerate(("train", "val", "test")):
        save(draw_figure(index, (300, 300)), tmp_path / split / f"{split}x.png")
    save(draw_figure(5, (300, 300)).convert("RGB"), tmp_path / "raw" / "b.png")
    result = check_folder(tmp_path)
    assert result.sound
    assert [(f.kind, f.names) for f in result.findings if f.kind != "few to choose by"] == [
        ("in no split", ("raw/b",))
    ]
    assert kinds(check_folder(tmp_path / "raw")) == {"opaque": 1, "no splits yet": 1}


def test_splits_that_training_needs_must_have_pictures(tmp_path):
    save(draw_figure(1, (300, 300)), tmp_path / "train" / "a.png")
    result = check_folder(tmp_path)
    assert not result.sound
    assert [(f.names, f.grave) for f in result.findings] == [
        (("validation",), True),
        (("test",), False),
    ]


def test_pictures_without_splits_are_not_ready(cutouts):
    result = check_folder(cutouts)
    assert not result.sound
    assert [(f.kind, f.grave) for f in result.findings if f.grave] == [("no splits yet", True)]


@pytest.mark.parametrize(("count", "said"), [(1, "by 1 picture,"), (4, "by 4 pictures,"), (5, "")])
def test_few_pictures_in_validation_are_told(tmp_path, count, said):
    for index in range(count + 1):
        split = "train" if index == count else "validation"
        save(draw_figure(index, (300, 300)), tmp_path / split / f"who{index}x.png")
    result = check_folder(tmp_path)
    assert result.sound
    texts = [finding.text for finding in result.findings if finding.kind == "few to choose by"]
    assert len(texts) == bool(said)
    assert all(said in text for text in texts)


def test_small_categories_leave_no_split_empty():
    names = [(category, f"{category}{i}") for category in "abcdef" for i in range(3)]
    items = [Item(name, category, name, {}) for category, name in names]
    for seed in range(5):
        counts = Counter(assign(items, group_items(items), (0.8, 0.1, 0.1), seed))
        assert 14 <= counts["train"] <= 16
        assert min(counts["validation"], counts["test"]) >= 1


def test_a_sound_set_has_no_fault(cutouts, tmp_path):
    split_folder(cutouts, tmp_path / "out")
    result = check_folder(tmp_path / "out")
    assert result.sound, result.findings
    assert set(result.counts) == {"train", "val", "test"}
    assert set(result.counts["train"]) == {"pose", "emotion"}
    assert all(example.truth is None for example in find_examples(tmp_path / "out", "val"))
