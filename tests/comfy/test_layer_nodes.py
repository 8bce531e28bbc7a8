"""The nodes of layers, sprites and regional prompts, run as ComfyUI runs them, on a fake host."""

from __future__ import annotations

import json
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from psd_tools import PSDImage

from tests.comfy.characters import (
    DARK,
    LEFT,
    MIDDLE,
    RIGHT,
    SIZE_HW,
    drawn,
    error_class,
    instances_of,
    masks_of,
    rectangle,
)


def files(host, ending):
    return sorted((host.output / "toonout").glob(f"*{ending}"))


def save(nodes, document, **options):
    given = {"filename_prefix": "toonout/layers", "format": "psd"} | options
    return nodes["ToonOut_SaveLayers"].execute(document, **given)


@pytest.fixture
def document(run):
    """Layers of three characters; the middle one's feet stand lowest."""
    image = drawn(LEFT, MIDDLE, RIGHT)
    out = run("Layers", image=image, instances=instances_of(run, LEFT, MIDDLE, RIGHT))
    assert out["count"] == 5
    return out["layers"][0]


# ---------------------------------------------------------------- layers


def test_the_document_is_as_comfyui_wants_it(document):
    height, width = SIZE_HW
    assert (document["version"], document["canvas"]) == (1, (width, height))
    assert [entry["name"] for entry in document["layers"]] == [
        "picture", "background", "character 2", "character 0", "character 1",
    ]  # fmt: skip
    front = document["layers"][-1]
    x0, y0, x1, y1 = MIDDLE
    assert (front["x"], front["y"], front["w"], front["h"]) == (x0, y0, x1 - x0, y1 - y0)
    assert not front["mask"].any(), "1 is transparent there"
    assert document["layers"][0]["visible"] is False
    plate = document["layers"][1]["image"]
    assert (plate - DARK).abs().max() < 0.03, "nobody is left"


def test_a_psd_of_them_opens_elsewhere(nodes, host, document):
    shown = save(nodes, document).ui.image
    assert (shown[..., :3] - drawn(LEFT, MIDDLE, RIGHT)).abs().max() < 0.02
    (path,) = files(host, ".psd")
    psd = PSDImage.open(path)
    assert psd.size == SIZE_HW[::-1]
    assert [layer.name for layer in psd][-1] == "character 1"
    composite = np.asarray(psd.composite(force=True).convert("RGB"))
    expected = shown[0, ..., :3].mul(255).numpy()
    assert np.abs(composite.astype(int) - expected).max() <= 1


def test_openraster_and_no_name_is_taken_twice(nodes, host, document):
    for _ in range(2):
        save(nodes, document, format="ora")
    first, second = files(host, ".ora")
    assert first.name != second.name
    with ZipFile(second) as archive:
        assert archive.testzip() is None


def test_names_of_load_folder_become_files(nodes, host, document):
    save(nodes, document, names="girl.v2")
    assert [path.name for path in files(host, ".psd")] == ["girl.v2.psd"]


def test_results_stay_in_the_output_folder(nodes, document):
    with pytest.raises(error_class(), match="output folder"):
        save(nodes, document, filename_prefix="../../evil")
    with pytest.raises(error_class(), match="must be a document of layers"):
        save(nodes, torch.zeros(1, 2, 2, 3))


def test_cards_of_several_sizes_become_layers(run, nodes, host):
    """As See-through gives the parts of a character: RGBA, one after the other."""
    cards = [torch.rand(1, 20, 30, 4), torch.rand(2, 10, 12, 4)]
    out = run("Layers", cards=cards, names="body\nhair")
    (document,) = out["layers"]
    assert document["canvas"] == (30, 20)
    assert [entry["name"] for entry in document["layers"]] == ["body", "hair", "layer 3"]
    save(nodes, document)
    psd = PSDImage.open(files(host, ".psd")[0])
    assert [layer.name for layer in psd] == ["body", "hair", "layer 3"]
    assert np.abs(np.asarray(psd[1].topil()) / 255 - cards[1][0].numpy()).max() < 0.51 / 255


def test_cards_lie_above_characters(run):
    image = drawn(LEFT)
    card = torch.zeros(1, *SIZE_HW, 4)
    card[:, 5:9, 3:8] = 1
    out = run("Layers", image=image, instances=instances_of(run, LEFT), cards=card)
    (document,) = out["layers"]
    top = document["layers"][-1]
    assert (top["x"], top["y"], top["w"], top["h"]) == (3, 5, 5, 4)
    assert document["layers"][-2]["name"] == "character 0"


def test_own_colours_and_an_own_background_are_taken(run):
    image = drawn(LEFT)
    plate, colours = torch.full_like(image, 0.2), torch.full_like(image, 0.6)
    out = run(
        "Layers", image=image, instances=instances_of(run, LEFT), foreground=colours,
        background=plate, names="Eileen",
    )  # fmt: skip
    _, background, girl = out["layers"][0]["layers"]
    assert background["image"].unique().tolist() == [pytest.approx(0.2)]
    assert girl["image"].unique().tolist() == [pytest.approx(0.6)]
    assert girl["name"] == "Eileen"


def test_a_clip_becomes_a_document_for_each_frame(run):
    image = drawn(LEFT, frames=2)
    found = instances_of(run, LEFT) * 2
    assert len(run("Layers", image=image, instances=found)["layers"]) == 2


def test_what_is_missing_is_said(run):
    with pytest.raises(error_class(), match="characters or cards"):
        run("Layers", image=drawn(LEFT))
    with pytest.raises(error_class(), match="image must be connected"):
        run("Layers", instances=instances_of(run, LEFT))
    with pytest.raises(error_class(), match="for every picture"):
        run("Layers", image=drawn(LEFT, frames=2), instances=instances_of(run, LEFT))
    with pytest.raises(error_class(), match="96"):
        run(
            "Layers", image=drawn(LEFT), instances=instances_of(run, LEFT),
            background=torch.zeros(1, 8, 8, 3),
        )  # fmt: skip


