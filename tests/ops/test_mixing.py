"""The network that weighs colours: its formula, what it is fed, and the file it comes from."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.ops import mixing
from toonout_core.ops.mixing import COLOURS, FEATURES, LARGEST_CHANGE, Known, look, mix, weigh


def known(count=64, seed=0, **fixed):
    """Random pixels; `fixed` values instead."""
    chance = torch.Generator().manual_seed(seed)
    rows = dict.fromkeys(Known._fields, 1) | dict.fromkeys(
        ("shown", "smooth", "background", "body"), 3
    )
    values = {name: torch.rand(row, count, generator=chance) for name, row in rows.items()}
    return Known(**(values | fixed))


def told(choice, change=0.0, count=64):
    """What a network says that is sure of one colour."""
    rows = torch.zeros(COLOURS + 1, count)
    rows[choice] = 50
    rows[COLOURS] = math.atanh(change / LARGEST_CHANGE)
    return rows


@pytest.mark.parametrize("choice", range(COLOURS - 1))
def test_a_sure_network_gives_the_colour_of_its_choice(choice):
    pixels = known()
    _, colours = look(pixels)
    torch.testing.assert_close(weigh(pixels, colours, told(choice)), colours[choice])


def test_a_better_alpha_gives_the_true_colour():
    """α is said to be 0.4, and is 0.6."""
    true, behind = torch.rand(3, 64), torch.rand(3, 64)
    shown = 0.6 * true + 0.4 * behind
    pixels = known(shown=shown, background=behind, alpha=torch.full((1, 64), 0.4))
    found = weigh(pixels, look(pixels)[1], told(COLOURS - 1, 0.2))
    torch.testing.assert_close(found, true, rtol=0, atol=1e-5)


def test_the_guard_is_the_formula_of_the_docstring():
    pixels = known()
    alpha, squared = pixels.alpha, pixels.alpha**2
    raw = pixels.background + (pixels.shown - pixels.background) / alpha.clamp(min=0.1)
    over = (raw - raw.clamp(0, 1)).abs().amax(0, keepdim=True)
    apart = (pixels.smooth - pixels.background).square().mean(0, keepdim=True)
    doubt = 0.12**2 + pixels.variance / (apart + 0.03) + 3 * squared * over**2
    wanted = pixels.smooth + squared / (squared + doubt) * (raw.clamp(0, 1) - pixels.smooth)
    torch.testing.assert_close(look(pixels)[1][3], wanted)


@given(seed=st.integers(0, 999), alpha=st.floats(0, 1), same=st.booleans())
def test_colours_stay_colours(seed, alpha, same):
    pixels = known(8, seed, alpha=torch.full((1, 8), alpha))
    if same:
        pixels = pixels._replace(background=pixels.shown, body=pixels.shown, smooth=pixels.shown)
    features, _ = look(pixels)
    found = mix(pixels)
    assert features.shape == (FEATURES, 8) and features.isfinite().all()
    assert found.min() >= 0 and found.max() <= 1 + 1e-6
    if same:
        torch.testing.assert_close(found, pixels.shown)


def test_the_file_is_the_network():
    layers = mixing._network(torch.device("cpu"))
    assert [layer.shape[1] for layer in layers[::2]] == [FEATURES, *(len(b) for b in layers[1:4:2])]
    assert len(layers[-1]) == COLOURS + 1
    assert mixing._FILE.stat().st_size < 8000
