"""The losses of the refiner: as recorded, by their definition, and learnt from."""

from __future__ import annotations

import math

import pytest
import torch

from tests.goldens import shared
from toonout_core.models.isnet import ISNet
from toonout_core.training.refiner.losses import feature_loss, pixel_position_aware, side_loss


def test_the_recorded_losses():
    golden = shared("isnet_refine_reduced.safetensors")
    mask = golden["target"]
    sides, truths, features, true_features = (
        [golden[f"{name}{level}"] for level in range(1, 7)] for name in ("d", "gt_d", "h", "gt_h")
    )
    first = pixel_position_aware(sides[0], mask)
    assert first.item() == pytest.approx(golden["structure_loss_d1"].item(), rel=1e-6)
    maps = side_loss(sides, mask)
    assert maps.item() == pytest.approx(golden["loss_nogt"].item(), rel=1e-6)
    both = maps + feature_loss(features, true_features)
    assert both.item() == pytest.approx(golden["loss_is"].item(), rel=1e-6)
    encoder = side_loss(truths, mask, finest_weight=1)
    assert encoder.item() == pytest.approx(golden["loss_gtenc"].item(), rel=1e-6)


def test_one_map_by_the_definition():
    """Pixel by pixel: numbers alone, no tensors."""
    height, width = 9, 11
    random = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 1, height, width, generator=random)
    mask = (torch.rand(1, 1, height, width, generator=random) > 0.5).float()
    x, m = logits[0, 0].tolist(), mask[0, 0].tolist()
    weights = entropy = both = either = 0.0
    for i in range(height):
        for j in range(width):
            window = sum(
                m[k][n]
                for k in range(max(i - 7, 0), min(i + 8, height))
                for n in range(max(j - 7, 0), min(j + 8, width))
            )
            w, p = 1 + 5 * abs(window / 225 - m[i][j]), 1 / (1 + math.exp(-x[i][j]))
            weights += w
            entropy -= w * math.log(p if m[i][j] else 1 - p)
            both += w * p * m[i][j]
            either += w * (p + m[i][j] - p * m[i][j])
    expected = entropy / weights + 1 - (both + 1) / (either + 1)
    assert pixel_position_aware(logits, mask).item() == pytest.approx(expected, rel=1e-5)


def test_a_perfect_map_costs_nothing_and_an_edge_more_than_a_hole_far_from_it():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    sure = torch.where(mask > 0, 30.0, -30.0)
    assert pixel_position_aware(sure, mask).item() == pytest.approx(0, abs=1e-5)
    at_edge, far = sure.clone(), sure.clone()
    at_edge[..., 20:24, 33] = 30
    far[..., 20:24, 50] = 30
    assert pixel_position_aware(at_edge, mask) > 2 * pixel_position_aware(far, mask)


def test_no_gradient_reaches_what_the_true_mask_is_encoded_as():
    ours, theirs = (torch.rand(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    feature_loss([ours], [theirs]).backward()
    assert torch.allclose(ours.grad, 2 * (ours - theirs).detach() / 18)
    assert theirs.grad is None


def test_a_narrow_refiner_learns_a_square():
    torch.manual_seed(0)
    network = ISNet(channels_in=4, width=8)
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 10:40, 12:50] = 1
    mask[1, :, 20:60, 5:30] = 1
    picture = torch.cat(
        (mask.expand(-1, 3, -1, -1) * 0.6 + torch.rand(2, 3, 64, 64) * 0.3, mask), 1
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss = side_loss(network.side_logits(picture), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * losses[0]
    iou = ((network(picture) > 0) & (mask > 0)).sum() / ((network(picture) > 0) | (mask > 0)).sum()
    assert iou > 0.95
