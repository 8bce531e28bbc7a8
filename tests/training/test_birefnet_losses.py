"""The losses of BiRefNet's training against recorded ones, values and gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from tests.goldens import DATA, local
from tests.models.birefnet_recipe import tiny_network, tiny_picture
from toonout_core.training import losses
from toonout_core.training.birefnet.losses import LossWeights, birefnet_losses

FILE = "birefnet_losses.safetensors"


def training_network():
    """Training outputs with fixed norms and no dropout, as when the results were recorded."""
    network = tiny_network().requires_grad_(True)
    network.training = network.decoder.training = True
    return network


def recorded_losses():
    with safe_open(DATA / FILE, "pt") as file:
        return {name: float(value) for name, value in file.metadata().items()}


def test_values_and_gradients_are_the_recorded_ones():
    network, picture, golden = training_network(), tiny_picture("C").clone(), local(FILE)
    parts = birefnet_losses(
        network(picture.requires_grad_(True)), golden.pop("alpha"), LossWeights()
    )
    values = {name: part.item() for name, part in parts.items()}
    assert values == pytest.approx(recorded_losses(), rel=5e-6)
    torch.stack(list(parts.values())).sum().backward()
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    gradients["input"] = picture.grad[..., ::4, ::4]
    gradients["decoder.ipt_blk5.conv1.weight"] = gradients["decoder.ipt_blk5.conv1.weight"][:, ::64]
    assert len(golden) == 6
    for name, expected in golden.items():
        got = gradients[name.removeprefix("gradient.")]
        worst = ((got - expected).abs().max() / expected.abs().max()).item()
        assert worst < 2e-5, name


def test_a_weight_of_zero_leaves_its_part_out():
    output = training_network()(tiny_picture("C"))
    alpha = torch.rand(2, 1, 128, 128)
    weights = LossWeights(ssim=0, mae=1, iou=0, gradient=0)
    (part,) = birefnet_losses(output, alpha, weights).values()
    twice = birefnet_losses(output, alpha, replace(weights, mae=2.0, bce=1.0))
    assert twice["mae"].item() == pytest.approx(2 * part.item())
    assert set(twice) == {"mae", "bce"}


def test_pictures_count_alike_in_batches_of_any_size():
    output = training_network()(tiny_picture("C"))
    alpha = torch.rand(2, 1, 128, 128)
    pair = birefnet_losses(output, alpha, LossWeights())["iou"].item()
    summed = birefnet_losses(output, alpha, LossWeights(), iou_pictures=6)["iou"].item()
    assert summed == pytest.approx(3 * pair)


def test_likeness_by_its_definition():
    """Every window by itself, in double precision, zeros beside the picture."""
    logits, alpha = torch.randn(1, 1, 7, 6), torch.rand(1, 1, 7, 6)
    line = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / 4.5)
    weight = torch.outer(line, line) / line.sum() ** 2
    planes = torch.cat((logits.sigmoid(), alpha))[:, 0].double()
    p_all, a_all = torch.nn.functional.pad(planes, (5, 5, 5, 5))
    likeness = []
    for y in range(7):
        for x in range(6):
            p, a = p_all[y : y + 11, x : x + 11], a_all[y : y + 11, x : x + 11]
            mean_p, mean_a = (weight * p).sum(), (weight * a).sum()
            spread_p, spread_a = ((weight * v * v).sum() - (weight * v).sum() ** 2 for v in (p, a))
            both = (weight * p * a).sum() - mean_p * mean_a
            value = (2 * mean_p * mean_a + 1e-4) * (2 * both + 9e-4)
            value /= (mean_p**2 + mean_a**2 + 1e-4) * (spread_p + spread_a + 9e-4)
            likeness.append(value.item())
    expected = (1 - sum(likeness) / len(likeness)) / 2
    assert losses.structure(logits, alpha).item() == pytest.approx(expected, rel=1e-5)
