"""Resizing against Pillow; canvases and the way back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.art import draw_background, draw_figure
from tests.ops.drawing import planes
from toonout_core.errors import BadInput
from toonout_core.ops.resizing import fit, resize

sides = st.integers(1, 70)
sizes = st.tuples(sides, sides)


def check_against_pillow(picture, size_hw):
    """Pillow rounds after each of its two passes, so a level apart is as near as it gets."""
    expected = np.asarray(picture.resize(size_hw[::-1], Image.Resampling.BILINEAR)).astype(int)
    ours = resize(planes(np.asarray(picture, np.float32) / 255), size_hw)
    levels = (ours[0].permute(1, 2, 0).numpy() * 255).round().astype(int)
    assert np.abs(levels - expected).max() <= 1


@given(source=sizes, target=sizes, seed=st.integers(0, 99))
def test_noise_is_resized_as_pillow_does(source, target, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (*source, 3), dtype=np.uint8)
    check_against_pillow(Image.fromarray(noise), target)


@pytest.mark.parametrize("size_hw", [(256, 256), (512, 512), (97, 131), (1024, 1024), (300, 700)])
def test_drawings_are_resized_as_pillow_does(size_hw):
    picture = draw_background(3, (700, 500))
    picture.paste(character := draw_figure(2, (300, 450)), (100, 20), character)
    check_against_pillow(picture, size_hw)


@given(source=sizes, target=sizes)
def test_opaque_stays_opaque_and_clear_stays_clear(source, target):
    assert (resize(torch.ones(1, 1, *source), target) == 1).all()
    assert (resize(torch.zeros(1, 1, *source), target) == 0).all()


@given(source=sizes, target=sizes, seed=st.integers(0, 99))
def test_mirrored_pictures_give_mirrored_results(source, target, seed):
    x = torch.rand(1, 2, *source, generator=torch.Generator().manual_seed(seed))
    assert (resize(x.flip(-1), target) - resize(x, target).flip(-1)).abs().max() < 1e-5
    assert (resize(x.flip(-2), target) - resize(x, target).flip(-2)).abs().max() < 1e-5


def test_enlarging_is_aligned_at_half_pixels():
    x = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    expected = torch.tensor([0, 0, 0.25, 0.75, 1, 1])[1:5]
    assert torch.allclose(resize(x, (1, 4)).flatten(), expected, atol=1e-5)


def test_shrinking_is_antialiased():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    inner = resize(stripes, (16, 16))[..., 2:-2]
    assert (inner - 0.5).abs().max() < 0.01


def test_the_same_size_changes_nothing():
    x = torch.rand(1, 3, 9, 8)
    assert torch.equal(resize(x, (9, 8)), x)


def test_no_size_gives_a_sentence():
    with pytest.raises(BadInput, match="at least 1×1"):
        resize(torch.rand(1, 1, 4, 4), (0, 4))


# ---------------------------------------------------------------- canvases


@given(source=sizes, target=sizes, mode=st.sampled_from(["squash", "pad"]))
def test_the_way_back_has_the_source_size(source, target, mode):
    canvas, fitted = fit(torch.rand(1, 3, *source), target, mode)
    assert tuple(canvas.shape[-2:]) == target
    assert tuple(fitted.undo(canvas[:, :1]).shape) == (1, 1, *source)


@given(source=sizes, wider=st.integers(1, 4))
def test_a_letterbox_of_the_same_scale_is_undone_bit_for_bit(source, wider):
    x = torch.rand(1, 1, *source)
    canvas, fitted = fit(x, (source[0], source[1] * wider), "pad")
    assert torch.equal(fitted.undo(canvas), x)


def test_a_letterbox_keeps_the_aspect_ratio_and_centres():
    canvas, fitted = fit(torch.ones(1, 1, 20, 40), (64, 64), "pad")
    assert fitted.content_hw == (32, 64) and fitted.offset_yx == (16, 0)
    x = torch.zeros(1, 1, 20, 40)
    x[:, :, 0] = 1
    assert (fit(x, (64, 64), "pad")[0][:, :, :16] == 1).all(), "edge pixels go on outside"
    assert (canvas == 1).all()


def test_a_result_of_another_size_gives_a_sentence():
    _, fitted = fit(torch.rand(1, 3, 8, 8), (16, 16))
    with pytest.raises(BadInput, match="canvas"):
        fitted.undo(torch.rand(1, 1, 8, 8))
    with pytest.raises(BadInput, match="squash"):
        fit(torch.rand(1, 3, 8, 8), (16, 16), "crop")
