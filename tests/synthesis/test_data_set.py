"""Data sets on disk: read back by other programs, the same whoever makes them."""

from __future__ import annotations

import json
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from tests.art import write_library
from toonout_core.errors import BadInput
from toonout_core.imaging import read
from toonout_core.instances import Instances
from toonout_core.output.coco import decode_mask
from toonout_core.synthesis.cutouts import find_art
from toonout_core.synthesis.data_set import DataSet, write_scenes
from toonout_core.synthesis.options import SceneOptions
from toonout_core.synthesis.scenes import label, make_scene
from toonout_core.synthesis.yolo import outline, to_yolo
from toonout_core.training.dataset.splitting import find_items

SIZE = 128


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    art = find_art(write_library(tmp_path_factory.mktemp("art")), "train")
    return partial(make_scene, art, 0, options=SceneOptions(size_px=SIZE))


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    out = tmp_path_factory.mktemp("set")
    data = DataSet(out, "train", {"seed": 0}, "png")
    assert write_scenes(data, make, 6) == 6
    return data


def intersection_over_union(first, second):
    return float((first & second).sum() / max(int((first | second).sum()), 1))


def test_another_program_reads_the_annotations(made, make):
    coco = pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval").COCO
    document = json.loads((made.out / "instances_train.json").read_text())
    theirs = coco(document)
    assert len(theirs.imgs) == 6
    for index, image in enumerate(document["images"]):
        assert (made.out / image["file_name"]).is_file()
        truth = label(make(index))
        found = theirs.loadAnns(theirs.getAnnIds(imgIds=[image["id"]]))
        assert len(found) == len(truth)
        for annotation, mask, box in zip(found, truth.masks, truth.boxes_xyxy, strict=True):
            assert np.array_equal(theirs.annToMask(annotation).astype(bool), mask.numpy())
            x, y, width, height = annotation["bbox"]
            assert [x, y, x + width, y + height] == box.tolist()
            assert annotation["area"] == int(mask.sum())


def test_it_is_rendered_again_from_what_was_written(made, make):
    """The picture is the true one, and all masks together are where its matte is."""
    document = json.loads((made.out / "instances_train.json").read_text())
    for index, image in enumerate(document["images"]):
        picture = read(made.out / image["file_name"])
        scene = make(index)
        assert torch.equal(picture.image, scene.image)
        own = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        union = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        for annotation in own:
            union |= decode_mask(annotation["segmentation"])
        assert intersection_over_union(union, scene.alpha[0, 0] > 30 / 255) > 0.97


def from_yolo(text: str, size_hw: tuple[int, int]) -> torch.Tensor:
    """N×H×W bool: what readers of the format make of the labels of one picture."""
    height, width = size_hw
    masks = []
    for line in text.splitlines():
        values = np.array([float(word) for word in line.split()])
        assert len(values) >= 7 and len(values) % 2 == 1, "a class and three points at least"
        corners = (values[1:].reshape(-1, 2) * (width, height)).astype(np.int32)
        masks.append(cv2.fillPoly(np.zeros((height, width), np.uint8), [corners], (1,)) > 0)
    return torch.from_numpy(np.stack(masks) if masks else np.zeros((0, height, width), np.bool_))


def test_yolo_labels_are_rendered_again(made):
    document = json.loads((made.out / "instances_train.json").read_text())
    for index, image in enumerate(document["images"]):
        text = (made.out / made.place(index, "labels")).read_text()
        masks = from_yolo(text, (SIZE, SIZE))
        own = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        assert len(masks) == len(own)
        for mask, annotation in zip(masks, own, strict=True):
            truth = decode_mask(annotation["segmentation"])
            assert intersection_over_union(mask, truth) > 0.93, annotation["id"]
    yaml = (made.out / "data.yaml").read_text()
    assert "train: images/train\n" in yaml and "val: images/train\n" in yaml
    assert "0: character" in yaml


