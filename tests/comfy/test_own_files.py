"""Files that a user puts into ComfyUI's folders are found there, by what loads them."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
import torch

from tests.comfy.characters import at_places
from tests.comfy.fake_comfy import PACK
from tests.test_own_files import of_that_size, write_pair

FOLDERS = ["anime_instance", "background_removal", "AnimeInstanceSegmentation"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_two_files_in_the_models_folder_are_enough(nodes, host, monkeypatch, folder, caplog):
    place = host.models / folder
    place.mkdir(parents=True, exist_ok=True)
    write_pair(place, full=False, side_px=64)
    for name in ("weights", "weight_files.locating"):
        module = import_module(f"{PACK}.toonout_core.{name}")
        monkeypatch.setattr(module, "WEIGHTS", of_that_size(place))
    load = nodes["ToonOut_LoadSegmenter"]
    (segmenter,) = at_places(load, "anime-instances", "auto", False, "fp32").result
    assert segmenter.pipeline.loaded.path == place / "rtmdetl_e60.ckpt"
    assert segmenter.pipeline.refiner.loaded.path == place / "refine_last.ckpt"
    assert caplog.text.count("bears the name") == 2
    found = segmenter.pipeline.segment(torch.rand(1, 3, 40, 60))
    assert found[0].size_hw == (40, 60)


def test_checkpoints_of_segment_anything_are_found(nodes, host):
    """By name alone, through the host."""
    pytest.importorskip("segment_anything", reason="the extra `sam` is not installed")
    place = host.models / "sams"
    place.mkdir(parents=True, exist_ok=True)
    (place / "sam_vit_b_01ec64.pth").write_bytes(b"")
    comfy = sys.modules[f"{PACK}.comfy_nodes.host"].ComfyHost()
    assert place in comfy.weight_dirs()
    anything = import_module(f"{PACK}.toonout_core.segmentation.anything")
    error = sys.modules[f"{PACK}.toonout_core.errors"].CorruptWeights
    with pytest.raises(error, match=r"sam_vit_b_01ec64\.pth must be .* but is empty"):
        anything.segment_anything(torch.rand(1, 3, 8, 8), "sam_vit_b", comfy)
