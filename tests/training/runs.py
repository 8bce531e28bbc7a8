"""Runs of training loops as tests need them: read back, interrupted, shared by two processes."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from toonout_core.host import LocalHost, Step
from toonout_core.training.config import write_record

ROOT = Path(__file__).parents[2]


def curve(out: Path, column: str = "loss") -> list[str]:
    with (out / "curve.csv").open() as file:
        return [row[column] for row in csv.DictReader(file)]


def assert_same_runs(first: Path, second: Path, columns: tuple[str, ...]) -> None:
    """Every figure and every tensor that the runs would go on from."""
    for column in columns:
        assert curve(first, column) == curve(second, column)
    states = [load_file(out / "state.safetensors") for out in (first, second)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


class Stopped(Exception):
    """What a host raises whose user has had enough."""


class StoppingHost(LocalHost):
    def __init__(self, after: int) -> None:
        super().__init__("cpu", quiet=True)
        self.after = after

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        done = 0

        def step(count: int = 1, *, preview: torch.Tensor | None = None) -> None:
            nonlocal done
            done += count
            if done >= self.after:
                raise Stopped

        yield step


def train_with_two_processes(network: str, config: Any, folder: Path) -> None:
    """`torchrun … toonout_core train NETWORK` on the CPU, processes joined by gloo."""
    write_record(config, folder / "two.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
        f"--master-port={port}", "--master-addr=127.0.0.1",
        "-m", "toonout_core", "train", network, "--config", str(folder / "two.json"),
    ]  # fmt: skip
    environment = {
        "PYTHONPATH": str(ROOT), "PATH": os.defpath, "OMP_NUM_THREADS": "1", "HOME": str(folder),
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]


def assert_same_gradients(first: Path, second: Path, at_least: int) -> None:
    """After one step AdamW's first moment is a tenth of the gradient."""
    one, two = (load_file(out / "state.safetensors") for out in (first, second))
    moments = [key for key in one if key.endswith(".exp_avg")]
    assert len(moments) >= at_least
    largest = max(one[key].abs().max().item() for key in moments)
    assert largest > 0
    for key in moments:
        scale = max(one[key].abs().max().item(), 1e-4 * largest)
        assert (one[key] - two[key]).abs().max().item() < 1e-3 * scale, key
