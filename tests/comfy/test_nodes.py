"""The nodes, run as ComfyUI runs them, on a fake host."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.comfy.characters import at_places
from tests.comfy.fake_comfy import PACK, Interrupted
from tests.comfy.luma import write_luma_model

DARK, LIGHT = 0.15, 0.9
EXACT = [0, 1, 64, 128, 254, 255]


def submodule(name):
    return sys.modules[f"{PACK}.comfy_nodes.{name}"]


def error_class(nodes):
    return sys.modules[f"{PACK}.toonout_core.errors"].ToonOutError


def squares(frames=1, size_hw=(64, 64), channels=3):
    image = torch.full((frames, *size_hw, channels), DARK)
    image[:, size_hw[0] // 4 : -size_hw[0] // 4, size_hw[1] // 4 : -size_hw[1] // 4, :3] = LIGHT
    if channels == 4:
        image[..., 3] = 1
    return image


class Threshold:
    """A model of another loader: what is light is character."""

    def __init__(self, fail_above=None):
        self.steps, self.fail_above = [], fail_above

    def encode_image(self, image):
        self.steps.append(len(image))
        if self.fail_above is not None and len(image) > self.fail_above:
            raise torch.cuda.OutOfMemoryError
        return (image[..., :3].mean(-1) > 0.5).float()


def matte(nodes, model, image, **options):
    given = dict(
        resolution=0,
        fit="squash",
        clean_colours=True,
        radius_px=20,
        refine_radius_px=4,
        frames_per_step=1,
        source_alpha="multiply",
    )
    return nodes["ToonOut_Matte"].execute(model=model, image=image, **(given | options)).result


@pytest.fixture
def luma(nodes, host):
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    return at_places(nodes["ToonOut_LoadMatting"], "luma.safetensors", False, "auto", "auto", 64)


# ---------------------------------------------------------------- Load Matting


def test_loader_lists_the_table_and_the_files(nodes, host):
    folder = host.models / "background_removal"
    write_luma_model(folder / "mine.safetensors")
    write_luma_model(host.models / "RMBG" / "BiRefNet" / "theirs.pth")
    (folder / "README.txt").write_text("not a model")
    options = nodes["ToonOut_LoadMatting"].define_schema().inputs[0].options
    assert options[0] == "toonout-mini"
    assert "toonout" in options
    assert options[-2:] == ["mine.safetensors", "RMBG/BiRefNet/theirs.pth"]
    assert "README.txt" not in options


def test_folders_of_extra_model_paths_are_kept(host):
    elsewhere = host.models.parent / "elsewhere"
    host.folders["background_removal"] = ([str(elsewhere)], set())
    from tests.comfy.fake_comfy import load_pack

    load_pack()
    import asyncio

    extension = asyncio.run(sys.modules[PACK].comfy_entrypoint())
    asyncio.run(extension.get_node_list())
    paths, suffixes = host.folders["background_removal"]
    assert paths == [str(elsewhere), str(host.models / "background_removal")]
    assert ".safetensors" in suffixes
    write_luma_model(elsewhere / "shared.pth")
    assert submodule("menus").matting_file("shared.pth") == elsewhere / "shared.pth"


def test_missing_model_is_a_sentence_with_the_folders(nodes, host):
    answer = nodes["ToonOut_LoadMatting"].validate_inputs("gone.safetensors")
    assert "'gone.safetensors'" in answer
    assert str(host.models / "background_removal") in answer
    assert str(host.models / "BiRefNet") in answer
    assert nodes["ToonOut_LoadMatting"].validate_inputs("toonout-mini") is True
    assert nodes["ToonOut_LoadMatting"].validate_inputs(None) is True


def test_a_file_that_changed_is_loaded_again(nodes, host):
    loader = nodes["ToonOut_LoadMatting"]
    path = write_luma_model(host.models / "background_removal" / "mine.safetensors")
    before = loader.fingerprint_inputs(model="mine.safetensors", precision="auto")
    assert loader.fingerprint_inputs(model="mine.safetensors") == before
    path.write_bytes(path.read_bytes() + b" ")
    assert loader.fingerprint_inputs(model="mine.safetensors") != before
    assert loader.fingerprint_inputs(model="toonout") == "toonout"


def test_downloads_can_be_forbidden(nodes):
    with pytest.raises(error_class(nodes), match="toonout"):
        at_places(nodes["ToonOut_LoadMatting"], "toonout", False, "auto", "auto", 0)


@pytest.mark.parametrize("name", ["a.safetensors", "b.pth"])
def test_loaded_object_is_what_core_nodes_call(nodes, host, name):
    write_luma_model(host.models / "background_removal" / name)
    (model,) = at_places(nodes["ToonOut_LoadMatting"], name, False, "auto", "auto", 64).result
    mask = model.encode_image(squares(2))
    assert mask.shape == (2, 64, 64)
    assert mask.dtype == torch.float32
    assert mask[:, 32, 32].min() > 0.99
    assert mask[:, 4, 4].max() < 0.01
    assert model.encode_image(squares(1), image_size=128).shape == (1, 64, 64)


# ---------------------------------------------------------------- Matte


def test_matte_gives_cutout_foreground_and_mask(nodes, luma):
    cutout, foreground, mask = matte(nodes, *luma.result, squares(2, (48, 80)))
    assert cutout.shape == (2, 48, 80, 4)
    assert foreground.shape == (2, 48, 80, 3)
    assert mask.shape == (2, 48, 80)
    assert torch.equal(cutout[..., 3], mask)
    assert torch.equal(cutout[..., :3], foreground)
    assert all(tensor.dtype == torch.float32 for tensor in (cutout, foreground, mask))
    assert all(tensor.min() >= 0 and tensor.max() <= 1 for tensor in (cutout, foreground, mask))
    assert mask[:, 24, 40].min() > 0.99
    assert mask[:, 2, 2].max() < 0.01


def test_old_background_is_nowhere_in_the_result(nodes):
    _, foreground, mask = matte(nodes, Threshold(), squares())
    assert (foreground[mask == 0] - DARK).abs().min() > 0.1


def test_without_clean_colours_the_hidden_background_is_gone_too(nodes):
    cutout, foreground, mask = matte(nodes, Threshold(), squares(), clean_colours=False)
    assert foreground[mask == 0].max() == 0
    assert torch.equal(cutout[mask == 1][:, :3], squares()[mask == 1])


def test_cutting_out_needs_no_opencv(nodes, luma, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    _, foreground, mask = matte(nodes, *luma.result, squares())
    assert mask[0, 32, 32] > 0.99
    assert (foreground[mask < 0.01] - DARK).abs().min() > 0.1


def test_source_alpha_is_multiplied_or_ignored(nodes):
    image = squares(channels=4)
    image[:, :, :32, 3] = 0
    _, _, kept = matte(nodes, Threshold(), image)
    _, _, ignored = matte(nodes, Threshold(), image, source_alpha="ignore")
    assert kept[:, :, :32].max() == 0
    assert kept[:, 32, 40] == 1
    assert ignored[:, 32, 24] == 1


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("size_hw", [(1, 1), (37, 91), (300, 20)])
def test_mask_has_the_pictures_size(nodes, luma, fit, size_hw):
    for model in (luma.result[0], Threshold()):
        image = torch.rand(1, *size_hw, 3)
        assert matte(nodes, model, image, fit=fit)[2].shape == (1, *size_hw)


def test_foreign_models_run_step_by_step(nodes, host):
    model = Threshold()
    matte(nodes, model, torch.rand(5, 64, 64, 3), frames_per_step=2, clean_colours=False)
    assert model.steps == [2, 2, 1]
    assert host.progress[-1] == (5, 5)


def test_a_foreign_model_that_runs_out_of_memory_gets_less_at_a_time(nodes, host):
    model = Threshold(fail_above=1)
    _, _, mask = matte(nodes, model, squares(4), frames_per_step=4)
    assert model.steps == [4, 2, 1, 1, 1, 1]
    assert mask[:, 32, 32].min() == 1
    assert host.emptied == 2
    with pytest.raises(error_class(nodes), match="Threshold needs more memory"):
        matte(nodes, Threshold(fail_above=0), squares())


def test_resolution_of_a_foreign_model_is_refused_or_passed_on(nodes):
    with pytest.raises(error_class(nodes), match="resolution must be 0 for Threshold"):
        matte(nodes, Threshold(), squares(), resolution=512)

    class Sized(Threshold):
        def encode_image(self, image, resolution=None):
            self.resolution = resolution
            return super().encode_image(image)

    model = Sized()
    matte(nodes, model, squares(), resolution=512)
    assert model.resolution == 512


def test_only_models_fit_the_socket(nodes):
    with pytest.raises(error_class(nodes), match="Connect Load Matting Model"):
        matte(nodes, "toonout", squares())


def test_progress_counts_matting_and_colours_on_one_bar(nodes, host, luma):
    host.progress.clear()
    matte(nodes, *luma.result, squares(3))
    assert host.progress == [(value, 6) for value in range(1, 7)]
    kind, picture, side = host.previews[-1]
    assert isinstance(picture, Image.Image)
    assert (kind, side) in {("PNG", 512), ("JPEG", 512)}


def test_stop_passes_unchanged_and_at_once(nodes, host, luma):
    host.progress.clear()
    host.interrupt_after = 2
    with pytest.raises(Interrupted):
        matte(nodes, *luma.result, squares(9), clean_colours=False)
    assert len(host.progress) == 2


def test_the_patcher_lives_with_the_pipeline(nodes, host, luma):
    host.loaded.clear()
    matte(nodes, *luma.result, squares(3), frames_per_step=3)
    (first, memory), *others = host.loaded
    assert memory > 64 * 64 * 3 * 4 * 3
    assert all(patcher is first for patcher, _ in others)
    assert first.model is luma.result[0].matting.loaded.network


# ---------------------------------------------------------------- Estimate Foreground, Adjust


@pytest.mark.parametrize("frames", [(1, 1), (1, 3), (3, 1), (3, 3)])
@pytest.mark.parametrize("channels", [3, 4])
def test_batches_of_one_go_with_any(nodes, frames, channels):
    image = squares(frames[0], (20, 30), channels)
    mask = torch.rand(frames[1], 20, 30)
    cutout, foreground, out = nodes["ToonOut_EstimateForeground"].execute(image, mask, 9, 3).result
    assert cutout.shape == (max(frames), 20, 30, 4)
    assert foreground.shape == (max(frames), 20, 30, 3)
    assert torch.allclose(out, mask.expand(max(frames), 20, 30))


@pytest.mark.parametrize("node", ["ToonOut_EstimateForeground", "ToonOut_Compose"])
def test_unequal_batches_are_a_sentence(nodes, node):
    arguments = (9, 3) if node == "ToonOut_EstimateForeground" else ("white", "cover")
    inputs = {"mask": torch.rand(3, 20, 30)}
    if node == "ToonOut_EstimateForeground":
        call = lambda: nodes[node].execute(squares(2, (20, 30)), inputs["mask"], *arguments)  # noqa: E731
    else:
        call = lambda: nodes[node].execute(squares(2, (20, 30)), *arguments, **inputs)  # noqa: E731
    with pytest.raises(error_class(nodes), match=r"equal length.*2 in .* and 3 in mask"):
        call()


def test_a_mask_of_another_size_is_a_sentence(nodes):
    estimate = nodes["ToonOut_EstimateForeground"]
    with pytest.raises(error_class(nodes), match="image's size 30×20, but got 31×20"):
        estimate.execute(squares(1, (20, 30)), torch.rand(1, 20, 31), 9, 3)
    with pytest.raises(error_class(nodes), match="Load Image gives an empty 64×64 mask"):
        estimate.execute(squares(1, (20, 30)), torch.zeros(1, 64, 64), 9, 3)


@pytest.mark.parametrize("shape", [(20, 30), (1, 20, 30), (1, 1, 20, 30), (1, 20, 30, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_masks_of_any_shape_and_type(nodes, shape, dtype):
    mask = torch.ones(shape, dtype=dtype)
    estimated = nodes["ToonOut_EstimateForeground"].execute(squares(1, (20, 30)), mask, 9, 3)
    assert estimated.result[2].shape == (1, 20, 30)
    assert torch.equal(estimated.result[1], squares(1, (20, 30)))


def adjust(nodes, mask, **options):
    given = dict(
        black_point=0.0,
        white_point=1.0,
        gamma=1.0,
        grow_px=0.0,
        feather_px=0.0,
        fill_holes_px=0,
        drop_specks_px=0,
    )
    return nodes["ToonOut_AdjustMatte"].execute(mask, **(given | options)).result[0]


def test_adjust_changes_nothing_by_itself(nodes):
    mask = torch.rand(2, 20, 30)
    assert torch.equal(adjust(nodes, mask), mask)


def test_adjust_does_what_its_widgets_say(nodes):
    mask = torch.zeros(1, 40, 40)
    mask[:, 10:30, 10:30] = 1
    assert adjust(nodes, mask, grow_px=3).sum() > mask.sum() > adjust(nodes, mask, grow_px=-3).sum()
    assert 0 < adjust(nodes, mask, feather_px=4)[0, 9, 20] < 1
    dirty = mask.clone()
    dirty[:, 20, 20] = 0
    dirty[:, 2, 2] = 1
    assert torch.equal(adjust(nodes, dirty, fill_holes_px=4, drop_specks_px=4), mask)
    veil = torch.tensor([[[0.1, 0.5, 0.9]]])
    levelled = adjust(nodes, veil, black_point=0.2, white_point=0.8)
    assert torch.allclose(levelled, torch.tensor([[[0.0, 0.5, 1.0]]]))
    assert adjust(nodes, veil, gamma=2.0)[0, 0, 1] > 0.5 > adjust(nodes, veil, gamma=0.5)[0, 0, 1]


# ---------------------------------------------------------------- Compose


def compose(nodes, foreground, colour="#ff0000", fit="cover", **inputs):
    return nodes["ToonOut_Compose"].execute(foreground, colour, fit, **inputs).result[0]


def test_colour_is_exact_where_nothing_is(nodes):
    mask = torch.zeros(1, 20, 30)
    mask[:, :, 15:] = 1
    out = compose(nodes, squares(1, (20, 30)), mask=mask)
    assert out.shape == (1, 20, 30, 3)
    assert torch.equal(out[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(out[:, :, 15:], squares(1, (20, 30))[:, :, 15:])


def test_a_cutout_brings_its_own_alpha(nodes):
    cutout = torch.cat((squares(1, (20, 30)), torch.full((1, 20, 30, 1), 0.5)), -1)
    expected = 0.5 * squares(1, (20, 30)) + 0.5 * torch.tensor([1.0, 0.0, 0.0])
    assert torch.allclose(compose(nodes, cutout), expected, atol=1e-6)
    assert torch.equal(compose(nodes, squares(1, (20, 30))), squares(1, (20, 30)))


@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
@pytest.mark.parametrize("background_hw", [(20, 30), (64, 48), (7, 200), (1, 1)])
def test_backgrounds_of_any_size_fill_the_picture(nodes, fit, background_hw):
    mask = torch.zeros(1, 20, 30)
    background = torch.full((1, *background_hw, 3), 0.25)
    out = compose(nodes, squares(1, (20, 30)), fit=fit, mask=mask, background=background)
    assert out.shape == (1, 20, 30, 3)
    assert (out[0, 9:11, 15] - 0.25).abs().amax(-1).min() < 1e-6
    bars = (out - torch.tensor([1.0, 0.0, 0.0])).abs().amax(-1) < 1e-6
    same_shape = background_hw[0] * 30 == background_hw[1] * 20
    assert bool(bars.any()) == (fit == "contain" and not same_shape)


def test_cover_keeps_the_middle_and_the_aspect(nodes):
    background = torch.zeros(1, 10, 40, 3)
    background[:, :, 15:25] = 1  # the middle quarter, white
    mask = torch.zeros(1, 20, 20)
    out = compose(nodes, squares(1, (20, 20)), mask=mask, background=background)
    assert out.mean() > 0.9
    assert torch.equal(out[0, 10, 10], torch.ones(3))


def test_one_background_goes_with_a_clip_and_the_other_way_round(nodes):
    mask = torch.zeros(1, 20, 30)
    back = torch.rand(4, 20, 30, 3)
    assert torch.allclose(compose(nodes, squares(1, (20, 30)), mask=mask, background=back), back)
    clip = compose(nodes, squares(4, (20, 30)), mask=mask, background=back[:1])
    assert torch.allclose(clip, back[:1].expand(4, -1, -1, -1))


def test_a_wrong_colour_is_a_sentence(nodes):
    with pytest.raises(error_class(nodes), match="reddish"):
        compose(nodes, squares(), colour="reddish", mask=torch.zeros(1, 64, 64))


# ---------------------------------------------------------------- Save Cutout, Load Folder


def save(nodes, image, prefix="toonout/cutout", format="png", quality=100, **inputs):
    node = nodes["ToonOut_SaveCutout"]
    given = {"filename_prefix": prefix, "format": format, "quality": quality} | inputs
    return node.execute(image, **given).ui.results


def ladder():
    """A picture whose alpha and colours are levels of 8 bit that truncation would lower."""
    levels = torch.tensor(EXACT, dtype=torch.float32) / 255
    return levels.view(1, 1, 6, 1).expand(1, 2, 6, 4).contiguous()


@pytest.mark.parametrize("format", ["png", "webp", "png 16 bit"])
def test_alpha_survives_save_and_load(nodes, host, format):
    save(nodes, ladder(), "round/trip", format)
    images, names = folder(nodes, str(host.output / "round"), "*", False, 0, 0, True)
    assert names == ["trip_00001_"]
    assert (images[0] * 255).round().int()[0, 0, :, 3].tolist() == EXACT
    visible = slice(None) if format != "webp" else slice(1, None)
    assert (images[0] * 255).round().int()[0, 0, visible, 0].tolist() == EXACT[visible]


def test_mask_takes_the_place_of_alpha(nodes, host):
    (item,) = save(nodes, ladder(), mask=torch.ones(1, 2, 6))
    with Image.open(host.output / item["subfolder"] / item["filename"]) as saved:
        assert saved.mode == "RGBA"
        assert np.asarray(saved)[..., 3].min() == 255


def test_opaque_pictures_are_saved_opaque(nodes, host):
    (item,) = save(nodes, squares())
    with Image.open(host.output / item["subfolder"] / item["filename"]) as saved:
        assert saved.mode == "RGB"


def test_nothing_is_overwritten_and_nothing_half_is_left(nodes, host):
    for _ in range(2):
        save(nodes, squares(2))
        save(nodes, squares(1), names="girl")
        save(nodes, squares(2), names="clip.v2")
    files = sorted(path.name for path in (host.output / "toonout").iterdir())
    assert files == [
        "clip.v2_0001.png",
        "clip.v2_0001_2.png",
        "clip.v2_0002.png",
        "clip.v2_0002_2.png",
        "cutout_00001_.png",
        "cutout_00002_.png",
        "cutout_00003_.png",
        "cutout_00004_.png",
        "girl.png",
        "girl_2.png",
    ]


def test_names_with_folders_make_folders(nodes, host):
    (item,) = save(nodes, squares(), "batch/x", names="chapter 1/girl")
    assert (item["subfolder"], item["filename"]) == ("batch/chapter 1", "girl.png")
    assert (host.output / "batch" / "chapter 1" / "girl.png").is_file()


@pytest.mark.parametrize("format", ["png", "png 16 bit", "webp"])
def test_the_workflow_is_inside(nodes, host, monkeypatch, format):
    prompt = {"1": {"class_type": "X"}}
    hidden = SimpleNamespace(prompt=prompt, extra_pnginfo={"workflow": {"a": 1}})
    monkeypatch.setattr(nodes["ToonOut_SaveCutout"], "hidden", hidden)
    (item,) = save(nodes, squares(), format=format)
    with Image.open(host.output / item["subfolder"] / item["filename"]) as saved:
        if format == "webp":
            tags = dict(text.split(":", 1) for text in saved.getexif().values())
        else:
            tags = saved.info
        assert json.loads(tags["workflow"]) == {"a": 1}
        assert json.loads(tags["prompt"]) == prompt
    sys.modules["comfy.cli_args"].args.disable_metadata = True
    (item,) = save(nodes, squares(), format="png")
    with Image.open(host.output / item["subfolder"] / item["filename"]) as saved:
        assert "workflow" not in saved.info


def folder(nodes, *arguments):
    return at_places(nodes["ToonOut_LoadFolder"], *arguments).result


def test_folder_comes_in_natural_order_with_names(nodes, host):
    for name in ("frame_10.png", "frame_2.png", "Frame_1.PNG", "notes.txt", "sub/frame_3.png"):
        path = host.input / "film" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("not a picture")
        else:
            Image.new("RGBA" if "2" in name else "RGB", (5, len(name)), (255, 0, 0)).save(path)
    images, names = folder(nodes, "film", "*", False, 0, 0, True)
    assert names == ["Frame_1", "frame_2", "frame_10"]
    assert [image.shape[1:] for image in images] == [(11, 5, 3), (11, 5, 4), (12, 5, 3)]
    assert folder(nodes, "film", "*", True, 0, 0, False)[1][-1] == "sub/frame_3"
    assert folder(nodes, "film", "*.png", False, 1, 1, True)[1] == ["frame_2"]
    assert folder(nodes, "film", "frame_1*", False, 0, 0, True)[1] == ["Frame_1", "frame_10"]
    assert folder(nodes, "film", "*", False, 0, 0, False)[0][1].shape[-1] == 3


def test_broken_files_are_left_out_and_named(nodes, host, caplog):
    Image.new("RGB", (4, 4)).save(host.input / "good.png")
    (host.input / "bad.png").write_bytes(b"\x89PNG nothing")
    images, names = folder(nodes, "", "*", False, 0, 0, True)
    assert names == ["good"]
    assert len(images) == 1
    assert "bad.png" in caplog.text
    with pytest.raises(error_class(nodes), match="at least one picture"):
        folder(nodes, "", "bad*", False, 0, 0, True)


def test_folder_says_what_is_missing(nodes, host):
    check = nodes["ToonOut_LoadFolder"].validate_inputs
    assert "nowhere" in check("nowhere")
    assert check("") is True  # what is in it is seen when the graph runs
    assert check(None) is True


def test_folder_runs_again_when_its_files_change(nodes, host):
    node = nodes["ToonOut_LoadFolder"]
    given = dict(folder="", pattern="*", recursive=False, start=0, limit=0)
    Image.new("RGB", (4, 4)).save(host.input / "a.png")
    first = node.fingerprint_inputs(**given, keep_alpha=True)
    assert node.fingerprint_inputs(**given, keep_alpha=True) == first
    Image.new("RGB", (5, 4)).save(host.input / "b.png")
    assert node.fingerprint_inputs(**given, keep_alpha=True) != first


def test_a_crop_ends_at_the_character_of_all_frames(nodes, luma):
    (model,) = luma.result
    image = torch.cat((squares(1), squares(1).roll(8, 2)))
    whole = matte(nodes, model, image)
    cutout, foreground, mask = matte(nodes, model, image, crop=True, margin_px=2, aspect="1:1")
    assert cutout.shape[1] == cutout.shape[2] < 60
    assert foreground.shape[1:3] == mask.shape[1:] == cutout.shape[1:3]
    assert mask.sum() == pytest.approx(float(whole[2].sum()), rel=0.01)
    with pytest.raises(error_class(nodes), match="like 3:4"):
        matte(nodes, model, image, crop=True, aspect="round")
