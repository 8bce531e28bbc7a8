import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.evaluation.test_measuring import scenes
from toonout_core.models.unet import UNet


@pytest.fixture
def drawings(tmp_path):
    scenes(tmp_path)
    return tmp_path / "images"


def compare(toonout, *arguments):
    return toonout("compare", *arguments, "-q", "--device", "cpu", "--resolution", 64, "--cell", 40)


def test_a_sheet_a_picture_mattes_and_a_table(toonout, drawings, model, tmp_path):
    out = tmp_path / "out"
    shell = compare(toonout, drawings, "-r", "--model", model, "--grabcut", "-o", out)
    assert shell.code == 0, shell.stderr
    sheets = sorted(path.relative_to(out).as_posix() for path in out.rglob("*_compared.png"))
    assert sheets == ["action/0_compared.png", "action/2_compared.png", "pose/1_compared.png"]
    assert (out / "mattes" / "GrabCut" / "pose" / "1.png").is_file()
    assert "| tiny | " in shell.stdout and "| GrabCut | " in shell.stdout
    variants = json.loads((out / "compare.json").read_text("utf-8"))
    assert [len(variant["seconds"]) for variant in variants] == [3, 3]
    assert [len(variant["fusion_seconds"]) for variant in variants] == [3, 3]
    with Image.open(out / sheets[0]) as sheet:
        rows_with, width = sheet.height, sheet.width
    again = compare(
        toonout, drawings / "action" / "0.png", "--model", model, "--grabcut", "-o", out,
        "--no-fusion", "--colours", "white",
    )  # fmt: skip
    assert again.code == 0, again.stderr
    with Image.open(out / "0_compared.png") as sheet:
        assert sheet.height < 0.6 * rows_with and sheet.width < width


def test_formats_of_one_model_are_told_apart_and_compared(toonout, drawings, tmp_path):
    torch.manual_seed(1)
    save_file(UNet(widths=(4, 6)).state_dict(), tmp_path / "net.safetensors")
    shell = compare(
        toonout, drawings / "pose" / "1.png", "--model", tmp_path / "net.safetensors",
        "--formats", "fp32,fp16", "-o", tmp_path / "out", "--models-dir", tmp_path / "cache",
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    first, second = json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))
    assert (first["name"], second["name"]) == ("net fp32", "net fp16")
    assert second["file_bytes"] < 0.8 * first["file_bytes"]
    assert first["compared_with"] == "" and second["compared_with"] == "net fp32"
    assert first["worst_levels"] == 0 and second["worst_levels"] <= 2
    assert "| – |" in shell.stdout and "| from net fp32: " in shell.stdout
    assert not list(tmp_path.glob("net-*"))


def test_models_are_compared_with_the_first(toonout, drawings, model, tmp_path):
    torch.manual_seed(2)
    save_file(UNet(widths=(4, 6)).state_dict(), tmp_path / "other.safetensors")
    shell = compare(
        toonout, drawings / "pose" / "1.png", "--model", model, "--model",
        tmp_path / "other.safetensors", "--formats", "fp32,bf16", "-o", tmp_path / "out",
        "--models-dir", tmp_path / "cache",
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    variants = json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))
    names = [variant["name"] for variant in variants]
    assert [variant["compared_with"] for variant in variants] == [
        "", names[0], names[0], "other fp32"
    ]  # fmt: skip
    mattes = [tmp_path / "out" / "mattes" / name.replace(" ", "-") / "1.png" for name in names]
    arrays = [np.asarray(Image.open(path).convert("L"), int) for path in mattes]
    apart = np.abs(arrays[2] - arrays[0])
    assert apart.max() > 2
    assert variants[2]["worst_levels"] == apart.max()
    assert variants[2]["mean_levels"] == [pytest.approx(apart.mean(), abs=1e-3)]
    assert f"Sheets and mattes: {tmp_path / 'out'}" in shell.stderr


def test_sheets_among_the_pictures_are_not_compared(toonout, drawings, model):
    folder = drawings / "pose"
    for _ in range(2):
        shell = compare(toonout, folder, "--model", model, "-o", folder, "--no-fusion")
        assert shell.code == 0, shell.stderr
        assert {path.name for path in folder.glob("*.png")} == {"1.png", "1_compared.png"}


def test_a_broken_picture_is_listed_and_the_others_are_compared(toonout, drawings, model, tmp_path):
    (drawings / "pose" / "2.png").write_bytes(b"no picture")
    shell = compare(toonout, drawings / "pose", "--model", model, "-o", tmp_path / "out")
    assert shell.code == 1
    assert shell.stderr.count("failed: 2: ") == 1
    assert (tmp_path / "out" / "1_compared.png").is_file()


def test_what_cannot_be_is_code_2(toonout, drawings, model, tmp_path):
    bad = compare(toonout, drawings, "--model", model, "-o", tmp_path, "--colours", "white,sky")
    assert bad.code == 2 and "a colour must be" in bad.stderr
    assert compare(toonout, tmp_path / "gone", "--model", model, "-o", tmp_path / "o").code == 2
    picture = drawings.rename(tmp_path / "mattes") / "pose" / "1.png"
    over = compare(toonout, picture, "--model", model, "-o", tmp_path)
    assert over.code == 2 and "must be free for mattes" in over.stderr
    fp8 = compare(toonout, picture, "--model", model, "-o", tmp_path / "o", "--formats", "fp8")
    assert fp8.code == 2 and "fp32, fp16, bf16" in fp8.stderr
