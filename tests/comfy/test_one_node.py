"""Load Image → Cut Out Character → Save Cutout is a whole graph, and what the one node can."""

from __future__ import annotations

import sys

import pytest
import torch

from tests.comfy.characters import DARK, LEFT, LIGHT, drawn, error_class, pack
from tests.comfy.luma import write_luma_model
from tests.comfy.test_nodes import Threshold

MASK = "mask (white = character)"


@pytest.fixture
def loaded(run, host):
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    return run("LoadMatting", model="luma.safetensors", allow_download=False, resolution=96)


# ---------------------------------------------------------------- no loader


def test_without_a_model_the_built_in_one_is_used(run):
    image = drawn(LEFT)
    alone = run("Matte", image=image)
    with_loader = run("Matte", image=image, **run("LoadMatting", allow_download=False))
    assert torch.equal(alone[MASK], with_loader[MASK])
    models = pack("comfy_nodes.models")
    assert models.built_in() is models.built_in(), "loaded once"


def test_three_nodes_make_a_file(run, host):
    cut = run("Matte", image=drawn(LEFT))
    run.nodes["ToonOut_SaveCutout"].hidden = None
    run("SaveCutout", image=cut["cutout"], filename_prefix="toonout/cutout", names=None)
    assert len(list((host.output / "toonout").glob("*.png"))) == 1


# ---------------------------------------------------------------- ComfyUI's own node


def remove_background(bg_removal_model, image, resolution=1024):
    """What Remove Background of ComfyUI 0.38 does with its inputs; 0.21 hands on no size."""
    return bg_removal_model.encode_image(image, image_size=resolution)


def test_cores_node_gives_the_matte_of_ours(run, loaded):
    image = drawn(LEFT, frames=2)
    ours = run("Matte", image=image, model=loaded["model"])[MASK]
    assert torch.equal(remove_background(loaded["model"], image), ours)
    assert torch.equal(loaded["model"].encode_image(image), ours)


def test_the_built_in_model_keeps_its_own_size_in_cores_node(run):
    model = run("LoadMatting", allow_download=False)["model"]
    image = drawn(LEFT)
    assert torch.equal(remove_background(model, image), run("Matte", image=image)[MASK])


def test_a_size_that_was_chosen_in_cores_node_counts(run, loaded):
    image = drawn(LEFT)
    chosen = remove_background(loaded["model"], image, resolution=256)
    ours = run("Matte", image=image, model=loaded["model"], resolution=256)[MASK]
    assert torch.equal(chosen, ours)
    assert not torch.equal(chosen, remove_background(loaded["model"], image))


# ---------------------------------------------------------------- the matte is changed first


def test_the_edge_moves_and_colours_follow_it(run):
    image, x0, y0 = drawn(LEFT), LEFT[0], LEFT[1]
    usual = run("Matte", image=image, model=Threshold())
    grown = run("Matte", image=image, model=Threshold(), grow_px=-4.0)
    assert usual[MASK][0, y0 + 1, x0 + 20] == 1
    assert grown[MASK][0, y0 + 1, x0 + 20] == 0
    assert grown[MASK][0, y0 + 8, x0 + 20] == 1
    soft = run("Matte", image=image, model=Threshold(), feather_px=6.0)[MASK]
    assert 0 < soft[0, y0, x0 + 20] < 1


def test_inverted_the_background_is_kept(run):
    image = drawn(LEFT)
    usual = run("Matte", image=image, model=Threshold())
    turned = run("Matte", image=image, model=Threshold(), invert=True)
    assert torch.equal(turned[MASK], 1 - usual[MASK])
    assert turned["foreground"][0, 40, 25, 0] < 0.3, "no character under the hole"


def test_on_a_colour_the_cutout_is_rgb(run):
    image = drawn(LEFT)
    on = run("Matte", image=image, model=Threshold(), background="colour", colour="#ff0000")
    assert on["cutout"].shape == image.shape
    assert on["cutout"][0, 2, 2].tolist() == [1, 0, 0]
    assert torch.allclose(on["cutout"][0, 50, 25], torch.tensor(LIGHT), atol=0.01)
    assert on["foreground"].shape == image.shape
    assert run("Matte", image=image, model=Threshold())["cutout"].shape[-1] == 4


