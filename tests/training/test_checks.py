"""What trainings refuse at once."""

import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.training.checks import require_counts, require_cuda, require_pair, require_sides
from toonout_core.training.config import TrainingConfig
from toonout_core.training.processes import Processes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def config(**values):
    return TrainingConfig(data="", out="", **values)


def test_sides_are_what_a_network_can_halve():
    require_sides("--size-px", 64, 96, unit=32, least=64)
    for side in (0, 32, 100):
        with pytest.raises(BadInput, match=f"--size-px must be multiples of 32.*but got 96 {side}"):
            require_sides("--size-px", 96, side, unit=32, least=64)


def test_counts_are_at_least_1():
    require_counts(config(batch=1, workers=1), "batch", "workers")
    with pytest.raises(BadInput, match="--batch and --workers must be at least 1, but got 2 and 0"):
        require_counts(config(batch=2, workers=0), "batch", "workers")


@pytest.mark.parametrize(
    ("norms", "here", "works"),
    [
        ("sync", Processes(CPU), True),
        ("sync", Processes(CPU, 0, 2, joined=True), False),
        ("sync", Processes(GPU, 0, 2, joined=True), True),
        ("batch", Processes(CPU, 0, 2, joined=True), True),
    ],
)
def test_statistics_are_shared_on_graphics_cards(norms, here, works):
    if works:
        require_cuda(config(norms=norms), here)
        return
    with pytest.raises(BadInput, match="--norms sync must have cuda, but got cpu"):
        require_cuda(config(norms=norms), here)


@pytest.mark.parametrize(
    ("norms", "world", "works"),
    [("batch", 2, False), ("sync", 1, False), ("sync", 2, True), ("kept", 1, True)],
)
def test_statistics_are_not_those_of_one_picture(norms, world, works):
    here = Processes(GPU, 0, world, joined=True)
    if works:
        require_pair(config(norms=norms, batch=1), here)
        return
    with pytest.raises(BadInput, match="--batch must be at least 2"):
        require_pair(config(norms=norms, batch=1), here)
