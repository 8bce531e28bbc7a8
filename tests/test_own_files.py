"""Files that a user puts into a folder under their published names: nothing else is needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.fake_host import FakeHost
from toonout_core import SegmentOptions, load_segmenter, weights
from toonout_core.models.isnet import ISNet
from toonout_core.models.rtmdet_ins import RTMDetIns
from toonout_core.segmentation.refining import Refiner
from toonout_core.weight_files import locating

NARROW = {"widths": (8, 8, 16, 16, 32), "depths": (1, 1, 1, 1), "neck_channels": 8}
NARROW |= {"neck_blocks": 1, "channels": 8, "mask_channels": 8}

# as the published detector carries it: Python that is read, never run
CONFIG = """\
img_scale = (640, 640, )
model = dict(
    type='RTMDet',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=False, batch_augments=None),
    backbone=dict(type='CSPNeXt', arch='P5', norm_cfg=dict(type='SyncBN')),
    bbox_head=dict(type='RTMDetInsSepBNHeadCustom', num_classes=1, share_conv=True),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6)))
test_pipeline = [
    dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True),
    dict(type='Pad', size=(SIDE, SIDE), pad_val=dict(img=(114, 114, 114)))]
"""


def write_pair(folder: Path, *, full: bool, side_px: int) -> None:
    """Detector and refiner of random numbers, in the form of the published files."""
    detector = lively(RTMDetIns() if full else RTMDetIns(**NARROW))
    state = OrderedDict(detector.state_dict())
    text = CONFIG.replace("SIDE", str(side_px))
    meta = {"cfg": text, "dataset_meta": {"classes": ("object",)}, "epoch": 60, "iter": 1000}
    torch.save({"meta": meta, "state_dict": state}, folder / "rtmdetl_e60.ckpt")
    refiner = lively(ISNet(channels_in=4) if full else ISNet(channels_in=4, width=8))
    torch.save(OrderedDict(refiner.state_dict()), folder / "refine_last.ckpt")


def lively(network: nn.Module) -> nn.Module:
    """With norms that do something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def of_that_size(folder: Path) -> tuple[weights.Weights, ...]:
    """The table, as if the published files were as small as those in `folder`."""
    return tuple(
        replace(
            row,
            size_bytes=(folder / row.file).stat().st_size,
            input=replace(row.input, size_hw=(64, 64)),
        )
        if row.file and (folder / row.file).is_file()
        else row
        for row in weights.WEIGHTS
    )


def test_two_files_are_enough(tmp_path, monkeypatch, caplog):
    write_pair(tmp_path, full=False, side_px=64)
    for module in (weights, locating):
        monkeypatch.setattr(module, "WEIGHTS", of_that_size(tmp_path))
    check(FakeHost([tmp_path]), side_px=64)
    assert caplog.text.count("sha256") == 2
    for row in weights.WEIGHTS:
        if row.name in ("anime-instances", "anime-refiner"):
            assert row.sha256 in caplog.text
            assert row.url in caplog.text


@pytest.mark.slow
def test_two_files_of_published_size_are_enough(tmp_path):
    write_pair(tmp_path, full=True, side_px=640)
    check(FakeHost([tmp_path]), side_px=640)


def check(host: FakeHost, side_px: int) -> None:
    """By its name alone; a download would be an error, as in every test."""
    segmenter = load_segmenter("anime-instances", host=host)
    assert segmenter.name == "anime-instances"
    assert segmenter.loaded.licence == "MIT"
    assert segmenter.loaded.network.side_px == side_px
    assert isinstance(segmenter.refiner, Refiner)
    assert segmenter.refiner.loaded.name == "anime-refiner"
    options = SegmentOptions(min_score=0, limit=2)
    for found in segmenter.segment(torch.rand(1, 3, 90, 120), options):
        assert found.size_hw == (90, 120)
        assert len(found) <= 2