# ---------------------------------------------------------------- sprites


def walk(frames=5):
    clip = torch.full((frames, 24, 40, 4), 0.5)
    clip[..., 3] = 0
    for index in range(frames):
        clip[index, 6:16, 5 + 4 * index : 11 + 4 * index] = torch.tensor([0.8, 0.1 * index, 0, 1])
    return clip


@pytest.mark.parametrize("animation", ["none", "webp", "png", "gif"])
def test_a_sheet_with_its_list_and_an_animation(nodes, host, run, animation):
    out = run("SpriteSheet", image=walk(), columns=3, fps=20.0, animation=animation)
    listing = json.loads(out["list"])
    (stored,) = files(host, ".json")
    assert json.loads(stored.read_text()) == listing
    assert listing["meta"]["image"] == stored.with_suffix(".png").name
    assert {frame["duration"] for frame in listing["frames"]} == {50}
    assert tuple(out["sheet"].shape) == (1, 20, 66, 3)
    assert tuple(out["mask (white = character)"].shape) == (1, 20, 66)
    with Image.open(stored.with_suffix(".png")) as sheet:
        assert sheet.size == (66, 20)
        assert np.asarray(sheet)[0, 0].tolist() == [204, 0, 0, 255]
    if animation != "none":
        (moving,) = files(host, f"anim.{animation}")
        with Image.open(moving) as picture:
            assert picture.n_frames == 5
            assert picture.convert("RGBA").getpixel((0, 0))[3] == 0


def test_a_mask_takes_the_place_of_alpha(run):
    mask = torch.zeros(2, 24, 40)
    mask[:, 2:6, 3:9] = 1
    out = run("SpriteSheet", image=walk(2)[..., :3], mask=mask, columns=2)
    assert tuple(out["sheet"].shape) == (1, 4, 12, 3)
    with pytest.raises(error_class(), match="image's size"):
        run("SpriteSheet", image=walk(2), mask=mask[:, 1:])


# ---------------------------------------------------------------- prompts


class Clip:
    """Embeds a text by its length, as text encoders with several parts do."""

    def __init__(self):
        self.texts = []

    def tokenize(self, text):
        self.texts.append(text)
        return text

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.full((1, 77, 8), float(len(tokens))), {"pooled_output": torch.ones(1, 4)}]]


def test_each_prompt_acts_inside_of_its_character(run):
    clip = Clip()
    out = run(
        "PromptCharacters", clip=clip, instances=instances_of(run, LEFT, RIGHT), style="anime",
        lines="red hair\nblue hair", background="a beach", feather_px=0.0,
    )  # fmt: skip
    assert clip.texts == ["anime, red hair", "anime, blue hair", "anime, a beach"]
    assert out["text"].splitlines()[-1] == "background: anime, a beach"
    masks = [options["mask"] for _, options in out["conditioning"]]
    assert torch.equal(torch.cat(masks[:2]), masks_of(LEFT, RIGHT))
    assert torch.equal(torch.cat(masks).sum(0), torch.ones(SIZE_HW))
    for embedding, options in out["conditioning"]:
        assert tuple(embedding.shape) == (1, 77, 8)
        assert options["mask_strength"] == 1.0
        assert options["set_area_to_bounds"] is False
        assert "pooled_output" in options


@pytest.mark.parametrize(("strength", "feather_px"), [(1.0, 30.0), (0.7, 0.0), (0.4, 16.0)])
def test_shares_sum_to_one_everywhere(run, strength, feather_px):
    overlapping = instances_of(run, LEFT, (30, 20, 70, 80))
    out = run(
        "PromptCharacters", clip=Clip(), instances=overlapping, lines="a\nb",
        strength=strength, feather_px=feather_px,
    )  # fmt: skip
    masks = torch.cat([options["mask"] for _, options in out["conditioning"]])
    assert torch.allclose(masks.sum(0), torch.ones(SIZE_HW), atol=1e-6)
    assert masks.min() >= 0
    inside = rectangle(LEFT).bool()
    assert masks[0][inside].max() <= strength + 1e-6


def test_one_line_is_said_of_all_and_lists_are_taken(run):
    found = instances_of(run, LEFT, MIDDLE, RIGHT)
    clip = Clip()
    run("PromptCharacters", clip=clip, instances=found, lines="a knight")
    assert clip.texts == ["a knight"] * 3 + [""]
    clip = Clip()
    run("PromptCharacters", clip=clip, instances=found, lines=["x", "y", "z"])
    assert clip.texts[:3] == ["x", "y", "z"]


def test_nobody_leaves_the_background_alone(run):
    clip = Clip()
    none = run("InstancesFromMasks", masks=[torch.zeros(1, *SIZE_HW)], min_area_percent=1.0)
    out = run(
        "PromptCharacters", clip=clip, instances=none["instances"], lines="a\nb", background="sea"
    )
    assert clip.texts == ["sea"]
    assert out["conditioning"][0][1]["mask"].min() == 1


def test_wrong_counts_and_no_encoder_are_sentences(run):
    found = instances_of(run, LEFT, RIGHT)
    with pytest.raises(error_class(), match="2 or 3 prompts"):
        run("PromptCharacters", clip=Clip(), instances=found, lines="a\nb\nc\nd")
    with pytest.raises(error_class(), match="text encoder"):
        run("PromptCharacters", clip=[None], instances=found)
    with pytest.raises(error_class(), match="of one picture"):
        run("PromptCharacters", clip=Clip(), instances=found * 2)
