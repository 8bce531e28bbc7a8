"""Files into networks: every good form loads and equals, every bad one gets one sentence."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.fake_host import FakeHost, StopFromHost
from toonout_core import weights
from toonout_core.converting import average, convert
from toonout_core.errors import BadInput, CorruptWeights, DownloadFailed, UnknownModel
from toonout_core.loading import load_network
from toonout_core.models import recognise
from toonout_core.models.birefnet import BiRefNet
from toonout_core.models.unet import UNet
from toonout_core.weight_files import locating
from toonout_core.weight_files.fingerprints import Fingerprints
from toonout_core.weight_files.locating import WEIGHTS_KEY
from toonout_core.weight_files.reading import read_state

TINY_BIREFNET = {
    "dim": 4,
    "depths": (1, 1, 1, 1),
    "heads": (1, 1, 1, 1),
    "window": 3,
    "inner": 4,
    "branch": 4,
    "image_inner": 4,
}


def unet(**changes) -> UNet:
    return UNet(**{"widths": (4, 8), "patch": 2, "separable": True} | changes).train(False)


def logits(network: torch.nn.Module) -> torch.Tensor:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        return network(image)


def write(network: torch.nn.Module, path: Path, dtype=torch.float32, **metadata: str) -> Path:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in cloned(network).items()}
    if path.suffix == ".safetensors":
        save_file(state, path, {"format": "pt", **metadata})
    else:
        torch.save(state, path)
    return path


def cloned(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


@pytest.fixture
def host(tmp_path):
    return FakeHost([tmp_path / "models", tmp_path / "cache"])


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "models"
    path.mkdir()
    return path


# ---------------------------------------------------------------- good files


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"separable": False}, {"patch": 1}, {"widths": (4, 6, 8)}],
    ids=["small", "plain", "pixels", "deep"],
)
def test_saved_network_loads_as_itself(host, tmp_path, suffix, changes):
    network = unet(**changes)
    loaded = load_network(write(network, tmp_path / f"mine{suffix}"), host)
    assert torch.equal(logits(loaded.network), logits(network))
    assert (loaded.name, loaded.licence, loaded.weights) == ("mine", "unknown", None)
    assert loaded.architecture.id == "unet"
    assert not loaded.network.training
    assert not any(p.requires_grad or p.is_meta for p in loaded.network.parameters())


def test_birefnet_loads_in_both_patch_orders(host, tmp_path):
    path = write(BiRefNet(**TINY_BIREFNET).train(False), tmp_path / "birefnet.safetensors")
    default = load_network(path, host)
    assert default.architecture.id == "birefnet"
    orders = {
        order: logits(load_network(path, host, patch_order=order).network)
        for order in ("channel_first", "channel_last")
    }
    assert torch.equal(logits(default.network), orders["channel_first"])
    assert not torch.allclose(*orders.values())


@pytest.mark.parametrize(
    ("prefix", "wrapper"),
    [
        ("module.", None),
        ("_orig_mod.", "state_dict"),
        ("module._orig_mod.", None),
        ("_orig_mod.module.", "model"),
        ("", "averaged"),
    ],
)
def test_wrappers_and_prefixes_are_seen_through(host, tmp_path, prefix, wrapper):
    network = unet()
    state = OrderedDict((prefix + key, value) for key, value in network.state_dict().items())
    content = {"epoch": 3, "lr": 1e-4, wrapper: state} if wrapper else state
    torch.save(content, tmp_path / "wrapped.pth")
    loaded = load_network(tmp_path / "wrapped.pth", host)
    assert torch.equal(logits(loaded.network), logits(network))


def test_old_pickles_load_too(host, tmp_path):
    network = unet()
    path = tmp_path / "old.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    assert torch.equal(logits(load_network(path, host).network), logits(network))


def test_format_is_seen_in_the_content_not_in_the_name(host, tmp_path):
    network = unet()
    misnamed = write(network, tmp_path / "really.pth").rename(tmp_path / "called.safetensors")
    assert torch.equal(logits(load_network(misnamed, host).network), logits(network))


def test_what_follows_from_the_rest_may_be_missing(host, tmp_path):
    network = BiRefNet(**TINY_BIREFNET).train(False)
    state = cloned(network)
    derived = ("num_batches_tracked", "relative_position_index")
    lean = {key: value for key, value in state.items() if not key.endswith(derived)}
    assert len(lean) < len(state) - 4
    save_file(lean, tmp_path / "lean.safetensors")
    loaded = load_network(tmp_path / "lean.safetensors", host).network
    restored = loaded.state_dict()
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[key], state[key]) for key in state if "tracked" not in key)
    assert torch.allclose(logits(loaded), logits(network), atol=1e-5)


def test_indices_that_were_halved_are_whole_again(host, tmp_path):
    network = BiRefNet(**TINY_BIREFNET).train(False).half()
    careless = {key: value.half() for key, value in cloned(network).items()}
    save_file(careless, tmp_path / "careless.safetensors")
    loaded = load_network(tmp_path / "careless.safetensors", host).network.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(loaded[key], value.float() if value.is_floating_point() else value)
        assert loaded[key].is_floating_point() == value.is_floating_point()


def test_tensors_are_taken_over_not_copied():
    state = cloned(unet())
    network = recognise(state).load(state)
    assert {k: v.data_ptr() for k, v in network.state_dict().items()} == {
        k: v.data_ptr() for k, v in state.items()
    }


# ---------------------------------------------------------------- precision


class CudaHost(FakeHost):
    def on_device(self, model, working_memory):
        from contextlib import nullcontext

        return nullcontext(torch.device("cuda"))


@pytest.mark.parametrize(
    ("precision", "kind", "dtype"),
    [
        ("auto", FakeHost, torch.float32),
        ("auto", CudaHost, torch.float16),
        ("fp32", CudaHost, torch.float32),
        ("fp16", FakeHost, torch.float16),
        ("bf16", FakeHost, torch.bfloat16),
    ],
)
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_precision(tmp_path, precision, kind, dtype, stored):
    path = write(unet(), tmp_path / "a.safetensors", stored)
    loaded = load_network(path, kind([tmp_path]), precision=precision)
    assert loaded.dtype == dtype
    floats = [p for p in loaded.network.state_dict().values() if p.is_floating_point()]
    assert {p.dtype for p in floats} == {dtype}
    counters = [v for k, v in loaded.network.state_dict().items() if "tracked" in k]
    assert {v.dtype for v in counters} == {torch.int64}


def test_unknown_precision_is_refused(host, tmp_path):
    with pytest.raises(BadInput, match="precision must be auto, fp32, fp16 or bf16"):
        load_network(write(unet(), tmp_path / "a.safetensors"), host, precision="fp8")


# ---------------------------------------------------------------- bad files


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
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
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
    if zipped:
        assert torch.equal(logits(load_network(path, host).network), logits(network))
    else:
        with pytest.raises(CorruptWeights, match="program code"):
            load_network(path, host)
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


# ---------------------------------------------------------------- names and folders


def published(path: Path, **changes) -> weights.Weights:
    """A row for the file at `path`, as if it lay on the hub."""
    mini = weights.WEIGHTS[0]
    import hashlib

    return replace(
        mini,
        name="published",
        repo="owner/name",
        file=path.name,
        revision="c" * 40,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        size_is_exact=True,
        input_size_hw=(96, 64),
        **changes,
    )


def set_table(monkeypatch, *rows: weights.Weights) -> None:
    for module in (weights, locating):
        monkeypatch.setattr(module, "WEIGHTS", rows)


def test_published_file_is_found_by_content_under_any_name(monkeypatch, host, folder):
    deep = folder / "from somewhere"
    deep.mkdir()
    path = write(unet(), deep / "model (2).safetensors")
    write(unet(), folder / "decoy.safetensors")  # of the same size
    set_table(monkeypatch, published(path))
    for name in ("published", str(path), "model (2)"):
        loaded = load_network(name, host, download=False)
        assert loaded.path == path
        assert (loaded.name, loaded.input_size_hw) == ("published", (96, 64))


def test_folders_are_searched_in_order(monkeypatch, host):
    first, second = host.weight_dirs()
    second.mkdir()
    network = unet()
    late = write(network, second / "b.safetensors")
    set_table(monkeypatch, published(late))
    assert load_network("published", host).path == late
    first.mkdir(exist_ok=True)
    early = write(network, first / "a.safetensors")
    assert load_network("published", host).path == early
    assert load_network("b.safetensors", host).path == late


def test_other_file_of_the_same_numbers_serves(monkeypatch, host, folder):
    network = unet()
    path = write(network, folder / "converted-by-others.safetensors")
    twin = replace(published(path), name="twin", same_as="published")
    absent = replace(published(path), sha256="0" * 64, file="x.pth", size_is_exact=False)
    set_table(monkeypatch, absent, twin)
    loaded = load_network("published", host, download=False)
    assert (loaded.path, loaded.name) == (path, "published")


def test_file_in_the_cache_of_the_hubs_client_is_used(monkeypatch, host, folder, tmp_path):
    path = write(unet(), tmp_path / "model.safetensors")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    row = published(path)
    blob = path.rename(blobs / row.sha256)
    path.symlink_to(blob)
    monkeypatch.setattr(locating, "cached", lambda row: path)
    for known in (row, replace(row, sha256="")):
        set_table(monkeypatch, known)
        assert load_network("published", host, download=False).path == path
    set_table(monkeypatch, replace(row, sha256="0" * 64))
    with pytest.raises(DownloadFailed):
        load_network("published", host, download=False)


def test_row_decides_patch_order_and_the_caller_overrides(monkeypatch, host, folder):
    path = write(BiRefNet(**TINY_BIREFNET).train(False), folder / "b.safetensors")
    row = published(path, architecture="birefnet")
    set_table(monkeypatch, replace(row, patch_order="channel_last"))
    assert load_network("published", host).network.patch_order == "channel_last"
    assert load_network(path, host).network.patch_order == "channel_last"
    chosen = load_network("published", host, patch_order="channel_first")
    assert chosen.network.patch_order == "channel_first"


def test_folders_are_hashed_once(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, replace(published(path), file="published.safetensors"))
    load_network("published", host)
    before = len(host.totals)
    assert before == 1
    again = FakeHost(host.weight_dirs())
    load_network("published", again)
    assert again.totals == []
    # a changed file is looked at again
    write(unet(widths=(4, 8)), path)
    os.utime(path, (1, 1))
    with pytest.raises(DownloadFailed):
        load_network("published", again, download=False)
    assert len(again.totals) == 1


def test_published_name_serves_where_the_content_is_not_known(monkeypatch, host, folder, caplog):
    path = write(unet(), folder / "published.safetensors")
    row = replace(published(path), sha256="0" * 64)
    set_table(monkeypatch, row)
    for _ in range(2):
        loaded = load_network("published", host, download=False)
    assert (loaded.path, loaded.weights) == (path, row)
    assert caplog.text.count("bears the name of published") == 1
    assert row.sha256 in caplog.text
    with pytest.raises(CorruptWeights, match="sha256 0000"):
        load_network("published", host, download=False, verify=True)
    exact = path.rename(folder / "other.safetensors")
    set_table(monkeypatch, replace(row, sha256=published(exact).sha256))
    (folder / "published.safetensors").write_bytes(write(unet(), folder / "b.pt").read_bytes())
    assert load_network("published", host, download=False).path == exact


@pytest.mark.parametrize("case", ["size", "two rows"])
def test_published_name_alone_is_not_enough(monkeypatch, host, folder, case):
    path = write(unet(), folder / "model.safetensors")
    row = replace(published(path), sha256="0" * 64)
    if case == "size":
        set_table(monkeypatch, replace(row, size_bytes=row.size_bytes + 1))
    else:
        set_table(monkeypatch, row, replace(row, name="another"))
    with pytest.raises(DownloadFailed):
        load_network("published", host, download=False)


def test_stop_while_hashing_passes_through(monkeypatch, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path))
    with pytest.raises(StopFromHost):
        load_network("published", FakeHost([folder], cancel_at=1))


def test_nothing_is_asked_where_downloads_are_forbidden(monkeypatch, host, folder):
    row = published(write(unet(), folder / "a.safetensors"))
    (folder / "a.safetensors").unlink()
    set_table(monkeypatch, row)
    with pytest.raises(DownloadFailed) as caught:
        load_network("published", host, download=False)
    text = str(caught.value)
    assert all(str(place) in text for place in host.weight_dirs())
    assert row.url in text
    assert "published" in text


def test_unknown_name_says_what_there_is_and_where_was_looked(host, folder):
    with pytest.raises(UnknownModel) as caught:
        load_network("toonuot", host)
    assert "toonout-mini, toonout," in str(caught.value)
    assert str(folder) in str(caught.value)
    with pytest.raises(UnknownModel, match="is a folder"):
        load_network(folder, host)


def test_wrong_task_is_refused(host):
    with pytest.raises(UnknownModel, match="one for instances, but toonout is for matting"):
        load_network("toonout", host, task="instances")


def test_file_of_another_architecture_than_its_row(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path, architecture="birefnet"))
    with pytest.raises(CorruptWeights, match="must be birefnet"):
        load_network("published", host)


# ---------------------------------------------------------------- verification


def test_verify_sees_what_size_and_time_hide(monkeypatch, host, folder):
    path = write(unet(), folder / "a.safetensors")
    set_table(monkeypatch, published(path))
    load_network("published", host, verify=True)
    stamp = path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stamp, stamp))
    load_network("published", host)
    with pytest.raises(CorruptWeights, match="altered or damaged"):
        load_network("published", host, verify=True)


def test_verify_compares_with_the_record_of_a_download(host, folder):
    path = write(unet(), folder / "a.safetensors")
    fingerprints = Fingerprints(host)
    digest = fingerprints.of(path, again=True).sha256
    fingerprints.remember(path, digest, "owner/name/a.safetensors")
    load_network(path, host, verify=True)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match=digest):
        load_network(path, host, verify=True)


def test_verify_of_an_unknown_file_says_so(host, folder, caplog):
    load_network(write(unet(), folder / "a.safetensors"), host, verify=True)
    assert "no checksum is known" in caplog.text


# ---------------------------------------------------------------- conversion


@pytest.mark.parametrize("dtype", [None, "fp32", "fp16", "bf16"])
def test_conversion_writes_every_tensor_under_bare_names(host, tmp_path, dtype):
    network = BiRefNet(**TINY_BIREFNET).train(False)
    state = {"module._orig_mod." + key: value for key, value in cloned(network).items()}
    lean = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(lean, tmp_path / "raw.pth")
    target = tmp_path / "new" / "converted.safetensors"
    convert(tmp_path / "raw.pth", target, host, dtype=dtype)
    written = load_file(target)
    assert written.keys() == network.state_dict().keys()
    kinds = {None: torch.float32, "fp32": torch.float32, "fp16": torch.float16}
    wanted = kinds.get(dtype, torch.bfloat16)
    for key, value in network.state_dict().items():
        expected = value.to(wanted) if value.is_floating_point() else value
        assert torch.equal(written[key], expected), key
    assert [path.name for path in target.parent.iterdir()] == ["converted.safetensors"]
    assert target.stat().st_mode == (tmp_path / "raw.pth").stat().st_mode
    load_network(target, host, verify=True)


def test_converted_file_knows_what_it_was(monkeypatch, host, folder, tmp_path):
    source = write(unet(), tmp_path / "source.pth")
    set_table(monkeypatch, published(source))
    target = folder / "any name.safetensors"
    convert(source, target, host, dtype="fp16")
    loaded = load_network(target, host)
    assert (loaded.name, loaded.input_size_hw) == ("published", (96, 64))
    source.unlink()
    assert load_network("published", host, download=False).path == target


def test_conversion_never_overwrites_unasked(host, tmp_path):
    source = write(unet(), tmp_path / "a.safetensors")
    before = source.read_bytes()
    with pytest.raises(BadInput, match="exists"):
        convert(source, source, host, dtype="fp16")
    assert source.read_bytes() == before
    convert(source, source, host, dtype="fp16", force=True)
    assert source.stat().st_size < len(before)
    load_network(source, host, verify=True)
    with pytest.raises(BadInput, match=r"must end in \.safetensors"):
        convert(source, tmp_path / "a.pth", host)


def test_conversion_of_rubbish_leaves_nothing(host, tmp_path):
    source = tmp_path / "bad.pth"
    source.write_bytes(BAD["web page"][0])
    with pytest.raises(CorruptWeights):
        convert(source, tmp_path / "out.safetensors", host)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


def test_claim_in_the_metadata_is_only_a_name(host, tmp_path):
    """Whatever a file says about itself, the tensors decide."""
    path = write(unet(), tmp_path / "liar.safetensors", **{WEIGHTS_KEY: "toonout"})
    with pytest.raises(CorruptWeights, match="must be birefnet, as toonout is, but are unet"):
        load_network(path, host)
    header = json.dumps({WEIGHTS_KEY: "no such row"})
    path = write(unet(), tmp_path / "odd.safetensors", **{WEIGHTS_KEY: header})
    assert load_network(path, host).weights is None


def test_average_is_the_weighted_mean_of_every_tensor(host, tmp_path):
    networks = [unet(), unet()]
    for value in networks[1].state_dict().values():
        value.add_(1)
    paths = [write(network, tmp_path / f"{i}.safetensors") for i, network in enumerate(networks)]
    before = [path.read_bytes() for path in paths]
    average(paths, tmp_path / "mean.safetensors", host, shares=[1, 3])
    written = load_file(tmp_path / "mean.safetensors")
    first, second = (network.state_dict() for network in networks)
    assert written.keys() == first.keys()
    for key, value in written.items():
        assert value.dtype == first[key].dtype
        if value.is_floating_point():
            torch.testing.assert_close(value, first[key] * 0.25 + second[key] * 0.75)
        else:
            assert torch.equal(value, second[key])
    assert [path.read_bytes() for path in paths] == before
    load_network(tmp_path / "mean.safetensors", host, verify=True)


def test_average_refuses_what_has_no_mean(host, tmp_path):
    source = write(unet(), tmp_path / "a.safetensors")
    other = write(BiRefNet(**TINY_BIREFNET), tmp_path / "b.safetensors")
    target = tmp_path / "mean.safetensors"
    with pytest.raises(BadInput, match="same network"):
        average([source, other], target, host)
    for sources, shares in (([source], None), ([source, source], [1]), ([source, source], [1, -1])):
        with pytest.raises(BadInput, match="a share each"):
            average(sources, target, host, shares=shares)
    assert not target.exists()
