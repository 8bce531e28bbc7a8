"""Segments of everything, by a tiny Segment Anything of random numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.fake_host import FakeHost, StopFromHost
from toonout_core import SegmentAnythingOptions, segment_anything
from toonout_core.errors import BadInput, CorruptWeights, ToonOutError, UnknownModel
from toonout_core.imaging import to_array
from toonout_core.segmentation import anything
from toonout_core.segmentation.anything import _build, _generator, _layer_norm, _reduced

EVERYTHING = SegmentAnythingOptions(min_iou=-99, min_stability=0, points=4)


@pytest.fixture(scope="module")
def package():
    return pytest.importorskip("segment_anything", reason="the extra `sam` is not installed")


@pytest.fixture(scope="module")
def network(package):
    """As its authors would build it: 16 cells, one block that attends to 2×2, one to all."""
    torch.manual_seed(5)
    parts = package.modeling
    encoder = parts.ImageEncoderViT(
        img_size=64,
        patch_size=16,
        embed_dim=32,
        depth=2,
        num_heads=2,
        mlp_ratio=2,
        out_chans=16,
        norm_layer=_layer_norm,
        use_rel_pos=True,
        window_size=2,
        global_attn_indexes=(1,),
    )
    prompts = parts.PromptEncoder(16, (4, 4), (64, 64), 8)
    decoder = parts.MaskDecoder(
        transformer_dim=16,
        transformer=parts.TwoWayTransformer(1, 16, 8, 32),
        iou_head_depth=2,
        iou_head_hidden_dim=16,
    )
    network = parts.Sam(encoder, prompts, decoder).train(False)
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, std=0.6)  # at first zeros, in part
        if "norm" in name and name.endswith("weight"):
            nn.init.ones_(parameter)
    return network


@pytest.fixture
def folder(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "sam_vit_b_01ec64.pth")
    return tmp_path


@pytest.fixture
def host(folder):
    return FakeHost([folder])


@pytest.fixture
def image():
    return torch.rand(1, 3, 50, 80)


def test_segments_are_those_of_the_package(package, network, host, image):
    found = segment_anything(image, "sam_vit_b", host, EVERYTHING)
    generator = package.SamAutomaticMaskGenerator(
        network,
        points_per_side=4,
        pred_iou_thresh=-99,
        stability_score_thresh=0,
        crop_n_layers=1,
    )
    expected = [mask["segmentation"] for mask in generator.generate(to_array(image)[0])]
    assert sum(bool(0.01 < mask.mean() < 0.99) for mask in expected) >= 1
    assert found.dtype == torch.bool
    assert np.array_equal(found.numpy(), np.stack(expected))


def test_a_file_by_any_name_and_form(network, folder, host, image):
    save_file(network.state_dict(), folder / "mine.safetensors")
    first = segment_anything(image, "sam_vit_b", host, EVERYTHING)
    for checkpoint in ("mine", folder / "sam_vit_b_01ec64.pth"):
        assert torch.equal(segment_anything(image, checkpoint, host, EVERYTHING), first)


def test_a_checkpoint_is_read_once_by_a_host(network, folder, host, image, monkeypatch):
    loaded, load = [], anything._load
    monkeypatch.setattr(anything, "_load", lambda path: loaded.append(path.name) or load(path))
    for _ in range(3):
        segment_anything(image, "sam_vit_b", host, EVERYTHING)
    assert loaded == ["sam_vit_b_01ec64.pth"]
    state = {key: value + 1 for key, value in network.state_dict().items()}
    torch.save(state, folder / "sam_vit_b_01ec64.pth")  # another file of that name
    changed = segment_anything(image, "sam_vit_b", host, EVERYTHING)
    assert torch.equal(
        changed, segment_anything(image, "sam_vit_b", FakeHost([folder]), EVERYTHING)
    )
    assert len(loaded) == 3


def test_batches_of_points_are_steps_and_can_be_stopped(host, image):
    found = segment_anything(image, "sam_vit_b", host, EVERYTHING)
    assert (host.totals, host.steps) == ([5], [1] * 5)  # the picture and four crops
    assert len(host.visits) == 1
    host.steps.clear()
    host.cancel_at = 2
    with pytest.raises(StopFromHost):
        segment_anything(image, "sam_vit_b", host, EVERYTHING)
    assert len(host.steps) == 2
    assert not host.active
    host.cancel_at = None
    assert torch.equal(segment_anything(image, "sam_vit_b", host, EVERYTHING), found)


def test_options_reach_the_generator(network):
    generator = _generator(network, 64, SegmentAnythingOptions())
    assert len(generator.point_grids) == 2
    assert [len(grid) for grid in generator.point_grids] == [32 * 32, 32 * 32]
    assert (generator.pred_iou_thresh, generator.stability_score_thresh) == (0.6, 0.8)
    assert generator.points_per_batch == 64
    few = _generator(network, 7, SegmentAnythingOptions(crop_layers=0, points=8))
    assert few.points_per_batch == 7
    assert [len(grid) for grid in few.point_grids] == [64]


def test_points_at_a_time_are_halved_when_memory_runs_out(host, image, monkeypatch):
    expected = segment_anything(image, "sam_vit_b", FakeHost(host.weight_dirs()), EVERYTHING)
    tried, load = [], anything._load

    def limited(path):
        def check(decoder, args, given):
            tried.append(len(given["sparse_prompt_embeddings"]))
            if tried[-1] > 4:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0.")

        network = load(path)
        network.mask_decoder.register_forward_pre_hook(check, with_kwargs=True)
        return network

    monkeypatch.setattr(anything, "_load", limited)
    # the picture has 4×4 points: up to 64, 32, 16, 8 and 4 at a time; then what fits is known
    for begin in ([16, 16, 16, 8, 4, 4, 4, 4], [4, 4, 4, 4]):
        tried.clear()
        found = segment_anything(image, "sam_vit_b", host, EVERYTHING)
        assert tried[: len(begin)] == begin
        assert max(tried[len(begin) :]) == 4
        assert found.shape == expected.shape
        assert (found != expected).float().mean() < 1e-3


def test_nothing_good_enough(host, image):
    found = segment_anything(image, "sam_vit_b", host, SegmentAnythingOptions(99, points=2))
    assert found.shape == (0, 50, 80)


def test_large_pictures_are_reduced(host, image):
    found = segment_anything(image, "sam_vit_b", host, SegmentAnythingOptions(99, 0, 1, 0, 1, 33))
    assert found.shape == (0, 20, 33)
    assert _reduced(torch.zeros(1, 3, 4000, 6000), 1920).shape == (1, 3, 1280, 1920)


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_published_sizes_are_read_from_the_shapes(package, size):
    with torch.device("meta"):
        wanted = package.sam_model_registry[size]()
        built = _build(wanted.state_dict())
    assert shapes(built) == shapes(wanted)
    for ours, theirs in zip(built.modules(), wanted.modules(), strict=True):
        assert type(ours) is type(theirs)
        assert numbers(ours) == numbers(theirs.train(True))
    assert built.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert built.pixel_std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def numbers(module: nn.Module) -> dict[str, object]:
    """What its constructor was told."""
    plain = (bool, int, float, tuple)
    return {key: value for key, value in vars(module).items() if isinstance(value, plain)}


def test_what_is_missing_is_named(host, image, folder, monkeypatch):
    with pytest.raises(UnknownModel, match=r"models/sams") as caught:
        segment_anything(image, "sam_vit_h", host)
    assert "sam_vit_h_4b8939.pth" in str(caught.value)
    assert str(folder) in str(caught.value)
    with pytest.raises(BadInput, match="1×3×H×W"):
        segment_anything(image[0], "sam_vit_b", host)
    for name in [name for name in sys.modules if name.split(".")[0] == "segment_anything"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ToonOutError, match=r'segment-anything, .*install -e "\.\[sam\]"'):
        segment_anything(image, "sam_vit_b", host)


def test_other_files_are_refused(network, folder, host, image):
    state = network.state_dict()
    better = {**state, "mask_decoder.hf_token.weight": torch.zeros(1, 16)}
    torch.save(better, folder / "sam_hq.pth")
    with pytest.raises(CorruptWeights, match="hf_token"):
        segment_anything(image, "sam_hq", host)
    save_file({"conv.weight": torch.zeros(1)}, folder / "other.safetensors")
    with pytest.raises(CorruptWeights, match="another network"):
        segment_anything(image, "other", host)


def test_code_in_a_checkpoint_never_runs(network, folder, host, image):
    class Toucher:
        def __reduce__(self):
            return (open, (str(folder / "touched"), "w"))

    torch.save({"model": network.state_dict(), "hook": Toucher()}, folder / "hostile.pth")
    found = segment_anything(image, "hostile", host, EVERYTHING)
    assert len(found)
    assert not (folder / "touched").exists()
