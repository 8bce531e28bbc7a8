"""From a data set of scenes to what the instance networks are shown."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.scene_sets import SIZE, write_scene_set
from toonout_core.errors import BadInput
from toonout_core.imaging import from_array, read, to_array, to_pil
from toonout_core.ops.letterbox import letterbox
from toonout_core.output.coco import encode_mask
from toonout_core.training.instance_config import RefinerConfig, RTMDetConfig
from toonout_core.training.labelled_scenes import Labels, read_scenes, truth_of
from toonout_core.training.refiner.batches import CharacterBatches, read_characters
from toonout_core.training.refiner.coarse_masks import as_detected, box_of, draw_coarse, filled_box
from toonout_core.training.rtmdet.batches import SceneBatches
from toonout_core.training.rtmdet.mosaics import FILL, change_colours, four_in_one, mix, one

DETECTOR = RTMDetConfig(data="", out="", size_px=64, batch=2, epochs=4, plain_epochs=1)
REFINER = RefinerConfig(data="", out="", size_px=64, batch=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_scene_set(tmp_path_factory.mktemp("scenes"))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_masks_and_pictures_are_read_as_they_were_written(root):
    scenes = read_scenes(root, "train")
    assert [len(scene) for scene in scenes] == [3, 2, 1, 2]
    picture, labels = scenes[0].read()
    assert np.array_equal(picture, to_array(read(root / "images/train/000000.png").image)[0])
    assert labels.masks.shape == (3, SIZE, SIZE)
    truth = scenes[0].truth()
    assert truth.boxes_xyxy[1].tolist() == list(box_of(labels.masks[1]))
    assert labels.known.all()


def test_crowds_boxes_and_empty_pictures(tmp_path):
    to_pil(torch.rand(1, 3, 20, 30)).save(tmp_path / "a.png")
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:8, 3:9] = True
    own = {"category_id": 1, "bbox": [3, 2, 6, 6], "segmentation": encode_mask(mask), "area": 36}
    crowd = {**own, "iscrowd": 1}
    box = {"category_id": 1, "bbox": [10, 4, 15, 12], "iscrowd": 0, "area": 180}
    images = [
        {"id": 5, "file_name": "a.png", "height": 20, "width": 30},
        {"id": 9, "file_name": "a.png", "height": 20, "width": 30},
    ]
    annotations = [{"id": i, "image_id": 5, **one} for i, one in enumerate((own, crowd, box))]
    document = {"images": images, "annotations": annotations}
    (tmp_path / "instances_train.json").write_text(json.dumps(document))
    scenes = read_scenes(tmp_path, "train")
    assert [len(scene) for scene in scenes] == [2, 0]
    assert scenes[0].with_masks == [0]
    labels = scenes[0].read()[1]
    assert labels.known.tolist() == [True, False]
    assert labels.masks[1].sum() == 180
    assert scenes[1].read()[1].masks.shape == (0, 20, 30)
    # boxes without masks are nothing to be found or missed
    assert [one.get("iscrowd", 0) for one in truth_of(scenes)["annotations"]] == [0, 1]
    settings = replace(DETECTOR, plain_epochs=4, scales=(1.0, 1.0))
    _, truths = SceneBatches(scenes, settings, first=0, last=1)[0]
    assert sorted(len(truth) for truth in truths) == [0, 2]
    # the refiner has no use for pictures without masks
    assert len(read_characters(tmp_path, "train")) == 1


def test_what_is_no_data_set_is_said(tmp_path, root):
    with pytest.raises(BadInput, match="synthesize scenes"):
        read_scenes(tmp_path, "train")
    document = json.loads((root / "instances_train.json").read_text())
    document["images"][0]["height"] += 1
    (tmp_path / "instances_train.json").write_text(json.dumps(document))
    (tmp_path / "images").symlink_to(root / "images")
    with pytest.raises(BadInput, match="96×97"):
        read_scenes(tmp_path, "train")[0].picture()


def test_a_picture_alone_is_seen_as_before_inference(root):
    scene = read_scenes(root, "train")[1]
    picture, labels = one(rng(), scene.read(), 128, (1.0, 1.0), 0.0)
    expected = to_array(letterbox(scene.picture(), 128)[0])[0]
    difference = np.abs(picture.astype(int) - expected)
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99) <= 4
    areas = scene.read()[1].masks.sum((1, 2)) * (128 / SIZE) ** 2
    assert np.allclose(labels.masks.sum((1, 2)), areas, rtol=0.02)


def test_small_pictures_are_mirrored_within_themselves():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :10] = 200
    labels = Labels((picture[None, ..., 0] > 0).astype(np.uint8), np.ones(1, bool))
    shown, found = one(rng(), (picture, labels), 80, (0.5, 0.5), 1.0)
    assert np.array_equal(np.unique(shown[:20, :40]), [0, 200])
    assert (shown[:20, 30:40] == 200).all()
    assert (shown[20:] == FILL).all()
    assert (shown[:, 40:] == FILL).all()
    assert np.array_equal(found.masks[0] > 0, (shown == 200).all(-1))


@pytest.mark.parametrize("seed", range(6))
def test_masks_stay_on_their_characters_in_mosaics(seed):
    """Characters are white on black: where a mask is, the picture is white."""
    pictures = []
    for number in range(4):
        picture = np.zeros((50 + 9 * number, 70, 3), np.uint8)
        picture[10:40, 12 + number : 44] = 255
        mask = (picture[None, ..., 0] > 0).astype(np.uint8)
        pictures.append((picture, Labels(mask, np.ones(1, bool))))
    shown, labels = four_in_one(rng(seed), pictures, 96, (0.6, 1.4), 0.5)
    assert labels.masks.shape == (4, 96, 96)
    white = (shown > 127).all(-1)
    assert np.array_equal(white, labels.masks.any(0))
    assert labels.masks.sum(0).max() == 1


def test_mixed_pictures_hold_the_characters_of_both(root):
    first, second = (scene.read() for scene in read_scenes(root, "train")[:2])
    shown, labels = mix(first, second)
    mean = (first[0].astype(int) + second[0]) / 2
    assert np.abs(shown - mean).max() <= 0.5
    assert len(labels.masks) == 5


def test_colours_change_and_greys_keep_their_hue():
    grey = np.full((4, 4, 3), 120, np.uint8)
    changed = [change_colours(rng(seed), grey) for seed in range(20)]
    assert any(not np.array_equal(one, grey) for one in changed)
    colour = np.full((1, 1, 3), (200, 40, 40), np.uint8)
    reds = np.array([change_colours(rng(seed), colour)[0, 0] for seed in range(50)])
    assert (reds[:, 0] >= reds[:, 1]).all()
    assert np.abs(reds.astype(int) - [200, 40, 40]).max() <= 110


@pytest.mark.parametrize(
    ("batches", "read_split", "settings"),
    [(SceneBatches, read_scenes, DETECTOR), (CharacterBatches, read_characters, REFINER)],
)
def test_batches_follow_from_seed_and_number(root, batches, read_split, settings):
    scenes = read_split(root, "train")

    def images(first=0, **changes):
        data = batches(scenes, replace(settings, **changes), first=first, last=8)
        return [data[index][0] for index in range(8 - first)]

    whole, again, later, other = images(), images(), images(5), images(seed=8)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole[5:], later, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(whole, other, strict=True))
    channels = 3 if batches is SceneBatches else 4
    assert whole[0].shape == (2, channels, 64, 64)
    assert min(x.min() for x in whole) >= 0
    assert max(x.max() for x in whole) <= 1


def test_two_processes_have_the_batches_of_one(root):
    scenes = read_scenes(root, "train")
    alone = SceneBatches(scenes, replace(DETECTOR, batch=4), first=0, last=1)
    pair = [SceneBatches(scenes, DETECTOR, first=0, last=1, rank=r, world=2) for r in (0, 1)]
    assert torch.equal(alone[0][0], torch.cat([half[0][0] for half in pair]))


def test_the_last_epochs_are_plain(root):
    """Of four characters in a mosaic and those of one more picture, only a picture's are left."""
    scenes = read_scenes(root, "train")
    settings = replace(DETECTOR, scales=(1.0, 1.0), flip=0.0, colours=False)
    data = SceneBatches(scenes, settings, first=0, last=8)
    counts = [len(truth) for index in (6, 7) for truth in data[index][1]]
    assert sorted(counts) == [1, 2, 2, 3]
    image, truths = data[7]
    assert truths[0].boxes_xyxy.dtype == torch.float32
    assert image[0].std() > 0.05


