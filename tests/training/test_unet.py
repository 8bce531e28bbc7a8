import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.art import write_library
from tests.training.runs import (
    Stopped,
    StoppingHost,
    assert_same_runs,
    curve,
    train_with_two_processes,
)
from toonout_core.errors import BadInput
from toonout_core.models import recognise
from toonout_core.models.unet import UNet
from toonout_core.synthesis.cutouts import read_library
from toonout_core.training.checkpoints import save_weights
from toonout_core.training.config import UNetConfig, read_record
from toonout_core.training.unet.batches import CompositeBatches
from toonout_core.training.unet.loop import learning_rate, train_unet
from toonout_core.training.unet.network import keep_statistics, parameter_groups, start_network


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("art"))


def config(art, out, **overrides):
    base = UNetConfig(
        data=str(art),
        out=str(out),
        widths=(8, 12, 16),
        patch=2,
        sizes_px=(32,),
        batch=4,
        workers=0,
        steps=6,
        validate_every=6,
        checkpoint_every=3,
        precision="fp32",
        device="cpu",
        lr=2e-3,
        warmup_steps=2,
        schedule="constant",
    )
    return replace(base, **overrides)


def figures(out, column):
    return [float(value) for value in curve(out, column)]


def test_it_learns_and_writes_what_can_be_loaded(art, tmp_path):
    out = tmp_path / "run"
    best = train_unet(config(art, out, steps=60, validate_every=20, ema_decay=0.8, lr=5e-3))
    loss, error = figures(out, "loss"), figures(out, "flat_mae")
    assert loss[-1] < loss[0]
    assert error[-1] < 0.8 * error[0]
    state = load_file(best)
    architecture = recognise(state)
    assert architecture.id == "unet"
    network = architecture.build(state)
    assert network.load_state_dict(state, strict=False).unexpected_keys == []
    assert not any(key.endswith("num_batches_tracked") for key in state)
    assert read_record(out / "config.json", UNetConfig).steps == 60


COLUMNS = ("step", "lr", "loss", "edge_l1", "gradient_norm", "flat_iou", "line_mae")


def test_an_interrupted_run_equals_an_uninterrupted_one(art, tmp_path):
    """In the midst of what one row of the curve is the mean of."""
    whole, parts = (config(art, tmp_path / name, steps=8, validate_every=4, checkpoint_every=3)
                    for name in ("whole", "parts"))  # fmt: skip
    train_unet(whole)
    with pytest.raises(Stopped):
        train_unet(parts, StoppingHost(after=7))
    train_unet(replace(parts, workers=1))
    assert_same_runs(tmp_path / "whole", tmp_path / "parts", COLUMNS)
    assert figures(tmp_path / "parts", "step") == [4, 8]


def write_old_run(out, new):
    """`new`, as it was kept before all trainings had one format: by hand, after its last step."""
    state = load_file(new / "state.safetensors")

    def below(start):
        return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}

    moments = {}
    for key, value in below("optimizer.").items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = value
    group = {"lr": 1.0, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0, "rate": 1.0,
             "amsgrad": False, "maximize": False, "foreach": None, "capturable": False,
             "differentiable": False, "fused": None, "decoupled_weight_decay": True}  # fmt: skip
    network, _ = start_network(config("", ""))
    counts = [len(group["params"]) for group in parameter_groups(network, config("", ""))]
    indices = iter(range(sum(counts)))
    groups = [{**group, "params": [next(indices) for _ in range(n)]} for n in counts]
    out.mkdir()
    torch.save({"step": 3, "best": 2.9, "network": below("network."),
                "averaged": below("averaged."),
                "optimizer": {"state": moments, "param_groups": groups}},
               out / "last.pt")  # fmt: skip
    # a run that had been killed after step 4 wrote rows twice, and has them still
    (out / "curve.csv").write_text(
        "step,loss,seconds,flat_iou,scene_iou,line_iou,flat_mae,scene_mae,line_mae\n"
        "2,0.7,1.0,0.99,0.95,0.97,0.1,0.1,0.1\n2,0.5,1.0,0.99,0.95,0.97,0.1,0.1,0.1\n"
        "4,0.4,2.0,0.1,0.1,0.1,0.1,0.1,0.1\n"
    )
    (out / "best.safetensors").write_bytes(b"of step 2")


