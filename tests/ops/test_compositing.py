"""Laying cutouts over things, and colours by name."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops.compositing import (
    checkerboard,
    over,
    over_translucent,
    parse_colour,
)

seeds = st.integers(0, 999)


def pictures(seed, count=2):
    generator = torch.Generator().manual_seed(seed)
    # torch.rand gives multiples of 2^-24, whose differences are exact: powers are not
    return [torch.rand(2, 3, 5, 7, generator=generator) ** 2.2 for _ in range(count)]


def alphas(seed):
    return (torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(seed)) * 3 - 1).clamp(
        0, 1
    )


@given(seeds)
def test_both_ends_of_alpha_are_exact(seed):
    foreground, background = pictures(seed)
    alpha = alphas(seed)
    result = over(foreground, alpha, background)
    opaque, clear = (alpha == 1).expand_as(result), (alpha == 0).expand_as(result)
    assert torch.equal(result[opaque], foreground[opaque])
    assert torch.equal(result[clear], background[clear])


@given(seeds)
def test_a_composite_lies_between_its_layers(seed):
    foreground, background = pictures(seed)
    result = over(foreground, alphas(seed), background)
    assert (result >= torch.minimum(foreground, background) - 1e-6).all()
    assert (result <= torch.maximum(foreground, background) + 1e-6).all()


def test_the_formula_at_one_pixel():
    quarter = torch.full((1, 1, 1, 1), 0.25)
    result = over(parse_colour("#ff0000"), quarter, parse_colour("#0000ff"))
    assert result.flatten().tolist() == [0.25, 0, 0.75]


def test_colours_and_single_pictures_serve_a_batch():
    foreground, background = pictures(1)
    alpha = alphas(1)
    green = parse_colour("green")
    assert torch.equal(
        over(foreground, alpha, green), over(foreground, alpha, green.expand_as(foreground))
    )
    single = over(foreground, alpha, background[:1])
    assert torch.equal(single, over(foreground, alpha, background[:1].expand_as(foreground)))


@pytest.mark.parametrize(
    ("background", "alpha"),
    [((2, 3, 5, 6), (2, 1, 5, 7)), ((3, 3, 5, 7), (2, 1, 5, 7)), ((2, 3, 5, 7), (2, 1, 1, 7))],
)
def test_layers_that_do_not_fit_give_a_sentence(background, alpha):
    with pytest.raises(BadInput, match="must fit"):
        over(torch.rand(2, 3, 5, 7), torch.rand(alpha), torch.rand(background))


def test_a_checkerboard_alternates():
    board = checkerboard((5, 7), 2, light=1.0, dark=0.0)
    assert board.shape == (1, 3, 5, 7)
    assert board[0, 0, 0].tolist() == [1, 1, 0, 0, 1, 1, 0]
    assert board[0, 2, :, 0].tolist() == [1, 1, 0, 0, 1]
    with pytest.raises(BadInput):
        checkerboard((5, 7), 0)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("#ff00FF", (255, 0, 255)),
        ("#f0f", (255, 0, 255)),
        ("102030", (16, 32, 48)),
        (" Green ", (0, 255, 0)),
        ("grey", (128, 128, 128)),
        ("white", (255, 255, 255)),
        ("orange", (255, 165, 0)),
        ("facade", (0xFA, 0xCA, 0xDE)),
    ],
)
def test_colours_are_read(text, levels):
    colour = parse_colour(text)
    assert colour.shape == (1, 3, 1, 1)
    assert (colour * 255).round().flatten().tolist() == list(levels)


@pytest.mark.parametrize(
    "text",
    ["", "#", "#12", "#1234567", "mauve-ish", "transparent", "##fff", "#ff00ff80", "x" * 200],
)
def test_other_words_give_a_sentence(text):
    with pytest.raises(BadInput, match="a colour must be"):
        parse_colour(text)


def test_over_a_translucent_colour():
    """Laid on anything else afterwards, it is the same as laying both on one after the other."""
    foreground, alpha = torch.rand(1, 3, 6, 7), torch.rand(1, 1, 6, 7)
    colour, below = torch.rand(1, 3, 1, 1), torch.rand(1, 3, 6, 7)
    for opacity in (0.0, 0.3, 1.0):
        image, total = over_translucent(
            foreground, alpha, colour, torch.full((1, 1, 1, 1), opacity)
        )
        ground = opacity * colour + (1 - opacity) * below
        assert torch.allclose(over(image, total, below), over(foreground, alpha, ground), atol=1e-5)
    image, total = over_translucent(foreground, alpha * 0, colour, torch.zeros(1, 1, 1, 1))
    assert not total.any()
    assert torch.equal(image, foreground)
