"""Made-up things: layers that composite, in one piece, with gaps that show what is behind."""

import cv2
import numpy as np
import pytest

from toonout_core.synthesis.cutouts import Library
from toonout_core.synthesis.hard_samples import made_up
from toonout_core.synthesis.things import thing, wheel

NO_ART = Library([], [])
SCENES = Library([], [np.full((50, 60, 3), 90, np.uint8)])


def made(seed, library=NO_ART, size_px=128):
    return thing(np.random.default_rng(seed), library, size_px)


def pieces(mask):
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


@pytest.mark.parametrize("library", [NO_ART, SCENES], ids=["no art", "scenes"])
def test_colours_are_premultiplied(library):
    for seed in range(30):
        layer = made(seed, library)
        assert layer.shape == (128, 128, 4) and layer.dtype == np.float32
        assert layer.min() >= 0 and layer[..., 3].max() <= 255.01
        assert (layer[..., :3] <= layer[..., 3:] + 0.01).all()


def test_a_seed_makes_the_same_thing():
    assert np.array_equal(made(4), made(4))
    assert not np.array_equal(made(4), made(5))


def test_parts_hang_together():
    whole = 0
    for seed in range(60):
        whole += pieces(made(seed)[..., 3] > 30) == 1
    assert whole > 50  # a gap of a later part may cut an earlier one


def test_a_wheel_has_gaps_between_its_spokes():
    shown = 0
    for seed in range(20):
        sheet = np.zeros((128, 128), np.uint8)
        wheel(np.random.default_rng(seed), sheet, (64.0, 64.0), 50.0, 3.0)
        shown += pieces(sheet < 100) > 3
    assert shown > 5


def test_all_of_a_made_up_thing_is_wanted():
    for seed in range(10):
        rgb, alpha = made_up(np.random.default_rng(seed), NO_ART, 96, np.empty(0))
        assert rgb.shape == (96, 96, 3) and alpha.shape == (96, 96, 1)
        assert 0 < alpha.mean() < 0.9