def test_a_run_of_before_goes_on(art, tmp_path, caplog):
    train_unet(config(art, tmp_path / "new", steps=3))
    write_old_run(tmp_path / "old", tmp_path / "new")
    caplog.clear()
    with caplog.at_level("INFO", "toonout"):
        train_unet(config(art, tmp_path / "old", steps=6))
    assert caplog.messages[0] == "resumed after step 3"
    whole = tmp_path / "whole"
    train_unet(config(art, whole, steps=6))
    states = [load_file(out / "state.safetensors") for out in (whole, tmp_path / "old")]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    assert figures(tmp_path / "old", "step") == [2, 6]
    assert figures(tmp_path / "old", "loss")[0] == 0.5
    assert curve(tmp_path / "old", "gradient_norm")[0] == "nan"
    # step 2 is still the best
    assert (tmp_path / "old" / "best.safetensors").read_bytes() == b"of step 2"


def test_a_loss_that_is_no_number_ends_the_run(art, tmp_path):
    settings = config(art, tmp_path, steps=4, validate_every=4, checkpoint_every=2)
    train_unet(replace(settings, steps=2))
    kept = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(BadInput, match="must stay finite, but got nan and nan in step 4"):
        train_unet(replace(settings, lr=math.inf))
    assert (tmp_path / "state.safetensors").read_bytes() == kept


def test_a_run_starts_from_the_weights_of_another(art, tmp_path):
    first = train_unet(config(art, tmp_path / "first"))
    settings = config(art, tmp_path / "second", init=str(first), widths=(4, 4), arch="lite-unet")
    second, architecture = start_network(settings)
    assert architecture.id == "unet"
    state = load_file(first)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in state.items())
    assert all(parameter.requires_grad for parameter in second.parameters())
    train_unet(config(art, tmp_path / "second", init=str(first), steps=1, validate_every=1))


def test_a_run_starts_from_half_precision(art, tmp_path):
    torch.manual_seed(0)
    save_weights(UNet(widths=(4, 6)), tmp_path / "half.safetensors", "unet", torch.float16)
    settings = config(art, tmp_path / "run", init=str(tmp_path / "half.safetensors"), steps=1)
    network, _ = start_network(settings)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert load_file(train_unet(settings))["stem.weight"].dtype == torch.float32


def test_the_built_in_network_is_trained_with_art_of_two_folders(art, tmp_path):
    more = write_library(tmp_path / "more", figures=2, backgrounds=1)
    settings = config(
        art, tmp_path / "run", arch="lite-unet", decoder_widths=(4, 4, 4, 4, 4),
        more_data=(str(more),), hard_share=0.5, style_shares=("anime=2",), steps=2,
        validate_every=2, validate_px=64,
    )  # fmt: skip
    best = train_unet(settings)
    assert recognise(load_file(best)).id == "lite-unet"
    assert 0 <= figures(tmp_path / "run", "line_iou")[-1] <= 1
    assert 0 <= figures(tmp_path / "run", "more_scene_iou")[-1] <= 1


def test_the_encoder_learns_slower_and_keeps_its_statistics(art, tmp_path):
    settings = config(art, tmp_path, arch="lite-unet", weight_decay=0.1, encoder_rate=0.2)
    network, _ = start_network(settings)
    groups = parameter_groups(network, settings)
    assert {(g["rate"], g["weight_decay"]) for g in groups} == {
        (0.2, 0.1), (0.2, 0.0), (1.0, 0.1), (1.0, 0.0)
    }  # fmt: skip
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    network.train()
    keep_statistics(network)
    assert not network.encoder.stem.norm.training and network.decoder[0].first.norm.training


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encoder": "lite9"}, "--encoder must be one of lite0, lite1, lite2"),
        ({"style_shares": ("anime",)}, "--style-shares must be STYLE=FACTOR"),
        ({"style_shares": ("anime=-1",)}, "factors from 0 up"),
        (
            {"sizes_px": (64, 100)},
            "--sizes-px must be multiples of 32, .* got 64 100",
        ),
        (
            {"sizes_px": (64,), "validate_px": 80},
            "--validate-px must be multiples of 32, .* got 80",
        ),
        ({"arch": "unet", "sizes_px": (33,)}, "must be multiples of 2, and at least 8"),
        ({"arch": "unet", "sizes_px": (6,)}, "must be multiples of 2, and at least 8"),
        ({"validate_every": 0}, "--validate-every and --checkpoint-every must be at least 1"),
    ],
)
def test_wrong_settings_get_a_sentence(art, tmp_path, wrong, sentence):
    with pytest.raises(BadInput, match=sentence):
        train_unet(config(art, tmp_path / "run", **{"arch": "lite-unet", **wrong}))
    assert not (tmp_path / "run").exists()


