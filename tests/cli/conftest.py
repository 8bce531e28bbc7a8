"""A model small enough for tests, and the shell as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toonout_core.cli import main
from toonout_core.models.unet import UNet


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the smallest U-Net."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_file(UNet(widths=(4, 6)).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net that takes what is light for character: one channel runs through, untouched."""
    state = UNet(widths=(4, 6)).state_dict()
    for name, value in state.items():
        value.fill_(float("running_var" in name or (value.ndim == 1 and "weight" in name)))
        if value.ndim == 4 and value.shape[-1] == 3:
            value[0, : 3 if name == "stem.weight" else 1, 1, 1] = 1
    state["head.weight"][0, 0] = 20
    state["head.bias"][:] = -10
    path = tmp_path_factory.mktemp("light") / "light.safetensors"
    save_file(state, path)
    return path


@dataclass
class Shell:
    """What a call of `toonout` came to."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def toonout(capsys: pytest.CaptureFixture[str]) -> Callable[..., Shell]:
    def call(*arguments: object) -> Shell:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Shell(code, captured.out, captured.err)

    return call
