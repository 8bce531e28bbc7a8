"""`toonout weights` from the outside: what it prints, writes and returns."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from toonout_core import host as host_module
from toonout_core.cli import main
from toonout_core.models.unet import UNet
from toonout_core.weight_files import locating


@pytest.fixture(autouse=True)
def _no_real_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(host_module, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(locating, "cached", lambda row: None)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file({k: v.clone() for k, v in UNet(widths=(4, 8), patch=2).state_dict().items()}, path)
    return path


def test_list_names_every_row_and_what_is_here(capsys, tmp_path, mine):
    assert main(["weights", "list", "--models-dir", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "toonout-mini" in text
    assert "birefnet-hr-matting" in text
    assert f"Folders searched: {tmp_path}, {tmp_path / 'cache'}" in text
    assert main(["weights", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["toonout"]["path"] == ""
    assert rows["toonout"]["url"].startswith("https://huggingface.co/joelseytre/toonout/resolve/")


def test_verify_says_what_a_file_is(capsys, tmp_path, mine):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(mine.read_bytes()[:-5])
    assert main(["weights", "verify", str(mine)]) == 0
    assert "mine, unet, " in capsys.readouterr().out
    assert main(["weights", "verify", str(mine), str(broken)]) == 1
    assert "cut off" in capsys.readouterr().err
    assert main(["weights", "verify", str(broken)]) == 2


def test_convert_writes_a_file_that_loads(capsys, tmp_path, mine):
    out = tmp_path / "out.safetensors"
    arguments = ["weights", "convert", str(mine), "-o", str(out), "--dtype", "fp16"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert load_file(out)["head.weight"].dtype == torch.float16
    assert main(["weights", "verify", str(out)]) == 0
    assert "sha256 as recorded" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


def test_average_writes_a_file_that_loads(capsys, tmp_path, mine):
    out = tmp_path / "mean.safetensors"
    assert main(["weights", "average", str(mine), str(mine), "-o", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    for key, value in load_file(mine).items():
        assert torch.equal(load_file(out)[key], value)
    assert main(["weights", "average", str(mine), "-o", str(tmp_path / "b.safetensors")]) == 2
    assert "a share each" in capsys.readouterr().err


def test_unknown_names_are_listed(capsys):
    assert main(["weights", "download", "toonuot"]) == 2
    assert "toonout-mini, toonout," in capsys.readouterr().err
    assert main(["weights", "verify", "toonout"]) == 2
    assert "https://huggingface.co/joelseytre/toonout" in capsys.readouterr().err


def test_without_an_action_help_is_shown(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["weights"])
    assert caught.value.code == 0
    assert "fetch published weights" in capsys.readouterr().out


def test_convert_writes_what_the_file_states_of_itself(capsys, tmp_path, mine):
    target = tmp_path / "told.safetensors"
    order = ["weights", "convert", str(mine), "-o", str(target)]
    assert main([*order, "--mean", "0.5,0.5,0.5", "--fit", "pad", "--size", "512x256"]) == 0
    assert main(["weights", "verify", str(target)]) == 0
    told = capsys.readouterr().out
    assert "mean 0.5,0.5,0.5, fit pad, size 512x256" in told
    for wrong in (["--mean", "127"], ["--size", "big"], ["--patch-order", "channel_last"]):
        assert main([*order, "--force", *wrong]) == 2
        assert "must be" in (said := capsys.readouterr().err) or "may state" in said
    assert main(["weights", "verify", str(target)]) == 0
    assert capsys.readouterr().out == told.removeprefix(f"{target}\n")
