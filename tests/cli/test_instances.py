"""`toonout instances`, called as a user would."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.discs import draw_discs
from tests.counting import count_work
from tests.torture import BROKEN, EXPECTED, plant_torture
from toonout_core.output.coco import decode_mask, pictures_of
from toonout_core.segmentation import sharing


@pytest.fixture
def model(light):
    return light


@pytest.fixture
def instances(toonout, light):
    def call(*arguments):
        return toonout("instances", *arguments, "--detector", light, "--device", "cpu")

    return call


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "in" / "pair.png"
    draw_discs(path, (70, 25), (25, 40))
    return path


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def document(folder, name="instances.json"):
    return json.loads((folder / name).read_text("utf-8"))


def test_two_characters(instances, pair, tmp_path):
    out = tmp_path / "out"
    shell = instances(pair, "-o", out)
    assert shell.code == 0
    assert "connected regions" in shell.stderr
    kinds = ("cutout", "mask", "matte")
    files = [f"pair.instance{index:02d}.{kind}.png" for index in (0, 1) for kind in kinds]
    assert names(out) == [
        ".toonout.jsonl",
        "instances.json",
        "pair.background.png",
        *files,
        "pair.overlay.png",
    ]

    light = pixels(pair)[..., 0] > 100
    left = light & (np.arange(96) < 48)
    with Image.open(out / files[1]) as mask:
        assert mask.mode == "1"
    assert (pixels(out / files[1]) == left).mean() > 0.99
    assert (pixels(out / files[4]) == (light & ~left)).mean() > 0.99
    mattes = [pixels(out / files[index]) for index in (2, 5)]
    assert mattes[0].dtype == np.uint8
    assert np.abs(np.int32(mattes[0]) + mattes[1] - 255 * light).mean() < 4
    cutout = pixels(out / files[0])
    assert np.array_equal(cutout[..., 3], mattes[0])
    assert cutout[left][:, 0].mean() > 230
    assert not cutout[:, 50:, :].any()

    [image], annotations = document(out)["images"], document(out)["annotations"]
    assert (image["file_name"], image["width"], image["height"]) == ("pair.png", 96, 64)
    for annotation, name in zip(annotations, (files[1], files[4]), strict=True):
        mask = decode_mask(annotation["segmentation"]).numpy()
        assert np.array_equal(mask, pixels(out / name))
        assert annotation["area"] == mask.sum()
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
    assert pixels(out / "pair.overlay.png").shape == (64, 96, 3)
    rest = pixels(out / "pair.background.png").astype(np.int32)
    assert np.abs(rest + mattes[0] + mattes[1] - 255).max() <= 1  # each is rounded


def test_what_to_save(instances, pair, tmp_path):
    assert instances(pair, "-o", tmp_path / "a", "--save", "masks", "--soft").code == 0
    assert len(names(tmp_path / "a")) == 3
    with Image.open(tmp_path / "a" / "pair.instance00.mask.png") as mask:
        assert mask.mode == "L"
    options = ("--save", "cutouts", "--crop", 3, "--sort", "top-bottom", "--limit", 1)
    assert instances(pair, "-o", tmp_path / "b", *options).code == 0
    assert names(tmp_path / "b") == [".toonout.jsonl", "pair.instance00.cutout.png"]
    height, width = pixels(tmp_path / "b" / "pair.instance00.cutout.png").shape[:2]
    assert 27 + 6 <= height <= 27 + 10
    assert 27 + 6 <= width <= 27 + 10


def test_a_speck_elsewhere_makes_no_cropped_cutout_larger(instances, tmp_path):
    path = tmp_path / "in" / "one.png"
    light = draw_discs(path, (25, 40))
    with Image.open(path) as picture:
        speckled = picture.copy()
    speckled.paste((240, 230, 250), (86, 4, 91, 9))  # smaller than a character
    speckled.save(path)
    out = tmp_path / "out"
    assert instances(path, "-o", out, "--save", "mattes,cutouts", "--crop", 3).code == 0
    assert pixels(out / "one.instance00.matte.png")[6, 88] > 200  # parts sum to the matte
    height, width = pixels(out / "one.instance00.cutout.png").shape[:2]
    rows, columns = light.any(1).sum(), light.any(0).sum()
    assert rows <= height <= rows + 10
    assert columns <= width <= columns + 10


def test_metadata_stays_with_cutouts_unless_unwanted(instances, tmp_path, pair):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "1girl")
    with Image.open(pair) as picture:
        picture.save(pair, pnginfo=info)
    for option, kept in (("--metadata", "1girl"), ("--no-metadata", None)):
        out = tmp_path / option
        assert instances(pair, "-o", out, option, "--no-foreground").code == 0
        with Image.open(out / "pair.instance00.cutout.png") as cutout:
            assert cutout.info.get("parameters") == kept


def test_torture_folder(instances, tmp_path):
    root = plant_torture(tmp_path / "in")
    before = names(root)
    out = root / "out"
    shell = instances(root, "-o", out, "--recursive", "--save", "masks,coco")
    assert shell.code == 1
    assert f"{len(BROKEN)} failed" in shell.stderr
    assert [name for name in names(root) if not name.startswith("out/")] == before
    listed = {image["file_name"] for image in document(out)["images"]}
    assert {re.sub(r"#\d+$", "", name) for name in listed} == set(EXPECTED)
    assert {"run.gif#1", "run.gif#3", "sub/a.png"} <= listed
    assert (out / "sub" / "a.instance00.mask.png").is_file()
    assert (out / "a.jpg.instance00.mask.png").is_file()
    assert (out / "run_0002.instance00.mask.png").is_file()

    held = document(out), names(out)
    again = instances(root, "-o", out, "--recursive", "--save", "masks,coco", "--resume")
    assert f"{len(EXPECTED)} done before" in again.stderr
    assert "loaded in" not in again.stderr
    assert (document(out), names(out)) == held


def test_interrupted_and_resumed(instances, tmp_path, monkeypatch):
    root, out = tmp_path / "in", tmp_path / "out"
    for number in range(4):
        draw_discs(root / f"{number}.png", (20 + 5 * number, 30), (70, 30))
    share, calls = sharing.share_matte, []

    def stop_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return share(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("toonout_core.output.instance_files.share_matte", stop_at_the_third)
        shell = instances(root, "-o", out)
    assert shell.code == 130
    assert [image["file_name"] for image in document(out)["images"]] == ["0.png", "1.png"]
    assert not [name for name in names(out) if "part" in name or name.startswith("2")]
    (out / "instances.json").unlink()  # as if the process had been killed

    assert instances(root, "-o", out, "--resume").code == 0
    assert instances(root, "-o", tmp_path / "whole").code == 0
    assert document(out) == document(tmp_path / "whole")
    assert [n for n in names(out) if n[0] != "."] == [
        n for n in names(tmp_path / "whole") if n[0] != "."
    ]


def test_resume_with_other_settings_replaces_the_whole_set(instances, pair, tmp_path):
    out = tmp_path / "out"
    assert instances(pair, "-o", out).code == 0
    again = instances(pair, "-o", out, "--resume", "--limit", 1, "--save", "masks,coco")
    assert again.code == 0
    assert names(out) == [".toonout.jsonl", "instances.json", "pair.instance00.mask.png"]
    assert len(document(out)["annotations"]) == 1


def test_resume_with_other_pictures_keeps_their_annotations(instances, pair, tmp_path):
    out = tmp_path / "out"
    assert instances(pair, "-o", out, "--save", "coco").code == 0
    draw_discs(tmp_path / "more" / "one.png", (40, 30))
    assert instances(tmp_path / "more", "-o", out, "--save", "coco", "--resume").code == 0
    found = {name: len(annotations) for name, _, annotations in pictures_of(document(out))}
    assert found == {"one.png": 1, "pair.png": 2}


def test_nothing_is_overwritten(instances, pair, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "instances.json").write_text("my notes")
    (out / "pair.instance01.mask.png").write_text("my mask")
    assert instances(pair, "-o", out, "--save", "masks,coco").code == 0
    assert (out / "instances.json").read_text() == "my notes"
    assert (out / "pair.instance01.mask.png").read_text() == "my mask"
    assert names(out) == [
        ".toonout.jsonl",
        "instances.json",
        "instances_2.json",
        "pair.instance01.mask.png",
        "pair_2.instance00.mask.png",
        "pair_2.instance01.mask.png",
    ]
    assert instances(pair, "-o", out, "--save", "masks,coco", "--resume").code == 0
    assert (out / "instances.json").read_text() == "my notes"


def test_what_exists(instances, pair, tmp_path):
    out = tmp_path / "out"
    assert instances(pair, "-o", out, "--save", "masks,coco").code == 0
    held = names(out), document(out)
    skipped = instances(pair, "-o", out, "--save", "masks", "--on-exists", "skip")
    assert "1 left out" in skipped.stderr
    assert instances(pair, "-o", out, "--save", "masks,coco", "--overwrite").code == 0
    assert (names(out), document(out)) == held
    assert instances(pair, "-o", out, "--save", "masks", "--overwrite", "--limit", 1).code == 0
    assert names(out) == [".toonout.jsonl", "instances.json", "pair.instance00.mask.png"]


def test_no_character(instances, tmp_path):
    draw_discs(tmp_path / "in" / "dark.png")
    shell = instances(tmp_path / "in", "-o", tmp_path / "out", "--save", "masks,cutouts,coco")
    assert shell.code == 0
    assert "no character was found" in shell.stderr
    assert len(document(tmp_path / "out")["images"]) == 1
    assert document(tmp_path / "out")["annotations"] == []
    again = instances(
        tmp_path / "in", "-o", tmp_path / "out", "--save", "masks,cutouts,coco", "--resume"
    )
    assert "1 done before" in again.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--save", "masks,maps"],
            "must be some of masks, mattes, cutouts, background, overlay, coco",
        ),
        (["--save", ","], "must be some of"),
        (["--sort", "age"], "--sort must be one of left-right, top-bottom, area"),
        (["--min-score", "2"], "--min-score must be 0 … 1"),
        (["--limit", "-1"], "--limit must be 0 … 1000"),
        (["--crop", "-4"], "--crop must be 0 … 4096"),
        (["--shrink-to", "0"], "--shrink-to must be 0.0001 … 100000"),
        (["--detector", "no-such-model"], "no-such-model"),
        (
            ["--detector", "anime-instances", "--no-download", "--models-dir", "."],
            "Or use --detector toonout-mini",
        ),
    ],
)
def test_wrong_options(toonout, pair, tmp_path, monkeypatch, options, sentence):
    monkeypatch.setattr("toonout_core.host.cache_dir", lambda: tmp_path / "cache")
    shell = toonout("instances", pair, "-o", tmp_path / "out", "--device", "cpu", *options)
    assert shell.code == 2
    assert sentence in shell.stderr
    assert "Traceback" not in shell.stderr
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []


def test_wrong_places(instances, pair, tmp_path):
    assert "must be a folder" in instances(pair, "-o", pair).stderr
    assert "must be files or folders" in instances("-", "-o", tmp_path / "out").stderr
    assert instances(tmp_path / "none.png", "-o", tmp_path / "out").code == 2
    assert "-o" in instances(pair).stderr


def test_the_help_tells_what_is_downloaded(toonout):
    text = " ".join(toonout("instances", "--help").stdout.split())
    assert "toonout-mini (the default)" in text
    assert "--detector anime-instances" in text
    assert "230 MB" in text


def test_rgba_pictures(instances, tmp_path):
    draw_discs(tmp_path / "in.png", (25, 30), (70, 30))
    with Image.open(tmp_path / "in.png") as picture:
        alpha = Image.fromarray(
            np.where(np.arange(96) < 48, 255, 0).astype("u1")[None].repeat(64, 0)
        )
        picture.putalpha(alpha)
        picture.save(tmp_path / "half.png")
    assert instances(tmp_path / "half.png", "-o", tmp_path / "out").code == 0
    # behind a transparent picture the networks see white, which this one takes for character
    mattes = [pixels(path) for path in sorted((tmp_path / "out").glob("*.matte.png"))]
    total = np.sum(mattes, 0, dtype=np.int32)
    assert not total[:, 48:].any()
    assert total[30, 25] == 255


def test_the_choices_are_those_of_the_core():
    from toonout_core.cli import instances as verb
    from toonout_core.output import instance_files

    assert verb.Kind == instance_files.Kind


def test_a_foreign_coco_file_is_left_alone(instances, pair, tmp_path):
    theirs = {"info": {"description": "COCO 2017"}, "images": [], "annotations": []}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "instances.json").write_text(json.dumps(theirs))
    assert instances(pair, "-o", tmp_path / "out", "--save", "coco", "--resume").code == 0
    assert document(tmp_path / "out") == theirs
    assert len(document(tmp_path / "out", "instances_2.json")["images"]) == 1


def test_both_networks_of_the_default_are_named_in_the_table():
    from toonout_core import WEIGHTS

    sizes = {row.name: row.size_bytes for row in WEIGHTS}
    assert 229e6 < sizes["anime-instances"] < 231e6
    assert 176e6 < sizes["anime-refiner"] < 178e6


def test_whom_to_trust(instances, model, tmp_path, monkeypatch):
    """A segmenter that sees the left half of a disc only, where the matte sees two discs."""
    from toonout_core.instances import Instances
    from toonout_core.segmentation import segmenter

    light = draw_discs(tmp_path / "two.png", (25, 30), (75, 30))
    half = torch.from_numpy(light & (np.arange(96) < 25))

    class HalfBlind:
        name = "half-blind"

        def __call__(self, picture, options):
            return Instances.from_masks(half[None])

    monkeypatch.setattr(segmenter, "load_segmenter", lambda *_, **__: HalfBlind())
    sums = {}
    for trust in ("auto", "matte", "masks"):
        options = ("--trust", trust, "--matte", model, "--save", "mattes")
        assert instances(tmp_path / "two.png", "-o", tmp_path / trust, *options).code == 0
        matte = pixels(tmp_path / trust / "two.instance00.matte.png") > 128
        assert matte[half.numpy()].mean() > 0.95
        sums[trust] = int(matte.sum())
    assert sums["auto"] == sums["matte"] == pytest.approx(light.sum(), rel=0.02)
    assert sums["masks"] < light.sum() / 2


@pytest.mark.parametrize("matte", [False, True], ids=["left open", "named"])
def test_one_model_for_both_is_loaded_once_and_run_once(
    instances, model, pair, tmp_path, monkeypatch, matte
):
    work = count_work(monkeypatch)
    named = ("--matte", model) if matte else ()
    assert instances(pair, "-o", tmp_path / "out", *named).code == 0
    assert (work.loads, work.inferences) == (1, 1)
    assert "pair.instance01.cutout.png" in names(tmp_path / "out")


def test_small_characters_on_request(instances, tmp_path):
    crowd, out = tmp_path / "crowd.png", tmp_path / "out"
    picture = Image.new("RGB", (200, 200))
    picture.paste("white", (20, 20, 100, 180))
    picture.paste("white", (150, 90, 166, 106))  # 0.64 %
    picture.save(crowd)
    assert instances(crowd, "-o", out, "--save", "coco").code == 0
    assert len(document(out)["annotations"]) == 1
    again = instances(crowd, "-o", out, "--save", "coco", "--resume", "--min-area", 0.5)
    assert "done before" not in again.stderr
    assert len(document(out)["annotations"]) == 2
    assert instances(crowd, "-o", out, "--save", "coco", "--resume", "--min-area", 101).code == 2


def test_its_folder_is_not_called_as_a_picture(instances, pair, tmp_path):
    shell = instances(pair, "-o", tmp_path / "girl.png")
    assert shell.code == 2
    assert "OUT must be a folder, but got the file name" in shell.stderr
