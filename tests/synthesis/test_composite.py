import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.art import draw_background, draw_figure, write_library
from toonout_core.errors import BadInput
from toonout_core.synthesis.composite import (
    Placement,
    place,
    plain_colour,
    scene_background,
    training_sample,
)
from toonout_core.synthesis.cutouts import Cutout, read_library

placements = st.builds(
    Placement,
    scale=st.floats(0.3, 1.5),
    centre_xy=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
    angle_deg=st.floats(-25, 25),
    flip=st.booleans(),
    squash=st.floats(0.6, 1.6),
)
FIGURE = np.asarray(draw_figure(1))


@given(placements)
def test_a_placed_figure_is_premultiplied_and_in_range(placement):
    layer = place(Cutout("a", FIGURE), 64, placement)
    assert layer.shape == (64, 64, 4)
    assert layer.min() >= 0 and layer.max() <= 255.01
    assert (layer[..., :3] <= layer[..., 3:] + 0.01).all()


@given(placements)
def test_a_cut_side_never_floats(placement):
    solid = np.full((50, 30, 4), 255, np.uint8)
    layer = place(Cutout("a", solid, cut_sides="B"), 64, placement)
    visible = np.flatnonzero(layer[..., 3].max(0) > 250)
    bottom = layer[-2, visible, 3]
    inner = bottom[1:-1] if placement.angle_deg == 0 else bottom
    assert not visible.size or (inner > 200).mean() > 0.5


def test_a_figure_at_rest_keeps_its_area():
    layer = place(Cutout("a", np.full((40, 40, 4), 255, np.uint8)), 80, Placement(0.5, (0.5, 0.5)))
    assert (layer[..., 3] / 255).sum() == pytest.approx(40 * 40, rel=0.03)


def test_flipping_swaps_the_cut_sides():
    solid = np.full((20, 20, 4), 255, np.uint8)
    flipped = place(Cutout("a", solid, "L"), 64, Placement(0.4, (0.5, 0.5), flip=True))
    assert flipped[32, -1, 3] > 250 and flipped[32, 0, 3] == 0


def test_plain_colours_have_the_shares_of_the_paper():
    rng = np.random.default_rng(0)
    drawn = np.array([plain_colour(rng) for _ in range(4000)])
    white = (drawn == 255).all(1).mean()
    black = (drawn == 0).all(1).mean()
    light = (drawn.min(1) >= 150).mean()
    assert white == pytest.approx(0.4, abs=0.03)
    assert black == pytest.approx(0.1, abs=0.02)
    assert light == pytest.approx(0.8, abs=0.03)


def test_a_background_fills_the_canvas():
    rng = np.random.default_rng(0)
    scene = np.asarray(draw_background(0))
    assert scene_background(rng, scene, 48).shape == (48, 48, 3)


def test_samples_repeat_by_seed_and_differ_between_seeds(tmp_path):
    library = read_library(write_library(tmp_path), "train")
    samples = [
        training_sample(np.random.default_rng(s), library, 48, 0.5, library.weights())
        for s in (1, 1, 2)
    ]
    assert np.array_equal(samples[0][0], samples[1][0])
    assert not np.array_equal(samples[0][0], samples[2][0])
    assert samples[0][0].dtype == np.uint8 and samples[0][1].shape == (48, 48, 1)


def test_reading_reduces_large_art_without_bleeding_hidden_colours(tmp_path):
    (tmp_path / "fg" / "train").mkdir(parents=True)
    from PIL import Image

    hidden_green = np.zeros((400, 400, 4), np.uint8)
    hidden_green[..., 1] = 255
    hidden_green[100:300, 100:300] = (255, 0, 0, 255)
    Image.fromarray(hidden_green).save(tmp_path / "fg" / "train" / "a.png")
    cutout = read_library(tmp_path, "train", longest_px=90).cutouts[0]
    assert max(cutout.rgba.shape[:2]) == 90
    assert cutout.rgba[cutout.rgba[..., 3] > 20][:, 1].max() < 8


def test_an_empty_folder_gets_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="must hold RGBA pictures"):
        read_library(tmp_path, "train")
