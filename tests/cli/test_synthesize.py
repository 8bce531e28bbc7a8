"""`toonout synthesize`: from art to a data set that others read."""

from __future__ import annotations

import json

import pytest
import torch

from tests.art import write_library
from toonout_core.imaging import read, to_pil
from toonout_core.synthesis.cutouts import find_art
from toonout_core.synthesis.screens import screen_frame


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("art"))


@pytest.mark.parametrize("what", ["scenes", "pairs"])
def test_a_data_set_of_two_splits(toonout, art, tmp_path, what):
    options = ("--data", art, "-o", tmp_path, "--size-px", 64, "--workers", 1)
    shell = toonout("synthesize", what, *options, "--count", 3)
    assert (shell.code, shell.stderr) == (0, f"{tmp_path}: 3 made.\n")
    assert toonout("synthesize", what, *options, "--count", 2, "--split", "val").code == 0
    assert len(list((tmp_path / "images" / "train").glob("*.jpg"))) == 3
    assert len(list((tmp_path / "labels" / "val").glob("*.txt"))) == 2
    document = json.loads((tmp_path / "instances_val.json").read_text())
    assert [image["file_name"] for image in document["images"]] == [
        "images/val/000000.jpg",
        "images/val/000001.jpg",
    ]
    yaml = (tmp_path / "data.yaml").read_text()
    assert "train: images/train\nval: images/val\n" in yaml


def test_going_on_with_more(toonout, art, tmp_path):
    options = ("synthesize", "scenes", "--data", art, "-o", tmp_path, "--size-px", 64)
    toonout(*options, "--count", 2, "--workers", 1)
    shell = toonout(*options, "--count", 3, "--workers", 1)
    assert shell.stderr == f"{tmp_path}: 1 made, 2 were there.\n"
    shell = toonout(*options, "--count", 3, "--workers", 1, "--seed", 9)
    assert shell.code == 2 and "same settings" in shell.stderr


def test_mistakes_get_a_sentence(toonout, art, tmp_path):
    options = ("synthesize", "scenes", "--data", art, "-o", tmp_path / "out")
    assert "--seed must be 0" in toonout(*options, "--seed", -1).stderr
    assert "must hold RGBA" in toonout(*options, "--split", "none").stderr
    assert "size_px must" in toonout(*options, "--size-px", 1).stderr
    assert "layouts must be a file" in toonout(*options, "--layouts", "none.json").stderr
    assert not (tmp_path / "out").exists()


def test_help_shows_examples(toonout):
    shell = toonout("synthesize", "--help")
    assert shell.code == 0 and "toonout synthesize scenes" in shell.stdout
    assert "Poisson" in toonout("synthesize", "scenes", "--help").stdout


def write_screen(path, art, index, screen="green"):
    frame = screen_frame(find_art(art, "train"), 0, index, 128, screen)
    path.parent.mkdir(exist_ok=True)
    to_pil(frame.image).save(path)


def test_cutouts_from_a_folder_of_screens(toonout, art, tmp_path):
    frames, out = tmp_path / "frames", tmp_path / "out"
    write_screen(frames / "one.png", art, 0)
    write_screen(frames / "two.png", art, 1, "blue")
    to_pil(torch.full((1, 3, 50, 50), 0.5)).save(frames / "grey.png")
    shell = toonout("synthesize", "keyed", frames, "-o", out)
    assert shell.code == 1
    assert "grey.png: a key colour must fill" in shell.stderr
    assert f"{out}: 2 cutouts, 0 frames left out." in shell.stderr
    assert f"What became of each frame: {out / 'keyed.json'}\n" in shell.stderr
    for name in ("one.png", "two.png"):
        picture = read(out / name)
        assert picture.alpha is not None and 0.02 < float(picture.alpha.mean()) < 0.9
    hues = [
        round(source["frames"][0]["key_hue_deg"], -1)
        for source in json.loads((out / "keyed.json").read_text())
        if source["status"] == "done"
    ]
    assert hues[0] in (130, 140) and 220 <= hues[1] <= 240
    before = (out / "one.png").stat().st_mtime_ns
    again = toonout("synthesize", "keyed", frames, "-o", out)
    assert f"{out / 'keyed.json'}, in the place of an older one" in again.stderr
    assert (out / "one.png").stat().st_mtime_ns == before
    assert not (out / "one_2.png").exists()


def test_nobody_elses_file_is_overwritten(toonout, art, tmp_path):
    write_screen(tmp_path / "frames" / "one.png", art, 0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.png").write_bytes(b"mine")
    assert toonout("synthesize", "keyed", tmp_path / "frames", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "one.png").read_bytes() == b"mine"
    assert (tmp_path / "out" / "one_2.png").is_file()


def test_a_retouched_cutout_and_a_lying_manifest(toonout, art, tmp_path):
    out, thesis = tmp_path / "out", tmp_path / "thesis.txt"
    source = tmp_path / "frames" / "one.png"
    write_screen(source, art, 0)
    thesis.write_text("words")
    record = {
        "source": str(source), "size": 1, "mtime_ns": 1, "settings": "", "status": "done",
        "outputs": ["one.png", "../thesis.txt"],
    }  # fmt: skip
    out.mkdir()
    (out / ".toonout.jsonl").write_text(json.dumps(record) + "\n[1]\n")
    command = ("synthesize", "keyed", tmp_path / "frames", "-o", out)
    assert toonout(*command).code == 0
    ours = (out / "one.png").read_bytes()
    assert toonout(*command, "--edge-px", 6).code == 0
    assert not (out / "one_2.png").exists()
    assert (out / "one.png").read_bytes() != ours
    (out / "one.png").write_bytes(ours)  # somebody liked it better
    for edge in (4, 5):
        assert toonout(*command, "--edge-px", edge).code == 0
    assert (out / "one.png").read_bytes() == ours
    names = sorted(path.name for path in out.iterdir())
    assert names == [".toonout.jsonl", "keyed.json", "one.png", "one_2.png"]
    assert thesis.read_text() == "words"


def test_frames_of_a_clip_share_a_number(toonout, art, tmp_path):
    frames = [to_pil(screen_frame(find_art(art, "train"), 0, i, 96, "green").image) for i in (0, 1)]
    (tmp_path / "frames").mkdir()
    clip = tmp_path / "frames" / "dance.gif"
    frames[0].save(clip, save_all=True, append_images=frames[1:])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dance_0002.png").write_bytes(b"mine")
    shell = toonout("synthesize", "keyed", tmp_path / "frames", "-o", tmp_path / "out")
    assert shell.code == 0
    there = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert there == ["dance_0002.png", "dance_2_0001.png", "dance_2_0002.png"]
    assert (tmp_path / "out" / "dance_0002.png").read_bytes() == b"mine"


def test_keyed_mistakes_get_a_sentence(toonout, tmp_path):
    shell = toonout("synthesize", "keyed", tmp_path, "-o", tmp_path / "out")
    assert shell.code == 2 and "there must be pictures or videos" in shell.stderr
    shell = toonout("synthesize", "keyed", tmp_path / "absent.png", "-o", tmp_path / "out")
    assert shell.code == 2 and "must exist" in shell.stderr
