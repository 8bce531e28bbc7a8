"""Window attention: recorded stages, what is computed once, what is not computed at all."""

from __future__ import annotations

import copy

import pytest
import torch

from toonout_core.models.birefnet.attention import WindowAttention
from toonout_core.models.birefnet.swin import DropPath, PatchEmbed, SwinStage
from toonout_core.models.birefnet.windows import plan_windows, shift_masks
from toonout_core.ops.linear import linear

from .birefnet_recipe import filled, recorded, tiny_network, uniform

SIZES = {"w7": (7, 2, 17, 22), "w12": (12, 1, 20, 27)}


def stage(window):
    return filled(SwinStage(24, 3, window, 4.0, [0.0, 0.0], last=False), 77)


@pytest.mark.parametrize("tag", SIZES)
@pytest.mark.parametrize(("suffix", "span"), [("", 2.0), ("_small", 0.002)])
def test_stage(tag, suffix, span):
    window, batch, height, width = SIZES[tag]
    x = uniform(5, (batch, height * width, 24), -span, span).view(batch, height, width, 24)
    network = stage(window)
    out = network(x)
    expected = recorded()[f"swin.{tag}.out{suffix}"]
    torch.testing.assert_close(out.flatten(1, 2), expected, rtol=0, atol=1e-5)
    expected = recorded()[f"swin.{tag}.down{suffix}"]
    torch.testing.assert_close(network.downsample(out).flatten(1, 2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tag", SIZES)
def test_shift_masks(tag):
    window, _, height, width = SIZES[tag]
    down, across = -(-height // window), -(-width // window)
    kinds = [
        2 * (row == down - 1) + (col == across - 1) for row in range(down) for col in range(across)
    ]
    masks = shift_masks(window, window // 2)
    assert set(masks.unique().tolist()) == {0.0, -100.0}
    assert torch.equal(masks[kinds] < 0, recorded()[f"swin.{tag}.separated"])


def test_patch_embed():
    out = filled(PatchEmbed(24), 78)(uniform(6, (1, 3, 19, 25)))
    expected = recorded()["patch_embed.out"].permute(0, 2, 3, 1)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("chunk_tokens", [1, 100, 10**6])
def test_a_plan_covers_every_token_once(shift, chunk_tokens):
    plan = plan_windows(2, 17, 22, 7, shift, chunk_tokens, torch.device("cpu"))
    rows = torch.cat([chunk.rows for chunk in plan])
    assert torch.equal(rows.sort().values, torch.arange(2 * 17 * 22))
    for chunk in plan:
        assert sum(count for _, count in chunk.kinds) == chunk.windows
        places = chunk.windows * 49
        assert len(chunk.rows) == places if chunk.slots is None else len(chunk.slots) < places


def test_chunks_do_not_change_the_result(monkeypatch):
    x = uniform(8, (1, 33, 30, 24))
    with torch.no_grad():
        whole = stage(7)(x)
        monkeypatch.setattr("toonout_core.models.birefnet.swin._CHUNK_BYTES", {"cpu": 1})
        torch.testing.assert_close(stage(7)(x), whole, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- what is not computed


@pytest.mark.parametrize("grad", [False, True])
def test_padding_goes_through_no_linear_layer(grad, monkeypatch):
    rows = []

    def counting(x, weight, bias=None, activation="none"):
        rows.append(len(x))
        return linear(x, weight, bias, activation)

    for module in ("swin", "attention"):
        monkeypatch.setattr(f"toonout_core.models.birefnet.{module}.linear", counting)
    with torch.set_grad_enabled(grad):
        stage(7)(uniform(5, (2, 17, 22, 24)))
    assert sum(rows) == 2 * 4 * (2 * 17 * 22)  # blocks, layers, tokens


def test_windows_are_worked_out_once(monkeypatch):
    made = []

    def count_plan(*args):
        made.append(args)
        return plan_windows(*args)

    monkeypatch.setattr("toonout_core.models.birefnet.swin.plan_windows", count_plan)
    network = stage(7)
    for _ in range(3):
        network(uniform(5, (1, 17, 22, 24)))
        network(uniform(5, (1, 9, 8, 24)))
    assert len(made) == 4  # per size and shift


def test_not_more_than_a_few_plans_are_kept():
    network = stage(7)
    for size in range(8, 30):
        network(torch.zeros(1, size, size, 24))
    assert len(network._plans) <= 8


def test_nothing_is_kept_that_the_state_lacks():
    """A Swin-L that kept its biases, with the masks added, held 100 MB more."""
    network = stage(7)
    names = {name: set(vars(module)) for name, module in network.named_modules()}
    with torch.inference_mode():
        network(uniform(5, (1, 17, 22, 24)))
    assert {name: set(vars(module)) for name, module in network.named_modules()} == names
    kept = [chunk for plan in network._plans.values() for chunk in plan]
    masks = {id(mask) for chunk in kept for mask, _ in chunk.kinds if mask is not None}
    assert 0 < len(masks) <= 3 * len(network._plans)


def test_new_weights_make_a_new_bias():
    network = filled(WindowAttention(24, 3, 7), 1)
    before = network.bias()
    network.relative_position_bias_table.data.add_(1.0)
    torch.testing.assert_close(network.bias(), before + 1)


def test_inference_mode_leaves_nothing_that_training_chokes_on():
    network = tiny_network()
    picture = uniform(3, (1, 3, 64, 64))
    with torch.inference_mode():
        expected = network(picture)
    picture = picture.requires_grad_(True)
    logits = network(picture)  # weights frozen: caches are used
    logits.sum().backward()
    assert picture.grad.abs().sum() > 0
    torch.testing.assert_close(logits.detach(), expected.clone(), rtol=0, atol=1e-5)


def test_a_network_loaded_in_inference_mode_runs_in_any_mode():
    with torch.inference_mode():
        network = tiny_network()
        expected = network(uniform(3, (1, 3, 64, 64))).clone()
    with torch.no_grad():
        logits = network(uniform(3, (1, 3, 64, 64)))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_a_copy_and_a_meta_build_work_after_a_run():
    network = tiny_network()
    picture = uniform(3, (1, 3, 64, 64))
    expected = network(picture)
    torch.testing.assert_close(copy.deepcopy(network)(picture), expected)
    torch.testing.assert_close(network.double().float()(picture), expected)


def test_training_trains_the_bias_table():
    network = filled(WindowAttention(24, 3, 7), 1).requires_grad_(True)
    network.bias().sum().backward()
    # each of the 49² pairs of places reads one row
    assert network.relative_position_bias_table.grad.sum() == 3 * 49**2


def test_drop_path_drops_whole_pictures_and_keeps_the_mean():
    drop = DropPath(0.25).train()
    factors = drop(20000, torch.zeros(1))
    assert factors.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert factors.mean().item() == pytest.approx(1, abs=0.02)
    assert drop.train(False)(4, torch.zeros(1)) is None
