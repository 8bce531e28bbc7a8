"""Cut Out Character: what it remembers, what it shares, how it counts, what it refuses."""

from __future__ import annotations

import gc
import sys

import pytest
import torch

from tests.comfy.characters import at_places
from tests.comfy.fake_comfy import PACK
from tests.comfy.luma import write_luma_model
from tests.comfy.test_nodes import Threshold, error_class, matte, squares, submodule


@pytest.fixture
def model(nodes, host):
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    load = nodes["ToonOut_LoadMatting"]
    (loaded,) = at_places(load, "luma.safetensors", False, "auto", "auto", 64).result
    return loaded


def calls(model):
    """A list that grows by the number of frames whenever the network runs."""
    seen = []
    network = model.matting.loaded.network
    network.register_forward_hook(lambda network, given, answer: seen.append(len(answer)))
    return seen


# ---------------------------------------------------------------- the last matte


def test_other_radii_do_not_run_the_network_again(nodes, model):
    ran, image = calls(model), squares(3)
    image[1:] += torch.rand(2, 64, 64, 3) / 20
    first = matte(nodes, model, image)
    again = matte(nodes, model, image.clone(), radius_px=5, refine_radius_px=0)
    plain = matte(nodes, model, image, clean_colours=False)
    assert ran == [1, 1, 1]
    assert torch.equal(first[2], again[2])
    assert torch.equal(first[2], plain[2])
    assert not torch.equal(first[1], again[1])


@pytest.mark.parametrize(
    "change", [{"resolution": 128}, {"fit": "pad"}, {"image": 0.5}, {"own": 0.5}, {"model": 1}]
)
def test_whatever_the_answer_depends_on_runs_it_again(nodes, model, host, change):
    image, options = squares(channels=4), dict(change)
    matte(nodes, model, image)
    image = image.clone()  # and the same tensor, changed in place
    if "image" in options:
        image[..., :3] *= options.pop("image")
    if "own" in options:
        image[..., 3] = options.pop("own")
    if options.pop("model", None):
        model = at_places(
            nodes["ToonOut_LoadMatting"], "luma.safetensors", False, "auto", "auto", 64
        )
        (model,) = model.result
    ran = calls(model)
    matte(nodes, model, image, **options)
    assert ran == [1]


def test_a_picture_that_was_changed_in_place_is_another_one(nodes, model):
    image = squares()
    _, _, before = matte(nodes, model, image)
    image.numpy()[:] = 1 - image.numpy()  # behind torch's back
    _, _, after = matte(nodes, model, image)
    assert torch.equal(before > 0.5, after < 0.5)


def test_mattes_go_with_their_model(nodes):
    kept = submodule("models")._mattes
    foreign = Threshold()
    matte(nodes, foreign, squares(2))
    assert foreign.steps == [1]  # the frames are alike
    assert len(kept) == 1
    del foreign
    gc.collect()
    assert len(kept) == 0


def test_a_model_that_cannot_be_watched_is_asked_each_time(nodes):
    class Unwatched(Threshold):
        __hash__ = None

    model = Unwatched()
    for _ in range(2):
        matte(nodes, model, squares())
    assert model.steps == [1, 1]


def test_two_models_of_another_loader_do_not_share_mattes(nodes):
    models = Threshold(), Threshold()
    for model in models:
        matte(nodes, model, squares())
    assert [model.steps for model in models] == [[1], [1]]


def test_comfyui_remembers_more_than_others(nodes, model):
    """A user of a graph changes radii and looks again: 64 pictures of 1024² wait for that."""
    assert model.matting.loaded.mattes.limit_bytes == 256 << 20


def test_a_clip_that_is_too_long_is_cut_out_without_it(nodes, monkeypatch):
    monkeypatch.setattr(submodule("models"), "LIMIT_BYTES", 64 * 64 * 4)
    model, image = Threshold(), squares(2)
    for _ in range(2):
        matte(nodes, model, image)
    assert model.steps == [1, 1, 1, 1]


# ---------------------------------------------------------------- outputs


def test_foreground_and_mask_are_views_of_the_cutout(nodes, model):
    image = squares(2)
    for cutout, foreground, mask in (
        matte(nodes, model, image),
        nodes["ToonOut_EstimateForeground"].execute(image, torch.rand(2, 64, 64), 9, 3).result,
    ):
        assert cutout.is_contiguous()
        storages = {t.untyped_storage().data_ptr() for t in (cutout, foreground, mask)}
        assert len(storages) == 1
        assert foreground.shape == (2, 64, 64, 3)
        assert mask.shape == (2, 64, 64)


def test_no_frames_give_no_frames(nodes, model, host):
    for remover in (model, Threshold()):
        cutout, foreground, mask = matte(nodes, remover, torch.zeros(0, 20, 30, 3))
        assert cutout.shape == (0, 20, 30, 4)
        assert foreground.shape == (0, 20, 30, 3)
        assert mask.shape == (0, 20, 30)
    assert model.encode_image(torch.zeros(0, 20, 30, 3)).shape == (0, 20, 30)


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("step", [1, 2, 64])
def test_a_unit_for_every_frame_and_stage_and_the_end_is_full(nodes, model, host, clean, step):
    image, total = torch.rand(5, 32, 32, 3), 10 if clean else 5
    for _ in range(2):  # from the network, then from memory
        host.progress.clear()
        matte(nodes, model, image, clean_colours=clean, frames_per_step=step)
        assert {of for _, of in host.progress} == {total}
        done = [value for value, _ in host.progress]
        assert done == sorted(done)
        assert done[-1] == total


