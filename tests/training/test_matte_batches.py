"""Pictures for fine-tuning: found, read, changed by chance, put into batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.art import draw_background, draw_figure
from toonout_core.errors import BadInput
from toonout_core.training.augmenting import augment, enhance, mirror, pepper, turn
from toonout_core.training.birefnet.batches import MatteBatches, read_backgrounds
from toonout_core.training.config import BiRefNetConfig
from toonout_core.training.curves import draw_curves, write_table
from toonout_core.training.examples import find_examples


def save(picture, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Nine cutouts to train with; backgrounds."""
    root = tmp_path_factory.mktemp("cutouts")
    for index in range(9):
        save(draw_figure(index, (50, 40)), root / "train" / "pose" / f"{index}.png")
    save(draw_background(1), root / "bg" / "a.png")
    return root


def batches_of(root, *, first=0, last=8, rank=0, world=1, **fields):
    config = BiRefNetConfig(data="", out="", size_px=32, **fields)
    examples, grounds = find_examples(root, "train"), read_backgrounds(root)
    return MatteBatches(grounds, examples, config, first=first, last=last, rank=rank, world=world)


# ---------------------------------------------------------------- files


def test_published_folders_pairs_and_cutouts_are_found(tmp_path):
    for name in ("train_generations_20250318_emotion", "train"):
        save(Image.new("RGB", (8, 6)), tmp_path / name / "im" / "a.jpg")
        save(Image.new("L", (8, 6), 90), tmp_path / name / "gt" / "a.png")
    save(Image.new("RGB", (8, 6)), tmp_path / "train" / "x" / "im" / "b[1].png")
    save(draw_figure(1, (8, 6)), tmp_path / "train" / "x" / "an" / "b[1].png")
    save(draw_figure(2, (8, 6)), tmp_path / "fg" / "train" / "c.png")
    save(draw_figure(2, (8, 6)), tmp_path / "test" / "d.png")
    found = {example.name: example for example in find_examples(tmp_path, "train")}
    assert set(found) == {
        "train/im/a", "train_generations_20250318_emotion/im/a", "train/x/im/b[1]", "fg/train/c",
    }  # fmt: skip
    assert found["train/im/a"].read()[1].unique().item() == pytest.approx(90 / 255)
    assert found["train/x/im/b[1]"].read()[1].shape == (1, 1, 6, 8)
    assert found["fg/train/c"].truth is None
    with pytest.raises(BadInput, match="val or validation"):
        find_examples(tmp_path, "val")


def test_pictures_that_do_not_fit_are_said(tmp_path):
    save(Image.new("RGB", (8, 6)), tmp_path / "train" / "im" / "a.png")
    with pytest.raises(BadInput, match="must have its matte"):
        find_examples(tmp_path, "train")
    save(Image.new("L", (8, 8)), tmp_path / "train" / "gt" / "a.png")
    (example,) = find_examples(tmp_path, "train")
    with pytest.raises(BadInput, match=r"8×6.*8×8"):
        example.read()
    save(Image.new("RGB", (8, 6)), tmp_path / "val" / "a.png")
    with pytest.raises(BadInput, match="must be a cutout"):
        find_examples(tmp_path, "val")[0].read()


# ---------------------------------------------------------------- chance


def test_mattes_stay_with_their_pictures():
    """A white disc on black is its own matte, whatever is done to both."""
    grid = torch.linspace(-1, 1, 64)
    disc = (((grid[:, None] - 0.3) ** 2 + (grid + 0.1) ** 2) < 0.2).float()[None, None]
    for picture, alpha in (
        mirror(disc.expand(-1, 3, -1, -1), disc),
        turn(disc.expand(-1, 3, -1, -1), disc, 13.0),
    ):
        assert torch.equal(picture[:, :1], alpha)
        assert not torch.equal(alpha, disc)
        assert alpha.sum().item() == pytest.approx(disc.sum().item(), rel=0.02)


