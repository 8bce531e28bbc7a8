"""One matte shared out among characters: laws, cases that a reader understands, and a measure."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.art import write_library
from tests.fake_host import FakeHost, StopFromHost
from toonout_core import Instances, ShareOptions, share_matte
from toonout_core.errors import BadInput
from toonout_core.ops.morphology import signed_distance
from toonout_core.synthesis.cutouts import read_library
from toonout_core.synthesis.instance_scenes import coarse_masks, instance_scene

SIZE = (48, 64)


def box_mask(left, top, right, bottom, size=SIZE):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def nearest(alpha, masks):
    """The matte cut between masks by the straight line."""
    distances = torch.stack([signed_distance(mask[None, None])[0, 0] for mask in masks])
    best = distances.argmax(0)
    return torch.stack([alpha[0, 0] * (best == index) for index in range(len(masks))])


# ---------------------------------------------------------------- laws


@hypothesis_settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0, 6.0]),
)
def test_mattes_sum_up_to_the_whole_also_in_8_bit(seed, count, coloured, softness):
    rng = torch.Generator().manual_seed(seed)
    alpha = (torch.rand(1, 1, *SIZE, generator=rng) * 1.6 - 0.3).clamp(0, 1)
    masks = torch.rand(count, *SIZE, generator=rng) > torch.rand(count, 1, 1, generator=rng)
    masks[0, 5, 5] = True
    image = torch.rand(1, 3, *SIZE, generator=rng) if coloured else None
    shared = share_matte(
        alpha, Instances.from_masks(masks), image, ShareOptions(softness_px=softness)
    )
    assert shared.masks.dtype == torch.float32
    assert shared.masks.aminmax() == (shared.masks.clamp(0, 1).aminmax())
    assert torch.allclose(shared.masks.sum(0), alpha[0, 0], atol=1e-6)
    assert int((shared.masks > 0).sum(0).max()) <= 2
    levels = (shared.masks * 255).round().sum(0)
    assert float((levels - (alpha[0, 0] * 255).round()).abs().max()) <= 1
    assert not shared.masks[:, alpha[0, 0] == 0].any()


@given(st.integers(0, 10**6))
def test_alone_means_all(seed):
    rng = torch.Generator().manual_seed(seed)
    alpha = torch.rand(1, 1, *SIZE, generator=rng)
    shared = share_matte(alpha, Instances.from_masks(box_mask(3, 3, 9, 9)[None]))
    assert torch.equal(shared.masks, alpha[0])


def test_what_belongs_to_masks_stays_with_them():
    masks = torch.stack((box_mask(2, 2, 20, 40), box_mask(40, 2, 60, 40)))
    given_instances = Instances.from_masks(masks, torch.tensor([0.4, 0.9]), ("a", "b"), "detector")
    shared = share_matte(masks.any(0)[None, None].float(), given_instances)
    assert torch.equal(shared.masks, masks.float())
    assert torch.equal(shared.scores, given_instances.scores)
    assert (shared.tags, shared.origin) == (("a", "b"), "detector")
    assert torch.equal(shared.boxes_xyxy, given_instances.boxes_xyxy)


def test_nobody_and_empty_masks():
    alpha = torch.ones(1, 1, *SIZE)
    assert len(share_matte(alpha, Instances.none(SIZE))) == 0
    empty = torch.zeros(2, *SIZE, dtype=torch.bool)
    assert not share_matte(alpha, Instances.from_masks(empty)).masks.any()
    empty[1, 10:20, 10:20] = True
    shared = share_matte(alpha, Instances.from_masks(empty))
    assert not shared.masks[0].any()
    assert torch.equal(shared.masks[1], alpha[0, 0])


def test_parts_of_other_sizes_are_refused():
    instances = Instances.from_masks(box_mask(2, 2, 9, 9)[None])
    with pytest.raises(BadInput, match="alpha must be 1×1×48×64"):
        share_matte(torch.ones(1, 1, 20, 20), instances)
    with pytest.raises(BadInput, match="image must be 1×3×48×64"):
        share_matte(torch.ones(1, 1, *SIZE), instances, torch.ones(1, 3, 20, 20))


# ---------------------------------------------------------------- cases


def test_hair_follows_its_head_and_not_the_nearer_mask():
    """A strand grows from the left head, bends down, and passes close to the right one."""
    alpha = torch.zeros(1, 1, *SIZE)
    alpha[..., 10:40, 4:16] = 1
    alpha[..., 10:40, 44:60] = 1
    strand = torch.zeros(SIZE, dtype=torch.bool)
    strand[12:14, 16:40] = True
    strand[12:30, 38:40] = True
    alpha[0, 0, strand] = 0.6
    masks = torch.stack((box_mask(4, 10, 16, 40), box_mask(44, 10, 60, 40)))
    shared = share_matte(alpha, Instances.from_masks(masks))
    assert torch.allclose(shared.masks[0][strand], torch.tensor(0.6), atol=0.01)
    assert float(nearest(alpha, masks)[1][strand].sum()) > 10  # what is got wrong without a way


def test_colours_decide_where_masks_are_wrong():
    image = torch.zeros(1, 3, *SIZE)
    image[:, 0, :, :32] = 1
    image[:, 2, :, 32:] = 1
    truth = torch.zeros(2, *SIZE)
    truth[0, :, :32] = 1
    truth[1, :, 32:] = 1
    wrong = torch.stack((box_mask(0, 0, 36, 48), box_mask(36, 0, 64, 48)))
    options = ShareOptions(uncertain_px=6)
    alpha = torch.ones(1, 1, *SIZE)
    shared = share_matte(alpha, Instances.from_masks(wrong), image, options)
    assert torch.equal(shared.masks > 0.5, truth > 0.5)
    without = share_matte(alpha, Instances.from_masks(wrong), None, options)
    error = float((without.masks - truth).abs().sum())
    assert error > 100
    assert float((shared.masks - truth).abs().sum()) < 0.2 * error


def test_a_pixel_of_both_is_shared_by_its_colour():
    image = torch.zeros(1, 3, *SIZE)
    image[:, 0, :, :32] = 1
    image[:, 2, :, 33:] = 1
    image[:, 0, :, 32] = 0.25
    image[:, 2, :, 32] = 0.75
    masks = torch.stack((box_mask(0, 0, 32, 48), box_mask(32, 0, 64, 48)))
    shared = share_matte(torch.ones(1, 1, *SIZE), Instances.from_masks(masks), image)
    assert torch.allclose(shared.masks[0, :, 32], torch.tensor(0.25), atol=0.02)
    assert torch.allclose(shared.masks[1, :, 32], torch.tensor(0.75), atol=0.02)


def test_far_matte_goes_to_the_nearest_or_is_left_out():
    alpha = torch.zeros(1, 1, 60, 300)
    alpha[..., 20:40, 4:20] = 1
    alpha[..., 20:40, 60:80] = 1
    alpha[..., 28:32, 290:296] = 1
    masks = torch.stack((box_mask(4, 20, 20, 40, (60, 300)), box_mask(60, 20, 80, 40, (60, 300))))
    instances = Instances.from_masks(masks)
    everything = share_matte(alpha, instances).masks
    assert torch.equal(everything[1, :, 200:], alpha[0, 0, :, 200:])
    near = share_matte(alpha, instances, None, ShareOptions(reach_px=30)).masks
    assert not near[:, :, 200:].any()
    assert torch.equal(near[:, :, :200], everything[:, :, :200])


def test_masks_may_be_trusted():
    alpha = torch.zeros(1, 1, *SIZE)
    masks = box_mask(10, 10, 40, 40)[None]
    instances = Instances.from_masks(masks)
    assert not share_matte(alpha, instances).masks.any()
    trusted = share_matte(alpha, instances, None, ShareOptions(trust_masks=True, uncertain_px=3))
    assert torch.equal(trusted.masks[0] == 1, box_mask(12, 12, 38, 38))
    assert not alpha.any()


def test_nothing_given_is_changed():
    alpha, image = torch.rand(1, 1, *SIZE), torch.rand(1, 3, *SIZE)
    masks = torch.rand(3, *SIZE) > 0.4
    copies = alpha.clone(), image.clone(), masks.clone()
    options = ShareOptions(trust_masks=True, reach_px=math.inf)
    share_matte(alpha, Instances.from_masks(masks), image, options)
    assert all(map(torch.equal, (alpha, image, masks), copies))


def test_every_character_is_a_step_and_the_host_may_stop():
    masks = torch.rand(4, *SIZE) > 0.5
    host = FakeHost()
    share_matte(torch.ones(1, 1, *SIZE), Instances.from_masks(masks), host=host)
    assert (host.totals, host.steps) == ([4], [1, 1, 1, 1])
    with pytest.raises(StopFromHost):
        share_matte(
            torch.ones(1, 1, *SIZE), Instances.from_masks(masks), host=FakeHost(cancel_at=2)
        )


# ---------------------------------------------------------------- measured


def test_closer_to_the_truth_than_masks_and_than_the_nearest_mask(tmp_path):
    """Sum of absolute differences over scenes of drawn characters and damaged masks."""
    library = read_library(write_library(tmp_path), "val")
    sums = torch.zeros(3)
    for seed in range(4):
        scene = instance_scene(library, seed, 256, 2 + seed % 3)
        masks = coarse_masks(scene.alphas, seed)
        shared = share_matte(scene.alpha, Instances.from_masks(masks), scene.image).masks
        for place, guess in enumerate((masks.float(), nearest(scene.alpha, masks), shared)):
            sums[place] += (guess - scene.alphas).abs().sum()
    hard, voronoi, ours = sums.tolist()
    assert ours < 0.7 * hard
    assert ours < voronoi
