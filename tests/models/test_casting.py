"""Loading in another number type: what becomes of the file's mapping, and how much is held."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from toonout_core.models import casting
from toonout_core.models.casting import cast_
from toonout_core.weight_files.reading import read_state

MAPS = Path("/proc/self/maps")  # Linux


class Network(nn.Module):
    """Every kind of tensor: linear weights, norms, integers, one that no file has."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("index", torch.arange(5))
        self.register_buffer("extra", torch.full((3,), 0.5))


def stored(path: Path, network: nn.Module, dtype: torch.dtype) -> Path:
    state = {
        k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()
    }
    del state["extra"]
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def mapped(path: Path, shape: tuple[int, int]) -> Network:
    with torch.device("meta"):
        network = Network(*shape)
    state = {**read_state(path)[0], "extra": torch.full((3,), 0.5)}
    network.load_state_dict(state, assign=True)
    return network


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("of, to", [("float16", "float32"), ("float32", "bfloat16")])
def test_every_tensor_is_cast_and_the_file_let_go(tmp_path, monkeypatch, suffix, of, to):
    torch.manual_seed(3)
    of, to = getattr(torch, of), getattr(torch, to)
    path = stored(tmp_path / f"a{suffix}", Network(8, 5), of)
    monkeypatch.setattr(casting, "_LEAST_BYTES", 100)
    network = mapped(path, (8, 5))
    if MAPS.exists():
        assert str(path) in MAPS.read_text()
    wanted = {k: v.to(to) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    wanted = {key: value.clone() for key, value in wanted.items()}
    reads = []

    def again():
        reads.append(path)
        return read_state(path)[0]

    cast_(network, to, again)
    assert len(reads) > 3
    got = network.state_dict()
    assert list(got) == list(wanted)
    for key, value in wanted.items():
        assert got[key].dtype == value.dtype and torch.equal(got[key], value), key
    if MAPS.exists():
        assert str(path) not in MAPS.read_text()


def test_folded_norms_are_not_read_again(tmp_path):
    network = Network(2, 1)
    path = stored(tmp_path / "a.safetensors", network, torch.float32)
    network.norm.weight.data = torch.full((4,), 7.0)
    cast_(network, torch.bfloat16, lambda: read_state(path)[0])
    assert network.norm.weight.tolist() == [7.0] * 4
