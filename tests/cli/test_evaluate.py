"""The verb on files and on models; on composites it is tested with training."""

import csv
import json

import pytest
from PIL import Image

from tests.evaluation.test_measuring import scenes
from toonout_core.cli.evaluate_mattes import chosen_metrics, told_apart
from toonout_core.errors import BadInput


@pytest.fixture
def art(tmp_path):
    scenes(tmp_path)
    return tmp_path


def test_files_against_files(toonout, art):
    out = art / "report"
    shell = toonout("evaluate", art / "gt", art / "gt", "--by-folder", "-o", out, "-q")
    assert shell.code == 0, shell.stderr
    assert "### As published, by category" in shell.stdout
    assert {path.name for path in out.iterdir()} == {"report.html", "scores.csv", "scores.json"}
    with (out / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and {row["category"] for row in rows} == {"action", "pose"}
    assert all(float(row["PA_clipped"]) == 1 and float(row["SAD"]) == 0 for row in rows)
    assert "HCE" not in rows[0]
    figures = json.loads((out / "scores.json").read_text("utf-8"))
    assert figures["methods"][0]["pictures"] == 3
    assert len(figures["methods"][0]["curves"]["F"]) == 256


def test_without_by_folder_there_is_one_category(toonout, art):
    shell = toonout("evaluate", art / "gt", art / "gt", "--metrics", "pa,hce", "-q")
    assert shell.code == 0
    assert "by category" not in shell.stdout and "HCE (actions)" in shell.stdout
    assert "S (%)" not in shell.stdout


def test_what_is_broken_or_missing_is_listed_and_the_code_is_1(toonout, art):
    mattes = art / "mattes" / "action"
    mattes.mkdir(parents=True)
    Image.new("L", (60, 90)).save(mattes / "0.png")
    (mattes / "2.png").write_bytes(b"\x89PNG broken")
    report = art / "figures.json"
    shell = toonout("evaluate", art / "mattes", art / "gt", "--json", report, "--metrics", "IoU")
    assert shell.code == 1
    assert "not measured: action/2: " in shell.stderr
    assert "not measured: pose/1: There is no pose/1" in shell.stderr
    problems = json.loads(report.read_text("utf-8"))["problems"]
    assert {problem["picture"] for problem in problems} == {"action/2", "pose/1"}
    assert "| mattes | 1 |" in shell.stdout


def test_models_side_by_side(toonout, art, model):
    out = art / "report"
    shell = toonout(
        "evaluate", "--model", model, "--model", "toonout-mini", "--grabcut", art / "images",
        art / "gt", "--by-folder", "-o", out, "-q", "--device", "cpu", "--resolution", 64,
        "--gallery", 1,
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    names = [method["name"] for method in json.loads((out / "scores.json").read_text())["methods"]]
    assert names == ["tiny", "toonout-mini", "GrabCut"]
    assert (out / "mattes" / "toonout-mini" / "pose" / "1.png").is_file()
    page = (out / "report.html").read_text("utf-8")
    assert "Seconds a picture" in page and "errors of GrabCut" in page


def test_nothing_to_measure_is_code_2(toonout, art):
    shell = toonout("evaluate", art / "images", art / "gt")
    assert shell.code == 2 and "Nothing could be measured" in shell.stderr
    for paths in ([], [art], [art / "gone", art / "gt"]):
        assert toonout("evaluate", *paths).code == 2
    shell = toonout("evaluate", art / "gt", art / "gt", "--metrics", "accuracy")
    assert shell.code == 2 and "metrics must be some of" in shell.stderr
    shell = toonout("evaluate", art / "gt", art / "gt", "--data", art)
    assert shell.code == 2 and "either --data or folders" in shell.stderr


def test_names_are_as_short_as_they_can_be(tmp_path):
    (tmp_path / "best.safetensors").touch()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "best.safetensors").touch()
    ours, theirs = tmp_path / "best.safetensors", tmp_path / "x" / "best.safetensors"
    assert told_apart([str(ours), "toonout"]) == ["best", "toonout"]
    assert told_apart([str(ours), str(theirs)]) == [f"{tmp_path.name}-best", "x-best"]
    assert told_apart(["a", "a"]) == ["0-a", "1-a"]
    assert told_apart([]) == []


def test_metrics_are_chosen_by_name():
    assert "HCE" not in chosen_metrics(None) and "HCE" in chosen_metrics("all")
    assert chosen_metrics("wf, pa") == ["PA", "WF"]
    with pytest.raises(BadInput):
        chosen_metrics(",")


def test_mattes_are_never_written_over_what_is_read(toonout, art, model):
    truths = (art / "gt").rename(art / "mattes")
    shell = toonout("evaluate", "--model", model, art / "images", truths, "-o", art, "-q")
    assert shell.code == 2 and "must be free for mattes" in shell.stderr


def test_a_model_that_is_missing_is_found_out_before_any_work(toonout, art, model):
    shell = toonout(
        "evaluate", "--model", model, "--model", art / "gone.safetensors", art / "images",
        art / "gt", "-o", art / "report", "-q", "--device", "cpu",
    )  # fmt: skip
    assert shell.code == 2 and "gone.safetensors" in shell.stderr
    assert not (art / "report").exists()


def test_pictures_beside_their_masks_are_measured(toonout, art, model, tmp_path):
    (tmp_path / "own").mkdir()
    for index in range(2):
        Image.new("RGB", (60, 40), "white").save(tmp_path / "own" / f"{index}.png")
        Image.new("L", (60, 40), 255).save(tmp_path / "own" / f"{index}_mask.png")
    shell = toonout(
        "evaluate", "--masked", tmp_path / "own", "--model", model, "-q", "--device", "cpu",
        "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    (row,) = json.loads((tmp_path / "figures.json").read_text())
    assert (row["kind"], row["pictures"], row["method"]) == ("own", 2, "tiny")
    assert "| tiny | own | own | 2 |" in shell.stdout
    shell = toonout("evaluate", "--masked", art, art / "gt")
    assert shell.code == 2 and "either --data or folders" in shell.stderr


def test_a_table_for_anime_of_a_folder_of_cutouts(toonout, tmp_path, light):
    from tests.art import draw_figure

    folder = tmp_path / "cutouts"
    for number in range(2):
        path = folder / "sub" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_figure(number).save(path)
    Image.new("RGB", (40, 40)).save(folder / "no cutout.png")
    small = ("--size", 64, "--per-figure", 1, "--models-dir", tmp_path)
    shell = toonout("evaluate", "--cutouts", folder, "--model", light, *small)
    assert shell.code == 0, shell.stderr
    rows = [line.split("|")[1:5] for line in shell.stdout.splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [name, kind, "64²", "2"] for kind in ("flat", "line") for name in ("toonout-mini", "light")
    ]
    for name in ("toonout", "lucida", "isnet-anime", "birefnet"):
        assert f"{name} is not here and is not measured." in shell.stderr
    assert "toonout weights download lucida fetches it (885 MB)" in shell.stderr


def test_a_folder_without_cutouts(toonout, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    shell = toonout("evaluate", "--cutouts", tmp_path, "--models-dir", tmp_path)
    assert shell.code == 2
    assert "must hold cutouts, pictures with transparency" in shell.stderr
