"""Training the head for detail: what it is shown, what it learns, what stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.art import write_library
from tests.models.test_lite_unet import small
from tests.training.runs import Stopped, StoppingHost, assert_same_runs, curve
from toonout_core.errors import BadInput
from toonout_core.models.lite_unet import ARCHITECTURE
from toonout_core.training.checkpoints import save_weights
from toonout_core.training.config import DetailConfig
from toonout_core.training.detail.coarse import edge_parts, look_from_afar, varied
from toonout_core.training.detail.loop import train_detail
from toonout_core.training.losses import slope
from toonout_core.weight_files.reading import read_state


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("art"))


@pytest.fixture(scope="module")
def matting(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alone.safetensors"
    save_weights(small(), path, ARCHITECTURE.id, torch.float16)
    return path


def config(art, matting, out, **overrides):
    base = DetailConfig(
        data=str(art), out=str(out), init=str(matting), sizes_px=(128,), crop_px=64, batch=2,
        crops=2, workers=0, steps=6, validate_every=6, checkpoint_every=3, precision="fp32",
        device="cpu", lr=1e-2, warmup_steps=2,
    )  # fmt: skip
    return replace(base, **overrides)


# ---------------------------------------------------------------- what it is shown


def square(side=96):
    alpha = torch.zeros(1, 1, side, side)
    alpha[..., 30:70, 22:60] = 1
    return alpha


def test_parts_hold_an_edge_and_belong_together():
    alpha = square()
    coarse = torch.nn.functional.avg_pool2d(alpha, 9, 1, 4)
    planes = torch.cat((alpha, coarse), 1)
    parts = edge_parts(np.random.default_rng(0), planes, alpha, coarse, 32, 12)
    assert parts.shape == (12, 2, 32, 32)
    wide = torch.nn.functional.avg_pool2d(parts[:, :1], 9, 1, 4)[..., 4:-4, 4:-4]
    torch.testing.assert_close(wide, parts[:, 1:, 4:-4, 4:-4])
    assert all(0 < float(part[1].mean()) < 1 for part in parts)


def test_without_any_edge_parts_lie_anywhere():
    nothing = torch.zeros(1, 1, 96, 96)
    parts = edge_parts(np.random.default_rng(1), nothing, nothing, nothing, 32, 3)
    assert parts.shape == (3, 1, 32, 32)


def test_a_look_from_afar_is_of_the_smaller_picture():
    seen = []

    def network(image):
        seen.append(tuple(image.shape))
        return torch.full_like(image[:, :1], 2.0)

    alpha = look_from_afar(network, torch.rand(2, 3, 128, 128), 2.0)
    assert seen == [(2, 3, 64, 64)] and alpha.shape == (2, 1, 128, 128)
    assert float(alpha.std()) < 1e-6 < float(alpha.mean())


def test_varied_mattes_stay_mattes_and_differ():
    alpha = square()
    coarse = torch.nn.functional.avg_pool2d(alpha, 15, 1, 7)
    others = [varied(np.random.default_rng(seed), coarse, alpha) for seed in range(24)]
    assert all(float(other.min()) >= -1e-6 and float(other.max()) <= 1 + 1e-6 for other in others)
    changed = [float((other - coarse).abs().mean()) for other in others]
    assert min(changed) == 0 < max(changed)
    errors = [float((other - alpha).abs().mean()) for other in others]
    before = float((coarse - alpha).abs().mean())
    assert min(errors) < before < max(errors)  # better ones and worse ones


def test_slopes_cost_nothing_where_they_are_right():
    logits = torch.linspace(-4, 4, 9).expand(1, 1, 9, 9)
    alpha = logits.sigmoid()
    assert float(slope(logits, alpha)) < 1e-6
    # the step of a picture of two columns: a difference of 1 that is found as 0.5
    step = torch.tensor([[[[0.0, 1.0]] * 2]])
    assert float(slope(torch.tensor([[[[-1.0986, 1.0986]] * 2]]), step)) == pytest.approx(
        0.5, abs=1e-3
    )


# ---------------------------------------------------------------- what it learns


def test_it_learns_edges_and_leaves_alpha_as_it_was(art, matting, tmp_path):
    best = train_detail(config(art, matting, tmp_path / "run", steps=40, validate_every=20))
    errors = [float(value) for value in curve(best.parent, "error")]
    assert errors[-1] < 0.97  # a new head gives the coarse matte back: 1
    before, after = (ARCHITECTURE.load(read_state(path)[0]) for path in (matting, best))
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(before.float()(image), after.float()(image))


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(art, matting, tmp_path):
    train_detail(config(art, matting, tmp_path / "whole"))
    with pytest.raises(Stopped):
        train_detail(config(art, matting, tmp_path / "parts"), StoppingHost(4))
    train_detail(config(art, matting, tmp_path / "parts"))
    assert_same_runs(tmp_path / "whole", tmp_path / "parts", ("edge_l1", "slope", "bce", "error"))


@pytest.mark.parametrize("wrong", [{"crop_px": 160}, {"crop_px": 50}, {"sizes_px": (100,)},
                                   {"crops": 0}])  # fmt: skip
def test_what_cannot_work_is_said(art, matting, tmp_path, wrong):
    with pytest.raises(BadInput, match="must"):
        train_detail(config(art, matting, tmp_path / "run", **wrong))
    assert not (tmp_path / "run").exists()