def test_holes_and_parts_survive_yolo():
    y, x = np.mgrid[0:100, 0:140]
    ring = ((x - 40) ** 2 + (y - 50) ** 2 < 30**2) & ((x - 40) ** 2 + (y - 50) ** 2 > 15**2)
    far = (x > 100) & (x < 130) & (y > 20) & (y < 70)
    mask = ring | far
    text = to_yolo(Instances.from_masks(torch.from_numpy(mask)[None]))
    (again,) = from_yolo(text, mask.shape)
    assert intersection_over_union(again, torch.from_numpy(mask)) > 0.96
    assert not again[50, 40] and again[50, 115]
    values = [float(word) for word in text.split()[1:]]
    assert min(values) >= 0 and max(values) <= 1


def test_what_is_too_small_has_no_outline():
    speck = np.zeros((20, 20), np.bool_)
    assert len(outline(speck)) == 0
    speck[4:6, 4:6] = True
    assert to_yolo(Instances.from_masks(torch.from_numpy(speck)[None])) == ""


def test_an_interrupted_run_goes_on_and_ends_the_same(made, make, tmp_path):
    class Stop(Exception):
        pass

    done = []

    def stop():
        done.append(1)
        if len(done) == 3:
            raise Stop

    data = DataSet(tmp_path, "train", {"seed": 0}, "png")
    with pytest.raises(Stop):
        write_scenes(data, make, 6, step=stop)
    (tmp_path / data.place(1, "labels")).unlink()  # somebody took a file away
    assert write_scenes(data, make, 6) == 4
    assert write_scenes(data, make, 6) == 0
    for name in ("instances_train.json", "data.yaml", *map(str, files_of(made, 6))):
        assert (tmp_path / name).read_bytes() == (made.out / name).read_bytes()


def files_of(data, count):
    return [data.place(i, kind) for i in range(count) for kind in ("images", "labels")]


def test_mattes_are_soft_and_say_who_is_in_them(make, tmp_path):
    data = DataSet(tmp_path, "train", {"seed": 0}, "png", mattes=True)
    assert write_scenes(data, make, 2) == 2
    for index in range(2):
        scene = make(index)
        matte = read(tmp_path / data.place(index, "gt")).image
        assert torch.equal(read(tmp_path / data.place(index, "im")).image, scene.image)
        whole = scene.alphas.sum(0).clamp(0, 1)
        assert ((matte - whole).abs() < 0.5 / 0xFF + 1e-6).all()
        assert ((whole > 0.1) & (whole < 0.9)).any()
    items = find_items(tmp_path / "mattes" / "train")
    assert [item.characters for item in items] == [sorted(set(make(i).names)) for i in range(2)]
    (tmp_path / data.place(1, "gt")).unlink()
    assert write_scenes(data, make, 2) == 1
    with pytest.raises(BadInput, match="same settings"):
        write_scenes(DataSet(tmp_path, "train", {"seed": 0}, "png"), make, 2)


def test_several_processes_make_the_same(made, make, tmp_path):
    data = DataSet(tmp_path, "train", {"seed": 0}, "png")
    assert write_scenes(data, make, 6, workers=2) == 6
    for path in files_of(made, 6):
        assert (tmp_path / path).read_bytes() == (made.out / path).read_bytes()
    assert (tmp_path / "instances_train.json").read_text() == (
        made.out / "instances_train.json"
    ).read_text()


def test_settings_are_never_mixed(made, make):
    with pytest.raises(BadInput, match="same settings"):
        write_scenes(DataSet(made.out, "train", {"seed": 1}, "png"), make, 6)
    with pytest.raises(BadInput, match="at least 1"):
        write_scenes(made, make, 0)


def test_foreign_pictures_are_not_overwritten(make, tmp_path):
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "000000.png").write_bytes(b"mine")
    with pytest.raises(BadInput, match="must be empty"):
        write_scenes(DataSet(tmp_path, "train"), make, 1)
    assert (tmp_path / "images" / "train" / "000000.png").read_bytes() == b"mine"
