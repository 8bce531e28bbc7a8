"""Scenes of several figures: what is known about them is true."""

from __future__ import annotations

import pytest
import torch

from tests.art import write_library
from toonout_core.synthesis.cutouts import read_library
from toonout_core.synthesis.instance_scenes import coarse_masks, instance_scene


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return read_library(write_library(tmp_path_factory.mktemp("art")), "train")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_scene(library, count):
    scene = instance_scene(library, 4, 160, count)
    assert scene.image.shape == (1, 3, 160, 160)
    assert scene.alphas.shape == (count, 160, 160)
    assert len(scene.names) == count
    assert torch.allclose(scene.image * 255, (scene.image * 255).round(), atol=1e-4)
    assert float(scene.alphas.min()) >= 0
    assert float(scene.alphas.sum(0).max()) <= 1 + 1e-5
    assert torch.allclose(scene.alpha[0, 0], scene.alphas.sum(0), atol=1e-5)
    assert bool((scene.alphas.sum((1, 2)) > 100).all())


def test_the_same_for_the_same_seed(library):
    first, again, other = (instance_scene(library, seed, 96, 3) for seed in (1, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.alphas, again.alphas)
    assert not torch.equal(first.image, other.image)


def test_neighbours_touch(library):
    touching = 0
    for seed in range(6):
        near = [
            torch.nn.functional.max_pool2d(alpha[None], 5, 1, 2)[0] > 0.5
            for alpha in instance_scene(library, seed, 128, 2).alphas
        ]
        touching += bool((near[0] & near[1]).any())
    assert touching >= 4


def test_coarse_masks_are_wrong_at_edges_only(library):
    scene = instance_scene(library, 4, 192, 3)
    masks = coarse_masks(scene.alphas, 7)
    assert masks.dtype == torch.bool
    assert torch.equal(masks, coarse_masks(scene.alphas, 7))
    truth = scene.alphas > 0.5
    for mask, true in zip(masks, truth, strict=True):
        overlap = float((mask & true).sum() / (mask | true).sum())
        assert 0.6 < overlap < 0.995
