"""Training the head for characters: what it is shown, what it learns, what stays as it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.test_lite_unet import STAGES, WIDTHS, small
from tests.training.runs import Stopped, StoppingHost, assert_same_runs, curve
from tests.training.scene_sets import write_scene_set
from toonout_core import load_segmenter
from toonout_core.errors import BadInput
from toonout_core.evaluation.instance_metrics import calibration_error
from toonout_core.host import LocalHost
from toonout_core.models.lite_unet import ARCHITECTURE, LiteUNet
from toonout_core.models.lite_unet.characters import STRIDE, Centres, Certainty
from toonout_core.training.characters.batches import CharacterScenes, Owned, cut, owners_of
from toonout_core.training.characters.loop import learning_rate, train_characters
from toonout_core.training.characters.losses import PARTS, centre_losses, centre_truth
from toonout_core.training.characters.validating import calibrate, fit_certainty
from toonout_core.training.checkpoints import save_weights
from toonout_core.training.heads import start_network
from toonout_core.training.instance_config import CharactersConfig
from toonout_core.training.labelled_scenes import read_scenes
from toonout_core.weight_files.reading import CONFIG_KEY, read_state

HOST = LocalHost("cpu", quiet=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scene_set(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def matting(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alone.safetensors"
    save_weights(small(), path, ARCHITECTURE.id, torch.float16)
    return path


def config(scenes, matting, out, **overrides):
    base = CharactersConfig(
        data=str(scenes), out=str(out), init=str(matting), sizes_px=(64, 96), batch=2, epochs=2,
        workers=0, precision="fp32", device="cpu", validate_every=0, samples=1,
    )  # fmt: skip
    return replace(base, **overrides)


# ---------------------------------------------------------------- what it is shown


def test_owners_move_with_their_pixels(scenes, matting):
    # a picture whose red says who owns: whatever is drawn, both must stay together
    settings = config(scenes, matting, "none", colours=False)
    owners = np.zeros((80, 80), np.uint8)
    owners[10:50, 5:40], owners[30:75, 40:70] = 1, 2
    picture = np.stack((owners * 100, owners * 0, owners * 0), -1)
    flipped = 0
    for seed in range(12):
        sample = Owned(picture, owners, np.random.default_rng(seed))
        shown, who = cut(sample, 64, settings)
        assert shown.shape == (64, 64, 3) and who.shape == (64 // STRIDE,) * 2
        middle = shown[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE, 0].astype(int)
        assert (np.abs(middle - 100 * who.astype(int)) > 40).mean() < 0.12
        where = [np.argwhere(who == number)[:, 1].mean() for number in (1, 2)]
        flipped += where[0] > where[1]
    assert 0 < flipped < 12


def test_a_scene_owns_what_its_masks_hold(scenes):
    scene = read_scenes(scenes, "train")[0]
    picture, owners = owners_of(scene)
    assert picture.shape[:2] == owners.shape == scene.size_hw
    for number, mask in enumerate(scene.truth().masks, 1):
        assert np.array_equal(owners == number, mask.numpy())


def test_batches_depend_on_seed_and_step_alone(scenes, matting):
    settings = config(scenes, matting, "none")
    scene_list = read_scenes(scenes, "train")
    whole = CharacterScenes(scene_list, settings, first=0, last=4)
    later = CharacterScenes(scene_list, settings, first=2, last=4)
    for ours, theirs in zip(whole[3], later[1], strict=True):
        assert torch.equal(ours, theirs)
    image, owners = whole[0]
    assert image.shape[0] == 2 and image.shape[-1] in (64, 96)
    assert owners.shape == (2, image.shape[-1] // STRIDE, image.shape[-1] // STRIDE)


# ---------------------------------------------------------------- what it learns


def test_perfect_maps_cost_nothing_and_others_do():
    owners = torch.zeros(1, 16, 16, dtype=torch.int64)
    owners[0, 2:10, 2:8], owners[0, 6:14, 8:15] = 1, 2
    owners[0, 15, 0] = 3  # too small to be found
    truth = centre_truth(owners)
    assert int(truth.peak.sum()) == 2 and float(truth.heat.max()) == 1
    assert float(truth.weights[0, 0, 15, 0]) == 0
    # a way leads from every cell of a character to its centre
    assert float(truth.ways[0, 0, 4, 2]) == pytest.approx(4.5 - 2)
    weights = dict.fromkeys(PARTS, 1.0)
    sure = torch.where(truth.peak, 12.0, -12.0)
    perfect = Centres(sure, truth.ways, truth.sizes)
    for value in centre_losses(perfect, truth, weights).values():
        assert float(value) < 1e-3
    wrong = Centres(-sure, truth.ways + 3, truth.sizes * 2)
    for value in centre_losses(wrong, truth, weights).values():
        assert float(value) > 0.5
    assert float(centre_losses(wrong, truth, weights | {"size": 0.5})["size"]) == pytest.approx(
        0.5 * float(centre_losses(wrong, truth, weights)["size"])
    )


def test_a_picture_of_nobody_has_a_finite_loss():
    truth = centre_truth(torch.zeros(1, 8, 8, dtype=torch.int64))
    found = Centres(torch.zeros(1, 1, 8, 8), torch.ones(1, 2, 8, 8), torch.ones(1, 1, 8, 8))
    parts = centre_losses(found, truth, dict.fromkeys(PARTS, 1.0))
    assert float(parts["heat"]) > 1 and float(parts["way"]) == float(parts["size"]) == 0


def test_only_the_head_learns_and_alpha_stays(scenes, matting, tmp_path):
    settings = config(scenes, matting, tmp_path / "run", lr=1e-2, epochs=10, colours=False)
    best = train_characters(settings)
    losses = [float(value) for value in curve(best.parent, "way")]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    state, metadata = read_state(best)
    before, _ = read_state(matting)
    for key, value in before.items():
        assert torch.equal(state[key].half(), value), key
    assert "characters" in metadata[CONFIG_KEY]
    segmenter = load_segmenter(best, host=HOST)
    assert type(segmenter).__name__ == "CentreSegmenter"
    image = torch.rand(1, 3, 96, 96)
    loaded = LiteUNet(8, STAGES, WIDTHS).eval()
    loaded.load_state_dict({k: v.float() for k, v in before.items()}, strict=False)
    assert torch.equal(segmenter.matting.loaded.network(image), loaded(image))


def test_an_interrupted_run_is_the_same_run(scenes, matting, tmp_path):
    train_characters(config(scenes, matting, tmp_path / "whole"))
    settings = config(scenes, matting, tmp_path / "parts")
    with pytest.raises(Stopped):
        train_characters(settings, StoppingHost(after=3))
    train_characters(settings)
    assert_same_runs(tmp_path / "whole", tmp_path / "parts", (*PARTS, "gradient_norm", "lr"))


def test_a_run_is_validated_through_the_segmenter(scenes, matting, tmp_path):
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval")
    best = train_characters(config(scenes, matting, tmp_path / "run", validate_every=1, epochs=1))
    assert 0 <= float(curve(best.parent, "mask_AP")[0]) <= 1
    assert (best.parent / "samples" / "epoch_001.png").is_file()


def test_a_head_goes_on_from_its_file_or_begins_anew(scenes, matting, tmp_path):
    best = train_characters(config(scenes, matting, tmp_path / "run"))
    again = config(scenes, best, tmp_path / "again")
    network = start_network("characters", again, HOST)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    kept = network.characters.state_dict()
    saved, _ = read_state(best)
    assert torch.equal(kept["out.weight"], saved["characters.out.weight"])
    anew = start_network("characters", replace(again, head="new"), HOST).characters.state_dict()
    assert not torch.equal(kept["out.weight"], anew["out.weight"])
    moved = replace(again, init=str(matting), head=str(best))
    same = start_network("characters", moved, HOST).characters.state_dict()
    assert torch.equal(same["out.weight"], kept["out.weight"])
    with pytest.raises(BadInput, match="--head must be"):
        start_network("characters", replace(again, head=str(matting)), HOST)


@pytest.mark.parametrize(
    "overrides", [{"sizes_px": (100,)}, {"batch": 0}, {"zoom": 0.5}, {"init": "anime-refiner"}]
)
def test_what_cannot_work_is_said(scenes, matting, tmp_path, overrides):
    with pytest.raises((BadInput, FileNotFoundError), match=r"must|--"):
        if "init" in overrides:
            overrides = {"init": str(tmp_path / "unet.safetensors")}
            from toonout_core.models.unet import ARCHITECTURE as OLD
            from toonout_core.models.unet import UNet

            save_weights(UNet(widths=(4, 4)), tmp_path / "unet.safetensors", OLD.id)
        train_characters(config(scenes, matting, tmp_path / "run", **overrides))


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine(scenes, matting):
    settings = config(scenes, matting, "none", warmup_steps=10, lr=1.0)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(rates[9], abs=1e-3)
    assert rates[50] == pytest.approx(0.51, abs=0.01) and rates[-1] < 0.03


# ---------------------------------------------------------------- how sure it is


def test_probabilities_are_what_was_right():
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.02, 0.98, 4000)
    shares = -rng.exponential(1.0, 4000)
    true = Certainty(1.7, 1.2, 0.8)
    given = list(zip(raw.tolist(), shares.tolist(), strict=True))
    right = rng.random(4000) < [true.of(*one) for one in given]
    fitted = fit_certainty([(*one, bool(hit)) for one, hit in zip(given, right, strict=True)])
    assert fitted.slope == pytest.approx(1.7, abs=0.2)
    assert fitted.offset == pytest.approx(1.2, abs=0.2)
    assert fitted.area == pytest.approx(0.8, abs=0.2)
    sure = np.array([fitted.of(*one) for one in given])
    assert calibration_error(sure, right) < 0.03 < calibration_error(raw, right)


@pytest.mark.parametrize("right", [[], [True], [False], [True] * 5, [False] * 5])
def test_few_examples_give_numbers_that_are_finite(right):
    fitted = fit_certainty([(0.6, -0.5, hit) for hit in right])
    assert all(math.isfinite(value) for value in (fitted.slope, fitted.offset, fitted.area))
    assert fitted.slope > 0 and fitted.area >= 0


def test_a_region_without_a_centre_leaves_the_certainty_finite(scenes):
    """Where no centre is found in a picture, its regions have no raw score to learn from."""
    segmenter = load_segmenter("toonout-mini")
    look = segmenter.look

    def blind_at_first(picture):
        alpha, centres = look(picture)
        if not seen:
            centres = Centres(torch.full_like(centres.logits, -20.0), centres.ways, centres.sizes)
            alpha = torch.zeros_like(alpha)
            alpha[..., 10:-10, 10:-10] = 1
        seen.append(picture)
        return alpha, centres

    seen: list = []
    segmenter.look = blind_at_first
    before = segmenter.head.certainty
    try:
        found = calibrate(segmenter, read_scenes(scenes, "val"))
    finally:
        segmenter.head.certainty = before
    numbers = (found.slope, found.offset, found.area, found.alone)
    assert all(math.isfinite(number) for number in numbers)


def test_without_examples_there_is_no_error_to_tell():
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0, bool)))
