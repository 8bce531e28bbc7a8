import csv
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.art import write_library
from toonout_core.errors import BadInput
from toonout_core.models import recognise
from toonout_core.synthesis.cutouts import read_library
from toonout_core.training.config import UNetConfig, read_config
from toonout_core.training.data import CompositeBatches
from toonout_core.training.small_networks import parameter_groups, set_training, start_network
from toonout_core.training.unet import learning_rate, train_unet

ROOT = Path(__file__).parents[2]


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


def curve(out, column):
    with (out / "curve.csv").open() as file:
        return [float(row[column]) for row in csv.DictReader(file)]


def test_it_learns_and_writes_what_can_be_loaded(art, tmp_path):
    out = tmp_path / "run"
    best = train_unet(config(art, out, steps=60, validate_every=20, ema_decay=0.8, lr=5e-3))
    loss, error = curve(out, "loss"), curve(out, "flat_mae")
    assert loss[-1] < loss[0]
    assert error[-1] < 0.8 * error[0]
    state = load_file(best)
    architecture = recognise(state)
    assert architecture.id == "unet"
    network = architecture.build(state)
    assert network.load_state_dict(state, strict=False).unexpected_keys == []
    assert not any(key.endswith("num_batches_tracked") for key in state)
    assert read_config(out / "config.json").steps == 60


def test_a_resumed_run_equals_an_uninterrupted_one(art, tmp_path):
    whole = train_unet(config(art, tmp_path / "whole", schedule="constant"))
    train_unet(config(art, tmp_path / "parts", steps=3))
    parts = train_unet(config(art, tmp_path / "parts", steps=6))
    first, second = (
        torch.load(run.parent / "last.pt", weights_only=True) for run in (whole, parts)
    )
    assert first["step"] == second["step"] == 6
    for key, value in first["network"].items():
        assert torch.equal(value, second["network"][key]), key


def test_a_run_starts_from_the_weights_of_another(art, tmp_path):
    first = train_unet(config(art, tmp_path / "first"))
    settings = config(art, tmp_path / "second", init=str(first), widths=(4, 4), arch="lite-unet")
    second, architecture = start_network(settings)
    assert architecture.id == "unet"
    state = load_file(first)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in state.items())
    assert all(parameter.requires_grad for parameter in second.parameters())
    train_unet(config(art, tmp_path / "second", init=str(first), steps=1, validate_every=1))


def test_the_built_in_network_is_trained_with_art_of_two_folders(art, tmp_path):
    more = write_library(tmp_path / "more", figures=2, backgrounds=1)
    settings = config(
        art, tmp_path / "run", arch="lite-unet", decoder_widths=(4, 4, 4, 4, 4),
        more_data=(str(more),), hard_share=0.5, style_shares=("anime=2",), steps=2,
        validate_every=2, validate_px=64,
    )  # fmt: skip
    best = train_unet(settings)
    assert recognise(load_file(best)).id == "lite-unet"
    assert 0 <= curve(tmp_path / "run", "line_iou")[-1] <= 1
    assert 0 <= curve(tmp_path / "run", "more_scene_iou")[-1] <= 1


def test_the_encoder_learns_slower_and_keeps_its_statistics(art, tmp_path):
    settings = config(art, tmp_path, arch="lite-unet", weight_decay=0.1, encoder_rate=0.2)
    network, _ = start_network(settings)
    groups = parameter_groups(network, settings)
    assert {(g["rate"], g["weight_decay"]) for g in groups} == {
        (0.2, 0.1), (0.2, 0.0), (1.0, 0.1), (1.0, 0.0)
    }  # fmt: skip
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    set_training(network)
    assert not network.encoder.stem.norm.training and network.decoder[0].first.norm.training


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encoder": "lite9"}, "--encoder must be one of lite0, lite1, lite2"),
        ({"style_shares": ("anime",)}, "--style-shares must be STYLE=FACTOR"),
        ({"style_shares": ("anime=-1",)}, "factors from 0 up"),
    ],
)
def test_wrong_settings_get_a_sentence(art, tmp_path, wrong, sentence):
    with pytest.raises(BadInput, match=sentence):
        train_unet(config(art, tmp_path / "run", arch="lite-unet", **wrong))


def test_samples_do_not_depend_on_the_workers(art, tmp_path):
    runs = [train_unet(config(art, tmp_path / str(n), workers=n)) for n in (0, 1)]
    first, second = (load_file(run) for run in runs)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_steps_of_even_pixels_have_more_of_smaller_samples(art):
    library = read_library(art, "train")
    data = CompositeBatches(library, (32, 64), 2, 0.5, 1, 0, 12, even_pixels=True)
    assert {tuple(image.shape) for image, _ in data} == {(8, 3, 32, 32), (2, 3, 64, 64)}


def test_the_schedules():
    base = UNetConfig(data="", out="", lr=1.0, steps=100, warmup_steps=10, schedule="cosine")
    assert learning_rate(base, 0) == pytest.approx(0.1)
    assert learning_rate(base, 50) == pytest.approx(0.505)
    assert learning_rate(base, 100) == pytest.approx(0.01)
    constant = replace(base, schedule="constant")
    assert {learning_rate(constant, step) for step in (10, 50, 99)} == {1.0}


SCRIPT = """
import sys
from toonout_core.training.config import read_config
from toonout_core.training.unet import train_unet
from pathlib import Path
train_unet(read_config(Path(sys.argv[1])))
"""


def test_two_processes_train_together(art, tmp_path):
    out = tmp_path / "two"
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    config(art, out, steps=3, validate_every=3).write(tmp_path / "config.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        f"--master-port={port}",
        "--master-addr=127.0.0.1",
        str(script),
        str(tmp_path / "config.json"),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "HOME": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = train_unet(config(art, tmp_path / "one", steps=3, validate_every=3))
    joint, single = load_file(out / "best.safetensors"), load_file(alone)
    assert joint.keys() == single.keys()
    assert any(not torch.equal(joint[key], single[key]) for key in joint)
    assert all(value.isfinite().all() for value in joint.values())


def test_a_run_of_another_size_is_not_gone_on_with(art, tmp_path):
    out = tmp_path / "run"
    train_unet(config(art, out, steps=1, validate_every=1))
    with pytest.raises(BadInput, match=r"last.pt must be of a run of this network, in this size"):
        train_unet(config(art, out, steps=2, widths=(8, 12)))
    (out / "last.pt").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(BadInput, match=r"or is damaged\. Give another --out"):
        train_unet(config(art, out, steps=2))


def test_a_run_without_pictures_leaves_no_folder(tmp_path):
    with pytest.raises(BadInput, match="must hold RGBA pictures"):
        train_unet(config(tmp_path / "none", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_it_says_how_far_it_is_in_words(art, tmp_path, caplog):
    with caplog.at_level("INFO", "toonout"):
        train_unet(config(art, tmp_path / "run", steps=1, validate_every=1))
    assert caplog.messages[-1].startswith("step 1, loss ")