def test_on_a_colour_the_node_shows_the_colour(run, monkeypatch):
    """And not the pattern of transparency."""
    matting, shown = pack("comfy_nodes.matting"), []
    look = matting.compared
    monkeypatch.setattr(matting, "compared", lambda *given: shown.append(look(*given)))
    on = run("Matte", image=drawn(LEFT), model=Threshold(), background="colour", colour="#ff0000")
    assert torch.equal(shown[0].image, on["cutout"])


def test_what_is_seldom_changed_is_hidden_at_first(nodes):
    """Nodes 2.0 puts it behind a button. The order is that of older graphs and cannot change."""
    shown = {
        name: [
            item.id
            for item in nodes[f"ToonOut_{name}"].define_schema().inputs
            if hasattr(item, "default") and not item.advanced
        ]
        for name in ("Matte", "SegmentInstances")
    }
    assert shown == {
        "Matte": ["clean_colours", "detail", "steady"],
        "SegmentInstances": [
            "min_score", "max_count", "sort_by", "soft", "min_area_percent", "grow_px", "feather_px"
        ],
    }  # fmt: skip


def test_a_wrong_colour_is_said_before_the_work(run):
    model = Threshold()
    with pytest.raises(error_class(), match="colour"):
        run("Matte", image=drawn(LEFT), model=model, background="colour", colour="bleu")
    assert model.steps == []


# ---------------------------------------------------------------- what the page draws


def test_the_cutout_is_shown_where_the_page_cannot_compare(nodes, run):
    matte = nodes["ToonOut_Matte"]
    assert "compare_view" not in [item.id for item in matte.define_schema().inputs]
    shown = pack("comfy_nodes.previews").compared(None, run("Matte", image=drawn(LEFT))["cutout"])
    assert shown.image.shape == (1, 96, 160, 3)


@pytest.mark.parametrize(("version", "compares"), [("1.45.19", False), ("1.58.1", True)])
def test_newer_pages_compare_picture_and_cutout(nodes, monkeypatch, version, compares):
    previews = pack("comfy_nodes.previews")
    monkeypatch.setattr(previews.metadata, "version", lambda name: version)
    monkeypatch.setattr(previews.io, "ImageCompare", previews.io.Int, raising=False)
    saved = type("Saved", (), {"__init__": lambda self, image: setattr(self, "values", [image])})
    monkeypatch.setattr(previews.ui, "PreviewImage", saved)
    previews._page_compares.cache_clear()
    assert [item.id for item in previews.compare_widgets()] == ["compare_view"] * compares
    shown = previews.compared(drawn(LEFT), torch.rand(1, 96, 160, 4))
    if compares:
        assert shown["a_images"][0].shape == shown["b_images"][0].shape == (1, 96, 160, 3)
    else:
        assert shown.values[0].shape == (1, 96, 160, 3)
    told = []
    report = previews.without_pictures(lambda count=1, *, preview=None: told.append(preview))
    report(1, preview=torch.rand(3, 4, 4))
    assert (told == [None]) == compares  # the last live picture would stay below the view


def test_the_hosts_colour_picker_is_used_where_it_is(nodes, monkeypatch):
    previews, cutout = pack("comfy_nodes.previews"), pack("toonout_core.options.cutout")
    assert previews.colour_widget(cutout.NODE_COLOUR).io_type == "STRING"
    monkeypatch.setattr(previews.io, "Color", previews.io.Custom("COLOR", "default"), raising=False)
    picker = previews.colour_widget(cutout.NODE_COLOUR, optional=True)
    assert (picker.io_type, picker.default, picker.optional) == ("COLOR", "#ffffff", True)


def test_the_loaders_resolution_is_drawn_no_more_but_keeps_its_place(nodes, run, host):
    inputs = nodes["ToonOut_LoadMatting"].define_schema().inputs
    assert [item.id for item in inputs].index("resolution") == 4
    assert inputs[4].extra_dict == {"hidden": True}


# ---------------------------------------------------------------- errors