def test_samples_do_not_depend_on_the_workers(art, tmp_path):
    runs = [train_unet(config(art, tmp_path / str(n), workers=n)) for n in (0, 1)]
    first, second = (load_file(run) for run in runs)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_steps_of_even_pixels_have_more_of_smaller_samples(art):
    library = read_library(art, "train")
    settings = config(art, "", sizes_px=(32, 64), batch=2, even_pixels=True)
    data = CompositeBatches(library, settings, first=0, last=12)
    assert {tuple(image.shape) for image, _ in data} == {(8, 3, 32, 32), (2, 3, 64, 64)}


def test_the_schedules():
    base = UNetConfig(data="", out="", lr=1.0, steps=100, warmup_steps=10, schedule="cosine")
    assert learning_rate(base, 0) == pytest.approx(0.1)
    assert learning_rate(base, 50) == pytest.approx(0.505)
    assert learning_rate(base, 100) == pytest.approx(0.01)
    constant = replace(base, schedule="constant")
    assert {learning_rate(constant, step) for step in (10, 50, 99)} == {1.0}


def test_two_processes_have_the_mean_gradient_of_both(art, tmp_path):
    """Each has samples of a seed of its own; after one step AdamW's moment is a tenth of it."""
    options = dict(steps=1, validate_every=1, batch=2, clip=1e9, warmup_steps=0, lr=1e-3)
    start = train_unet(config(art, tmp_path / "start", **options)).parent / "last.safetensors"
    runs = [tmp_path / name for name in ("first", "second", "joint")]
    first, second, joint = (config(art, run, init=str(start), **options) for run in runs)
    train_unet(replace(first, seed=2 * 7))
    train_unet(replace(second, seed=2 * 7 + 1))
    train_with_two_processes("unet", joint, tmp_path)
    states = [load_file(run / "state.safetensors") for run in runs]
    moments = [key for key in states[0] if key.endswith(".exp_avg")]
    assert len(moments) > 20
    largest = max(states[2][key].abs().max().item() for key in moments)
    assert largest > 0
    for key in moments:
        one, two, both = (state[key] for state in states)
        assert torch.allclose((one + two) / 2, both, atol=1e-4 * largest), key
    losses = [float(curve(run)[0]) for run in runs]
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-5)


@pytest.mark.parametrize("name", ["state.safetensors", "last.pt"])
def test_a_run_of_another_size_is_not_gone_on_with(art, tmp_path, name):
    out = tmp_path / "run"
    train_unet(config(art, tmp_path / "new", steps=1, validate_every=1))
    write_old_run(out, tmp_path / "new")
    if name == "state.safetensors":
        (tmp_path / "new" / name).rename(out / name)
    with pytest.raises(BadInput, match=rf"{name} must hold a run of this network, in this size"):
        train_unet(config(art, out, steps=2, widths=(8, 12)))
    (out / name).write_bytes(b"PK\3\4 and no more")
    with pytest.raises(BadInput, match=r"or a damaged file\. Give another --out"):
        train_unet(config(art, out, steps=2))


def test_a_run_without_pictures_leaves_no_folder(tmp_path):
    with pytest.raises(BadInput, match="must hold RGBA pictures"):
        train_unet(config(tmp_path / "none", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_it_says_how_far_it_is_in_words(art, tmp_path, caplog):
    with caplog.at_level("INFO", "toonout"):
        train_unet(config(art, tmp_path / "run", steps=1, validate_every=1))
    assert caplog.messages[-1].startswith("step 1, loss ")
