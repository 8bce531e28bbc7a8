"""Samples of what small networks get wrong: valid, repeatable, and of the kind they claim."""

import numpy as np
import pytest

from tests.art import write_library
from toonout_core.synthesis import hard_samples
from toonout_core.synthesis.composite import place_any
from toonout_core.synthesis.cutouts import figure_weights, read_library
from toonout_core.synthesis.decorations import BEHIND, bubble
from toonout_core.synthesis.lettering import letters
from toonout_core.synthesis.line_art import draw_lines
from toonout_core.synthesis.paper import paper
from toonout_core.synthesis.translucent import glow, veil

SIZE = 64


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return read_library(write_library(tmp_path_factory.mktemp("art"), figures=3), "train")


@pytest.mark.parametrize("make", [make for make, _ in hard_samples.MAKERS])
def test_every_kind_gives_colours_and_alpha_in_range(library, make):
    for seed in range(6):
        rgb, alpha = make(np.random.default_rng(seed), library, SIZE, library.weights())
        assert rgb.shape == (SIZE, SIZE, 3) and alpha.shape == (SIZE, SIZE, 1)
        assert np.isfinite(rgb).all() and rgb.min() >= -1 and rgb.max() <= 400
        assert alpha.min() >= 0 and alpha.max() <= 1 + 1e-6


def test_samples_repeat_by_seed(library):
    first, again, other = (
        hard_samples.hard_sample(np.random.default_rng(s), library, SIZE, library.weights())
        for s in (3, 3, 4)
    )
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert first[0].dtype == first[1].dtype == np.uint8


def test_nobody_is_nobody(library):
    for seed in range(5):
        _, alpha = hard_samples.nobody(np.random.default_rng(seed), library, SIZE, np.empty(0))
        assert not alpha.any()


def test_a_line_drawing_is_paper_inside_and_all_of_it_is_figure(library):
    rng = np.random.default_rng(1)
    layer = place_any(rng, library, SIZE, library.weights())
    ground = np.full((SIZE, SIZE, 3), 240, np.float32)
    drawn, alpha = draw_lines(rng, layer, ground, filled=False)
    solid = layer[..., 3] > 250
    assert (alpha[solid] == 1).all() and (alpha[layer[..., 3] == 0] == 0).all()
    bare = np.abs(drawn - ground).max(-1) < 1
    assert bare[solid].mean() > 0.2  # unfilled
    assert (~bare)[layer[..., 3] > 0].any()  # and drawn
    assert bare[layer[..., 3] == 0].mean() > 0.9


@pytest.mark.parametrize("thing", [thing for thing, _ in BEHIND])
def test_decorations_cover_a_part_of_the_canvas(thing):
    covered = [thing(np.random.default_rng(seed), SIZE) for seed in range(8)]
    assert all(c.shape == (SIZE, SIZE) and c.min() >= 0 and c.max() <= 1 for c in covered)
    assert any(0.001 < c.mean() < 0.95 for c in covered)


def test_a_bubble_hides_what_is_behind_it(library):
    colours, covered = bubble(np.random.default_rng(2), SIZE)
    assert colours.shape == (SIZE, SIZE, 3) and 0.01 < covered.mean() < 0.6


def test_letters_are_drawn_without_any_font_of_the_machine(monkeypatch):
    monkeypatch.setattr("toonout_core.synthesis.lettering.font_files", lambda: ())
    assert max(letters(np.random.default_rng(s), SIZE, 20, 2).max() for s in range(6)) > 0.5


def test_paper_is_light_and_fills_the_canvas():
    sheets = [paper(np.random.default_rng(seed), SIZE) for seed in range(30)]
    assert all(sheet.shape == (SIZE, SIZE, 3) for sheet in sheets)
    assert np.median([sheet.mean() for sheet in sheets]) > 180


def test_one_character_is_at_most_a_tenth_of_its_style():
    styles = ["anime"] * 100 + ["ink"] * 100
    characters = ["doll"] * 84 + [f"girl {i}" for i in range(16)] + [f"orc {i}" for i in range(100)]
    weights = figure_weights(styles, characters)
    assert weights.sum() == pytest.approx(1)
    assert weights[:100].sum() == pytest.approx(0.5)
    assert weights[:84].sum() == pytest.approx(0.05)
    assert figure_weights(styles, characters, {"anime": 0.5})[:100].sum() == pytest.approx(1 / 3)
    # where there are too few for that, all count the same
    assert figure_weights(["a"] * 4, ["x", "x", "x", "y"]) == pytest.approx([1 / 6] * 3 + [1 / 2])


def disc():
    """A layer with an opaque red disc in the middle."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    inside = ((x**2 + y**2) < (SIZE / 4) ** 2)[..., None]
    return np.where(inside, np.float32([200, 0, 0, 255]), np.float32(0)).astype(np.float32)


@pytest.mark.parametrize("add", [veil, glow])
def test_what_is_seen_through_belongs_to_the_figure_and_hides_none_of_it(add):
    solid = disc()[..., 3] > 0
    shares = []
    for seed in range(12):
        joined = add(np.random.default_rng(seed), disc())
        alpha = joined[..., 3]
        assert (joined[..., :3] <= alpha[..., None] + 1e-3).all()  # still premultiplied
        assert alpha[solid].min() > 254.9
        shares.append(((alpha > 20) & (alpha < 245)).mean())
    assert np.mean(shares) > 0.01


def test_light_fades_away_from_the_figure():
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    away = np.hypot(x, y)
    alpha = glow(np.random.default_rng(4), disc())[..., 3]
    rings = [alpha[(away >= r) & (away < r + 1)].mean() for r in range(SIZE // 4 + 1, SIZE // 2)]
    assert rings[0] > 20 and np.diff(rings).max() < 0.5


def test_samples_of_veils_keep_their_soft_alpha(library):
    soft = [
        hard_samples.translucent(np.random.default_rng(s), library, SIZE, library.weights())[1]
        for s in range(8)
    ]
    assert np.mean([((a > 0.1) & (a < 0.9)).mean() for a in soft]) > 0.01