# ---------------------------------------------------------------- coarse masks


def disc(radius, size=200):
    y, x = np.mgrid[:size, :size] - size // 2
    return (x * x + y * y < radius * radius).astype(np.uint8)


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_coarse_masks_are_wrong_as_said():
    mask = disc(60)
    assert np.array_equal(filled_box(mask).nonzero()[0][[0, -1]], mask.nonzero()[0][[0, -1]])
    assert filled_box(mask).sum() == 119 * 119
    worn = as_detected(rng(), mask)
    assert 0.9 < iou(worn, mask) < 0.999
    every = [draw_coarse(rng(seed), mask, REFINER) for seed in range(400)]
    boxes = sum(iou(coarse, filled_box(mask)) > 0.9 for coarse in every)
    assert 0.18 < boxes / 400 < 0.32
    same = sum(np.array_equal(coarse, mask) for coarse in every)
    assert 0.05 < same / 400 < 0.15  # 0.75 · 0.25 · 0.5
    boxes_only = replace(REFINER, boxes=1.0, grown=0.0)
    assert np.array_equal(draw_coarse(rng(), mask, boxes_only), filled_box(mask))


def test_nobody_vanishes_from_coarse_masks():
    tiny, empty = disc(2), np.zeros((9, 9), np.uint8)
    assert all(draw_coarse(rng(seed), tiny, REFINER).any() for seed in range(60))
    assert not draw_coarse(rng(), empty, REFINER).any()


def test_the_refiner_sees_blue_first_and_the_mask_last(root):
    scenes = read_characters(root, "train")
    unchanged = dict(boxes=0.0, worn=0.0, grown=0.0, crops=0.0, flip=0.0, turn=0.0, shift=0.0)
    settings = replace(REFINER, size_px=SIZE + 16, batch=1, colours=False, **unchanged)
    image, mask = CharacterBatches(scenes, settings, first=0, last=4)[0]
    pictures = [from_array(scene.pixels()) for scene in scenes]
    shown = image[:, :3, :SIZE, :SIZE].flip(1)
    assert any(torch.equal(shown, picture) for picture in pictures)
    assert torch.equal(image[:, 3:], mask)
    # beside the picture lies one grey, and no mask
    assert image[:, :3, SIZE:].unique().numel() == 1
    assert mask[..., SIZE:, :].sum() == 0


def test_surroundings_hold_the_character(root):
    scenes = read_characters(root, "train")
    settings = replace(REFINER, crops=1.0, flip=0.0, turn=0.0, shift=0.0, batch=4, size_px=SIZE)
    _, masks = CharacterBatches(scenes, settings, first=0, last=1)[0]
    areas = sorted(round(float(mask.sum())) for mask in masks)
    known = {int(scene.mask(index).sum()) for scene in scenes for index in scene.with_masks}
    assert set(areas) <= known