def test_error_classes_show_no_path(run):
    with pytest.raises(error_class()) as caught:
        run("Matte", image=drawn(LEFT), model="no model")
    kind = type(caught.value)
    assert (kind.__module__, kind.__qualname__) == ("builtins", "BadInput")
    assert str(caught.value).startswith("model must come from a loader of matting models")


def test_a_lost_model_is_answered_with_advice_before_folders(nodes):
    told = nodes["ToonOut_LoadMatting"].validate_inputs("gone.safetensors")
    assert told.index("Choose another one") < told.index("Also searched")


# ---------------------------------------------------------------- masks of Load Image


def test_a_mask_that_is_transparency_is_turned(run, host):
    image, mask = drawn(LEFT), torch.zeros(1, 96, 160)
    mask[:, :48] = 1
    composed = run("Compose", foreground=image, mask=mask, colour="#ffffff")["image"]
    turned = run(
        "Compose", foreground=image, mask=mask, colour="#ffffff", mask_is_transparency=True
    )["image"]
    assert composed[0, 90, 90, 0] == turned[0, 2, 90, 0] == 1
    assert composed[0, 2, 90, 0] == turned[0, 90, 90, 0] == pytest.approx(DARK)


@pytest.mark.parametrize("node", ["Compose", "SaveCutout"])
def test_the_empty_mask_of_load_image_is_no_mask(run, host, node):
    run.nodes["ToonOut_SaveCutout"].hidden = None
    image, empty = drawn(LEFT, channels=4), torch.zeros(1, 64, 64)
    given = {"foreground": image} if node == "Compose" else {"image": image, "names": None}
    for mask_is_transparency in (False, True):
        run(node, mask=empty, mask_is_transparency=mask_is_transparency, **given)
    with pytest.raises(error_class(), match="160×96, but got 64×64"):
        run(node, mask=empty + 1, **given)


def test_where_a_mask_is_needed_the_empty_one_is_explained(run):
    with pytest.raises(error_class(), match="Load Image gives an empty 64×64 mask"):
        run("EstimateForeground", image=drawn(LEFT), mask=torch.zeros(1, 64, 64))


def test_an_empty_mask_of_the_pictures_own_size_counts(run):
    image, empty = torch.rand(1, 64, 64, 3), torch.zeros(1, 64, 64)
    composed = run("Compose", foreground=image, mask=empty, colour="#ffffff")["image"]
    assert composed.min() == 1


# ---------------------------------------------------------------- pictures that come along


def test_every_example_picture_is_here(nodes, run):
    (item,) = nodes["ToonOut_ExamplePicture"].define_schema().inputs
    for name in item.options:
        image = run("ExamplePicture", picture=name)["image"]
        assert image.shape[0] == 1 and image.shape[-1] == 3
        assert image.std() > 0.1
    with pytest.raises(error_class(), match="one of the examples"):
        run("ExamplePicture", picture="../../secret.png")


# ---------------------------------------------------------------- help pages


@pytest.mark.parametrize(
    ("folder", "asked"),
    [("toonout-1.0.2", "toonout-1"), ("toonout@1.0", "toonout"), ("мой набор", None)],
)
def test_help_is_found_below_odd_folder_names(nodes, monkeypatch, tmp_path, folder, asked):
    host = pack("comfy_nodes.host")
    served = {}
    monkeypatch.setitem(sys.modules, "nodes", type("Nodes", (), {"EXTENSION_WEB_DIRS": served}))
    monkeypatch.setattr(host, "__file__", str(tmp_path / folder / "comfy_nodes" / "host.py"))
    host.register_help()
    assert served == ({} if asked is None else {asked: str(tmp_path / folder / "web")})


def test_pictures_without_a_character_are_in_the_log(run, loaded, caplog):
    night, day = torch.zeros(1, 64, 64, 3), torch.ones(1, 64, 64, 3)
    run("Matte", image=day, model=loaded["model"])
    run("Matte", image=night, model=loaded["model"], invert=True)
    assert "no character" not in caplog.text
    run("Matte", image=night, model=loaded["model"])
    assert "no character was found in the picture: alpha stays below 0.5" in caplog.text
    run("Matte", image=torch.cat((night, day)), model=loaded["model"])
    assert "no character was found in 1 of 2 pictures" in caplog.text