def test_a_bar_within_another_is_one_unit_of_it(nodes, host):
    comfy = submodule("host").ComfyHost()
    with comfy.progress(2, "outer") as outer:
        with comfy.progress(4, "inner") as inner:
            for _ in range(4):
                inner(1)
        outer(1)
        with comfy.progress(2, "inner") as inner:
            inner(1)
        outer(1)
    assert [value for value, _ in host.progress] == [0.25, 0.5, 0.75, 1, 1, 1.5, 2]
    assert {total for _, total in host.progress} == {2}


# ---------------------------------------------------------------- memory of the device


def test_comfyui_unloads_its_models_before_one_frame_is_tried_again(nodes, model, host):
    fails = []

    def out_of_memory(network, given):
        if len(fails) < 2:
            fails.append(1)
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    model.matting.loaded.network.register_forward_pre_hook(out_of_memory)
    _, _, mask = matte(nodes, model, squares(2), frames_per_step=2)
    assert mask[:, 32, 32].min() > 0.99
    assert host.unloaded == 2


def test_too_little_for_one_frame_is_a_sentence(nodes, model, host):
    def out_of_memory(network, given):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    model.matting.loaded.network.register_forward_pre_hook(out_of_memory)
    with pytest.raises(error_class(nodes), match=r"luma must have about .* Lower the resolution"):
        matte(nodes, model, squares())
    assert host.unloaded == 2  # one more try with all of the device


def test_colours_that_find_no_room_are_estimated_once_more(nodes, host, monkeypatch):
    flow = sys.modules[f"{PACK}.toonout_core.flow"]
    estimate, fails = flow.estimate_foreground, []

    def tight(*arguments, **rest):
        if len(fails) < 2:
            fails.append(1)
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0.")
        return estimate(*arguments)

    expected = matte(nodes, Threshold(), squares())
    monkeypatch.setattr(flow, "estimate_foreground", tight)
    assert torch.equal(matte(nodes, Threshold(), squares())[0], expected[0])
    assert len(fails) == 2


def test_the_hosts_word_on_half_precision_counts(nodes, host, monkeypatch):
    comfy, half = submodule("host").ComfyHost(), torch.float16
    monkeypatch.setattr(submodule("host"), "fast_half", lambda device: half)
    management = sys.modules["comfy.model_management"]
    cuda = torch.device("cuda")
    assert comfy.half(cuda) is None
    monkeypatch.setattr(management, "should_use_fp16", lambda device=None: True)
    assert comfy.half(cuda) is half
    monkeypatch.setattr(submodule("host"), "fast_half", lambda device: None)
    assert comfy.half(cuda) is None


def test_an_odd_torch_does_not_make_every_error_one_of_memory(nodes, monkeypatch):
    """Where torch has no class for it, ComfyUI's is Exception."""
    monkeypatch.setattr(sys.modules["comfy.model_management"], "OOM_EXCEPTION", Exception)
    comfy = submodule("host").ComfyHost()
    assert not comfy.out_of_memory(ValueError("something else"))
    assert comfy.out_of_memory(MemoryError())


# ---------------------------------------------------------------- what is no picture


@pytest.mark.parametrize("node", ["Matte", "RemoveBackground", "EstimateForeground"])
@pytest.mark.parametrize("value", [float("nan"), 200.0])
def test_no_number_is_a_sentence(nodes, model, node, value):
    image = squares()
    image[0, 3, 5, 1] = value
    call = {
        "Matte": lambda: matte(nodes, model, image),
        "RemoveBackground": lambda: model.encode_image(image),
        "EstimateForeground": lambda: nodes["ToonOut_EstimateForeground"].execute(
            image, torch.ones(1, 64, 64), 9, 3
        ),
    }[node]
    with pytest.raises(error_class(nodes), match=r"image must (have|hold) numbers"):
        call()


@pytest.mark.parametrize("foreign", [False, True])
def test_a_model_without_numbers_is_a_sentence(nodes, model, foreign):
    class Lost(Threshold):
        def encode_image(self, image):
            return super().encode_image(image) * float("nan")

    remover = Lost() if foreign else model
    if not foreign:
        model.matting.loaded.network.head.bias[0] = float("nan")
    with pytest.raises(error_class(nodes), match="must answer with a number everywhere"):
        matte(nodes, remover, squares())


def test_hidden_colours_of_a_background_do_not_show(nodes):
    background = torch.zeros(1, 64, 64, 4)
    background[..., 0] = 1  # red, wholly transparent
    out = nodes["ToonOut_Compose"].execute(
        squares(), "#00ff00", "cover", mask=torch.zeros(1, 64, 64), background=background
    )
    assert torch.equal(out.result[0], torch.tensor([0.0, 1, 0]).expand(1, 64, 64, 3))
