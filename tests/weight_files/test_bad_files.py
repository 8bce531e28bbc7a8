"""Every bad weight file gets one sentence, and no code in it runs."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.small_weight_files import (
    cloned,
    logits,
    unet,
)
from toonout_core.errors import CorruptWeights
from toonout_core.loading import load_network
from toonout_core.models import recognise
from toonout_core.weight_files.reading import read_state


def foreign(*keys: str) -> dict[str, torch.Tensor]:
    return {key: torch.zeros(2) for key in keys}


def spoilt(change) -> bytes:
    from safetensors.torch import save

    state = cloned(unet())
    change(state)
    return save(state)


def good(suffix: str = ".safetensors") -> bytes:
    import io

    from safetensors.torch import save

    if suffix == ".safetensors":
        return save(cloned(unet()))
    buffer = io.BytesIO()
    torch.save(unet().state_dict(), buffer)
    return buffer.getvalue()


def pickled(content) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def scripted() -> bytes:
    import io

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in the newest
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


class Code:
    """Leaves a file behind if it is ever run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


BAD = {
    "empty": (b"", "but is empty"),
    "few bytes": (b"abc", "neither, or was cut off"),
    "web page": (b"\n<!DOCTYPE html><html>Not found</html>" * 9, "a web page"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git-lfs"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(100), "a GGUF file"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture. Name another file."),
    "photograph": (b"\xff\xd8\xff\xe0" + bytes(100), "is a picture. Name another file."),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100), "is a picture. Name another file."),
    "text": (b"hello, these are no weights at all. " * 9, "neither"),
    "cut in the header": (good()[:200], "cut off within its first bytes"),
    "cut in the middle": (good()[: len(good()) // 2], "cut off while"),
    "one byte short": (good()[:-1], f"must be {len(good())} bytes long"),
    "one byte long": (good() + b"x", "damaged"),
    "pth cut in the middle": (good(".pth")[:9000], "damaged or cut off"),
    "pth cut at the start": (good(".pth")[:40], "damaged or cut off"),
    "key missing": (
        spoilt(lambda s: s.pop("head.bias")),
        "1 missing (head.bias)",
    ),
    "keys missing": (
        spoilt(lambda s: [s.pop(k) for k in list(s) if "decoder.0.conv1" in k]),
        "missing (decoder.0.conv1.0.weight, decoder.0.conv1.1.weight, ",
    ),
    "half": (
        spoilt(lambda s: [s.pop(k) for k in list(s) if "encoder.1" in k]),
        "unet",
    ),
    "key too many": (
        spoilt(lambda s: s.update(foreign("refiner.weight"))),
        "1 unknown (refiner.weight)",
    ),
    "other shape": (
        spoilt(lambda s: s.update({"head.bias": torch.zeros(9)})),
        "head.bias is 9 instead of 4",
    ),
    "quantised": (
        spoilt(lambda s: s.update({"head.bias": torch.zeros(4, dtype=torch.int8)})),
        "1 whole numbers (head.bias)",
    ),
    "stable diffusion": (
        spoilt(lambda s: (s.clear(), s.update(foreign("model.diffusion_model.x", "b")))),
        "a Stable Diffusion checkpoint",
    ),
    "isnet": (
        spoilt(lambda s: (s.clear(), s.update(foreign("stage1.rebnconvin.conv_s1.weight")))),
        "an IS-Net",
    ),
    "names twice": (
        spoilt(lambda s: s.update({f"module.{key}": value + 1 for key, value in s.items()})),
        "must name each tensor once",
    ),
    "other net": (
        spoilt(lambda s: (s.clear(), s.update(foreign("a.b", "c.d")))),
        "2 tensors of an unknown network (a.b, c.d)",
    ),
    "no tensors": (spoilt(lambda s: s.clear()), "empty"),
    "pickled list": (pickled([1, 2, 3]), "a pickled list"),
    "pickled numbers": (pickled({"lr": 1, "steps": 3}), "a checkpoint with lr, steps"),
    "onnx": (b"\x08\x08\x12\x07pytorch" + bytes(100), "an ONNX model"),
    "torchscript": (scripted(), "a TorchScript program"),
    "whole module": (
        pickled(torch.nn.Linear(2, 2)),
        "2 tensors of an unknown network (bias, weight)",
    ),
    "ken burns": (
        spoilt(lambda s: s.update(foreign("netContext.0.weight", "netInput.netMain.0.weight"))),
        "non-commercial use only",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_gets_one_sentence(host, tmp_path, case):
    content, expected = BAD[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights) as caught:
        load_network(path, host)
    text = str(caught.value)
    assert expected in text
    assert str(path) in text
    assert "\n" not in text


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_never_runs(host, tmp_path, zipped):
    victim, path = tmp_path / "victim", tmp_path / "evil.pth"
    network = unet()
    content = {"state_dict": network.state_dict(), "extra": Code(victim)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(logits(load_network(path, host).network), logits(network))
    assert not victim.exists()
    with path.open("wb") as file:
        pickle.dump(content, file)
    with pytest.raises(CorruptWeights):
        load_network(path, host)
    assert not victim.exists()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".safetensors", ".pth"]),
    cut=st.floats(0, 1),
    place=st.floats(0, 0.2),
    noise=st.binary(max_size=12),
)
def test_any_damage_is_a_sentence_or_no_harm(tmp_path, suffix, cut, place, noise):
    """Noise over the first fifth (headers, pickles) and a cut anywhere."""
    content = bytearray(good(suffix))
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    path = tmp_path / "fuzzed"
    path.write_bytes(content[: int(cut * len(content)) + 1])
    try:
        state, _ = read_state(path)
        recognise(state).load(state)
    except CorruptWeights as error:
        assert "\n" not in str(error)
