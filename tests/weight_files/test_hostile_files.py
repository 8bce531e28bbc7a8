"""Small files that ask for any time or memory, or for a tensor that is none: one sentence each."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from tests.small_weight_files import TINY_BIREFNET, cloned, published, set_table, unet, write
from tests.weight_files.test_unpickling import archive, storage, tensor
from toonout_core.errors import CorruptWeights
from toonout_core.evaluation.peak_memory import peak_memory
from toonout_core.loading import find_here, load_network
from toonout_core.models.birefnet import BiRefNet
from toonout_core.models.rtmdet_ins import RTMDetIns
from toonout_core.models.rtmdet_ins.dynamic_masks import hidden_channels
from toonout_core.weight_files.locating import claimed_name, find_file
from toonout_core.weight_files.reading import read_header, read_state


def header(text: str | bytes, data: int = 0) -> bytes:
    content = text if isinstance(text, bytes) else text.encode()
    return len(content).to_bytes(8, "little") + content + bytes(data)


def entry(end: str = "4", shape: str = "[1]") -> str:
    return '{"a":{"dtype":"F32","shape":' + shape + ',"data_offsets":[0,' + end + "]}}"


def pickled(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def state(**changes) -> dict[str, torch.Tensor]:
    return cloned(unet()) | changes


def spoilt_state(network: torch.nn.Module, **more: torch.Tensor) -> bytes:
    return save(cloned(network) | more)


def odd(kind: str) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to leave them, or has not finished them
        if kind == "tensors":
            return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
        return torch.quantize_per_tensor(torch.ones(4), 1.0, 0, torch.qint8)


def wide_window() -> bytes:
    """A bias table of a window so wide that its position indices would have 10^11 numbers."""
    content = {
        key: value
        for key, value in cloned(BiRefNet(**TINY_BIREFNET)).items()
        if "position_index" not in key
    }
    for key in content:
        if key.endswith("relative_position_bias_table"):
            content[key] = torch.zeros((2 * 600 - 1) ** 2, 1, dtype=torch.uint8)
    return save(content)


def doubled(levels: int, begin: bytes, join: bytes) -> bytes:
    """Each level names the one below twice."""
    program = begin + b"q\x000"
    for level in range(levels):
        program += b"h" + bytes([level]) + b"h" + bytes([level]) + join
        program += b"q" + bytes([level + 1]) + b"0"
    return program + b"h" + bytes([levels])


def views(count: int) -> bytes:
    """Tensors that are all the same numbers of one storage."""
    numbers = torch.zeros(250_000)
    return pickled({f"t{i}": numbers.view(500, 500) for i in range(count)})


def old(program: bytes, names: list[str], numbers: bytes) -> bytes:
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    return b"".join(parts) + program + pickle.dumps(names, 2) + numbers


OLD_STORAGE = (
    b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    b"I%d\nNtQ."
)

BAD = {
    "end that is infinite": header(entry("1e999")),
    "end that is no number": header(entry("NaN")),
    "end of 5000 digits": header(entry("9" * 5000)),
    "end of 400 digits": header(entry("9" * 400)),
    "end that is half": header(entry("4.0"), 4),
    "end that is text": header(entry('"4"'), 4),
    "end before the beginning": header(entry("-4"), 4),
    "entry that is a number": header('{"a":7}'),
    "header that is deep": header("[" * 1_000_000),
    "header of deep entries": header('{"a":' * 500_000 + "1" + "}" * 500_000),
    "metadata that are deep": header('{"__metadata__":{"a":' + "[" * 900 + "]" * 900 + "}}"),
    "metadata that are a list": header('{"__metadata__":[1]}'),
    "header of lists": header("[" + "[]," * 650_000 + "[]]"),
    "header longer than any": header("[" + "[]," * 700_000 + "[]]"),
    "header of no text": header(b"\xff\xfe" * 500),
    "shape without numbers": save(state(**{"head.weight": torch.empty(10**12, 0)})),
    "no numbers at all": save(state(**{"stem.bias": torch.empty(0)})),
    "block of a huge number": spoilt_state(
        BiRefNet(**TINY_BIREFNET), **{"bb.layers.0.blocks.100000000.x": torch.ones(1)}
    ),
    "level of a huge number": save(state(**{"encoder.50000000.x": torch.ones(1)})),
    "block of 5000 digits": save(state(**{f"encoder.{'9' * 5000}.x": torch.ones(1)})),
    "window of a huge size": wide_window(),
    "tensor without values": pickled(state(**{"head.bias": torch.empty(4, device="meta")})),
    "tensor of few values": pickled(state(**{"head.bias": torch.ones(4).to_sparse()})),
    "tensor of small values": pickled(state(**{"head.bias": odd("small values")})),
    "tensor of tensors": pickled(state(**{"head.bias": odd("tensors")})),
    "tensor of complex values": pickled(state(**{"head.bias": torch.ones(4, dtype=torch.cfloat)})),
    "name that is a number": pickled({**state(), 5: torch.ones(1)}),
    "name of 10000 digits": pickled({**state(), 10**10_000: torch.ones(1)}),
    "name that no terminal shows": pickled({**state(), "a\n\x1b[31mb": torch.ones(1)}),
    "lists that double": archive(b"\x80\x02" + doubled(60, b"]", b"\x86") + b"."),
    "key that doubles": archive(b"\x80\x02}" + doubled(60, b"N", b"\x86") + b"Ns."),
    "key that doubles, in the old form": old(
        b"\x80\x02}" + doubled(60, b"N", b"\x86") + b"Ns.", [], b""
    ),
    "tensor repeated": archive(
        tensor(b"(I1000000\nI1000000\nt", b"(I0\nI0\nt"), _0=bytes(16)
    ),
    "one storage a thousand times": views(1000),
    "storage that is not there, in the old form": old(OLD_STORAGE % 10**9, ["0"], bytes(16)),
    "storage of huge size, in the old form": old(
        OLD_STORAGE % 10**12, ["0"], (10**12).to_bytes(8, "little")
    ),
    "endless pickle": archive(b"\x80\x02" + b"N0" * 4_000_000 + b"."),
    "endless pickle, in the old form": old(b"\x80\x02" + b"N0" * 4_000_000 + b".", [], b""),
    "storage of a type without a name": archive(
        b"\x80\x02" + storage(4, kind=b"X" * 1000) + b".", _0=bytes(16)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for number, content in enumerate(BAD.values()):
        (folder / f"{number:02}.safetensors").write_bytes(content)
    return folder


@pytest.mark.parametrize("case", BAD)
def test_one_sentence(host, bad_files, case):
    path = bad_files / f"{list(BAD).index(case):02}.safetensors"
    with pytest.raises(CorruptWeights) as caught:
        load_network(path, host)
    text = str(caught.value)
    assert str(path) in text
    assert text.isprintable()
    assert len(text) < 800 + 2 * len(str(path))
    assert claimed_name(path) == ""


@pytest.mark.parametrize("case", BAD)
def test_little_memory(host, bad_files, case):
    """Where the system tells it: at most 150 MB, and less than that for most."""
    with peak_memory(torch.device("cpu")) as before:
        pass
    with peak_memory(torch.device("cpu")) as during, pytest.raises(CorruptWeights):
        load_network(bad_files / f"{list(BAD).index(case):02}.safetensors", host)
    if before.size_bytes is None or during.size_bytes is None:
        pytest.skip("this system does not tell the peak")
    assert during.size_bytes - before.size_bytes < 150_000_000


def test_bad_files_in_a_folder_are_passed_over(host, folder, monkeypatch, bad_files):
    good = write(unet(), folder / "zz.safetensors")
    row = published(good)
    set_table(monkeypatch, row)
    for path in bad_files.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "gone.safetensors").symlink_to(folder / "nowhere")
    (folder / "folder.safetensors").mkdir()
    assert find_file(row, host) == good
    assert find_here("zz", host)[0] == good


def test_a_file_that_cannot_be_read_is_passed_over(host, folder, monkeypatch, caplog):
    good = write(unet(), folder / "zz.safetensors")
    secret = folder / "aa.safetensors"
    secret.write_bytes(good.read_bytes())
    row = published(good)
    set_table(monkeypatch, row)
    opened = Path.open

    def refusing(self, *arguments, **options):
        if self.name == secret.name:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    assert find_file(row, host) == good
    assert "aa.safetensors is left out" in caplog.text


def test_a_file_whose_name_is_no_text_is_found(host, folder, monkeypatch):
    path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.safetensors"))
    try:
        write(unet(), path)
    except (OSError, UnicodeError):
        pytest.skip("the file system takes texts only")
    row = published(path)
    set_table(monkeypatch, row)
    assert find_file(row, host) == path


def test_the_old_form_gives_the_same_numbers(tmp_path):
    network = unet()
    content = OrderedDict(network.state_dict())
    content["again"] = content["stem.weight"][1:, :, ::2]
    content["counter"] = torch.tensor(7)
    for is_new in (True, False):
        torch.save(content, tmp_path / f"{is_new}.pth", _use_new_zipfile_serialization=is_new)
    new, _ = read_state(tmp_path / "True.pth")
    before, _ = read_state(tmp_path / "False.pth")
    assert list(new) == list(before) == list(content)
    assert all(torch.equal(new[key], content[key]) for key in content)
    assert all(torch.equal(before[key], content[key]) for key in content)


def test_what_is_mapped_never_changes_the_file(tmp_path):
    path = write(unet(), tmp_path / "a.pth")
    before = path.read_bytes()
    content, _ = read_state(path)
    for value in content.values():
        value.zero_()
    assert path.read_bytes() == before


def test_a_sound_header_is_still_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(3)}, path, {"about": "é" * 100})
    assert read_header(path)["__metadata__"] == {"about": "é" * 100}


@pytest.mark.parametrize("prototypes", [1, 8, 32])
@pytest.mark.parametrize("channels", [1, 8, 100])
def test_the_width_of_the_small_networks_is_found(prototypes, channels):
    length = channels * (prototypes + 2 + channels + 3) + 1
    assert hidden_channels(length, prototypes) == channels
    with pytest.raises(ValueError):
        hidden_channels(length + 1, prototypes)


def test_detector_with_a_huge_block(host, tmp_path):
    network = RTMDetIns(widths=(8, 16, 32, 64, 128), depths=(1, 1, 1, 1))
    content = cloned(network) | {"backbone.stage1.1.blocks.50000000.x": torch.ones(1)}
    save_file(content, tmp_path / "a.safetensors")
    with pytest.raises(CorruptWeights, match="a part 50000000 in a file of"):
        load_network(tmp_path / "a.safetensors", host, task=None)