def test_enhancing_keeps_the_range_and_pepper_its_share():
    picture = torch.rand(1, 3, 100, 100) * 0.8 + 0.1
    changed = [enhance(picture, np.random.default_rng(seed)) for seed in range(5)]
    assert all(image.min() >= 0 and image.max() <= 1 for image in changed)
    assert len({round(image.mean().item(), 6) for image in changed}) == 5
    peppered = pepper(picture, np.random.default_rng(1), 0.01)
    touched = (peppered != picture).any(1)
    assert 90 <= int(touched.sum()) <= 100
    assert set(peppered[:, :, touched[0]].unique().tolist()) == {0, 1}


def test_nothing_changes_where_nothing_is_asked_for():
    picture, alpha = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    rng = np.random.default_rng(0)
    same = augment(picture, alpha, rng, flip=0, rotate=0, enhanced=False, peppered=0)
    assert torch.equal(same[0], picture)
    assert torch.equal(same[1], alpha)


# ---------------------------------------------------------------- batches


def test_a_batch_follows_from_its_number_alone(root):
    whole = batches_of(root)
    later = batches_of(root, first=5)
    for number in (5, 7):
        for one, other in zip(whole[number], later[number - 5], strict=True):
            assert torch.equal(one, other)
    image, alpha = whole[0]
    assert image.shape == (2, 3, 32, 32)
    assert alpha.shape == (2, 1, 32, 32)
    assert image.min() >= 0
    assert image.max() <= 1
    assert not torch.equal(whole[0][0], whole[4][0]), "another epoch, other backgrounds"


def test_an_epoch_takes_all_once_and_processes_share_them(root):
    alone = batches_of(root, batch=4)
    pair = [batches_of(root, batch=2, rank=rank, world=2) for rank in (0, 1)]
    for step in range(4):
        assert alone.places(step) == [place for half in pair for place in half.places(step)]
    epochs = [[place for step in (0, 1) for place in alone.places(step + 2 * e)] for e in (0, 1)]
    for number, places in enumerate(epochs):
        assert {epoch for epoch, _ in places} == {number}
        assert len({index for _, index in places}) == 8
    assert [index for _, index in epochs[0]] != [index for _, index in epochs[1]]


def test_cutouts_lie_on_what_is_drawn_for_them(root):
    plain = dict(flip=0.0, rotate=0.0, enhance=False, pepper=0.0, flat_share=1.0)
    image, alpha = batches_of(root, **plain)[0]
    for picture, matte in zip(image, alpha, strict=True):
        outside = picture[:, matte[0] == 0]
        assert outside.numel() > 100
        assert (outside - outside[:, :1]).abs().max() < 1e-6, "one colour"
    scene = batches_of(root, **{**plain, "flat_share": 0.0})[0][0]
    assert not torch.equal(scene, image)


def test_too_few_pictures_are_said(root):
    with pytest.raises(BadInput, match="at least 10"):
        batches_of(root, batch=10)
    assert replace(BiRefNetConfig(data="", out=""), batch=3).batch == 3


# ---------------------------------------------------------------- figures


def test_curves_and_tables(tmp_path):
    rows = [
        {"epoch": e, "loss": 10.0 / e, "PA": float("nan") if e == 2 else 0.5} for e in (1, 2, 3)
    ]
    picture = draw_curves(rows, {"loss": ("loss",), "validation": ("PA",)}, "epoch")
    assert picture.shape == (1, 3, 300, 920)
    falling = picture[0, :, 36:260, 75:440]
    blue = ((falling[2] > 0.6) & (falling[0] < 0.2)).nonzero()
    left, right = (blue[blue[:, 1] == blue[:, 1].min()], blue[blue[:, 1] == blue[:, 1].max()])
    assert left[:, 0].float().mean() < 20, "the highest loss is at the top, on the left"
    assert right[:, 0].float().mean() > 200
    write_table(tmp_path / "curve.csv", rows)
    assert (tmp_path / "curve.csv").read_text().splitlines()[0] == "epoch,loss,PA"
    draw_curves(rows[:1], {"loss": ("loss",)}, "epoch")
