"""A model small enough for tests, and the shell as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.light import write_light_model
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
    """A U-Net that takes what is light for character."""
    return write_light_model(tmp_path_factory.mktemp("light") / "light.safetensors")


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
