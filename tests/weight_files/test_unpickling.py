"""Checkpoints with foreign objects: their tensors come out, their code never runs."""

from __future__ import annotations

import codecs
import io
import pickle
import sys
import time
import types
from collections import OrderedDict
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.goldens import Tensors, shared, shared_file
from toonout_core.errors import CorruptWeights
from toonout_core.models import recognise
from toonout_core.models.unet import UNet
from toonout_core.weight_files.reading import read_state
from toonout_core.weight_files.unpickling import StandIn, read_objects

# ---------------------------------------------------------------- a witness

TELLING = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "shutil.", "pickle.")
_seen: list[str] | None = None


def _witness(event: str, arguments: tuple) -> None:
    if _seen is not None and event.startswith(TELLING) and event not in ("os.stat", "os.fstat"):
        _seen.append(f"{event} {arguments}")
    if _seen is not None and event == "open" and arguments[1] not in ("r", "rb", None):
        _seen.append(f"{event} {arguments}")


sys.addaudithook(_witness)


def watched(path: Path):
    """What is in the file; AssertionError if reading it did anything but read."""
    global _seen
    _seen = []
    try:
        return read_objects(path)
    finally:
        told, _seen = _seen, None
        assert told == []


@pytest.fixture(autouse=True)
def _warm(tmp_path):
    """Whatever is imported late is imported before the witness looks."""
    # codecs of the standard library: of names in zip files, of text in the oldest pickles
    for codec in ("cp437", "raw_unicode_escape"):
        codecs.lookup(codec)

    torch.save({"a": torch.ones(2)}, tmp_path / "warm.pt")
    read_objects(tmp_path / "warm.pt")


def test_the_witness_sees_what_a_pickle_does(tmp_path):
    path = tmp_path / "victim"
    global _seen
    _seen = []
    try:
        pickle.loads(pickle.dumps(Toucher(path)))
    finally:
        told, _seen = _seen, None
    assert path.exists()
    assert any("pickle.find_class" in event for event in told)


class Toucher:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


# ---------------------------------------------------------------- files for the tests


def archive(program: bytes, compression: int = ZIP_STORED, **records: bytes) -> bytes:
    """As torch.save makes it; `records`: the numbers of each storage."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", compression) as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/byteorder", b"little")
        for name, data in records.items():
            file.writestr(f"archive/data/{name.removeprefix('_')}", data)
    return buffer.getvalue()


def parts(path: Path) -> tuple[bytes, dict[str, bytes]]:
    with ZipFile(path) as file:
        folder = file.namelist()[0].split("/")[0]
        numbers = {
            f"_{name.rsplit('/', 1)[1]}": file.read(name)
            for name in file.namelist()
            if name.startswith(f"{folder}/data/")
        }
        return file.read(f"{folder}/data.pkl"), numbers


@pytest.fixture
def foreign(monkeypatch):
    """A package of which instances can be pickled, and which is gone when `forget` is called."""
    package = types.ModuleType("vanished")

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, width, 3)
            self.bn = nn.BatchNorm2d(width)
            self.register_buffer("anchors", torch.rand(3), persistent=False)
            self.register_buffer("kept", torch.arange(3))
            self.register_parameter("bias", None)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Block(2), Block(4)])
            self.again = self.blocks[0]
            self.names = {0: "person"}
            self.history = History()

    class History:
        def __init__(self) -> None:
            self.values = np.arange(3.0)
            self.statistics = {"max": self.largest}

        def largest(self):
            return self.values.max()

    for kind in (Block, Network, History):
        kind.__module__, kind.__qualname__ = "vanished", kind.__name__
        setattr(package, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "vanished", package)
    package.forget = lambda: sys.modules.pop("vanished", None)
    return package


# ---------------------------------------------------------------- what comes out


def assert_same(got: Tensors, wanted: Tensors) -> None:
    assert list(got) == list(wanted) or set(got) == set(wanted)
    for key, value in wanted.items():
        assert got[key].dtype == value.dtype
        assert torch.equal(got[key], value)


@pytest.mark.parametrize("kept_as", ["root", "model", "ema", "state_dict"])
def test_network_that_was_pickled_whole_gives_its_state_dict(tmp_path, foreign, kept_as):
    network = foreign.Network().half()
    wanted = {key: value.clone() for key, value in network.state_dict().items()}
    content = {
        "root": network,
        "model": {"epoch": 3, "model": network, "optimizer": None},
        "ema": {"model": foreign.Network(), "ema": network, "args": types.SimpleNamespace(a=1)},
        "state_dict": {"state_dict": network.state_dict(), "hooks": [foreign.History()]},
    }[kept_as]
    path = tmp_path / "whole.pt"
    torch.save(content, path)
    foreign.forget()
    assert "vanished" not in sys.modules
    state, _ = read_state(path)
    assert_same(state, wanted)
    assert "vanished" not in sys.modules
    watched(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_and_type_of_number(tmp_path, protocol):
    content = {
        str(dtype): torch.arange(12).to(dtype).view(3, 4)[:, 1:3]
        for dtype in (
            *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
            *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
        )
    }
    content |= {"empty": torch.empty(0), "scalar": torch.tensor(2.5), "one": torch.ones(1, 2).T}
    path = tmp_path / "numbers.pt"
    torch.save(OrderedDict(content), path, pickle_protocol=protocol)
    assert_same(watched(path), content)


def test_objects_become_stand_ins_and_plain_values_stay(tmp_path, foreign):
    plain = {
        "list": [1, 2.5, None, True, "text", b"bytes", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "big": 2**70,
        3: {"nested": {}},
        "empty": [(), [], {}],
    }
    path = tmp_path / "objects.pt"
    torch.save({**plain, "history": foreign.History()}, path)
    foreign.forget()
    content = watched(path)
    history = content.pop("history")
    assert isinstance(history, StandIn)
    assert history.name == "vanished History"
    assert isinstance(history.state["values"], StandIn)
    assert isinstance(history.state["statistics"]["max"], StandIn)
    content["list"][5] = plain["list"][5]  # protocol 2 knows no bytes: they come as a call
    assert content == plain


# ---------------------------------------------------------------- recorded files


def test_file_of_ultralytics_gives_its_tensors():
    recorded = shared("yolov8_seg_tiny.safetensors")
    wanted = {key[2:]: value for key, value in recorded.items() if key.startswith("w.")}
    state, _ = read_state(shared_file("ckpt_ultralytics_style.pt"))
    assert len(state) == 417
    assert_same(state, {k: v.half() if v.is_floating_point() else v for k, v in wanted.items()})
    assert recognise(state).id == "yolov8_seg"
    watched(shared_file("ckpt_ultralytics_style.pt"))


def test_file_of_a_training_with_mmengine_gives_its_averaged_weights():
    wanted = shared("ckpt_mmengine_style_expected.safetensors")
    state, _ = read_state(shared_file("ckpt_mmengine_style.ckpt"))
    assert_same(state, wanted)
    watched(shared_file("ckpt_mmengine_style.ckpt"))


@pytest.mark.parametrize("name", ["published", "lightning"])
def test_both_readers_agree_on_files_of_tensors_alone(name):
    path = shared_file(f"ckpt_{name}_style.ckpt")
    safe = torch.load(path, weights_only=True)["state_dict"]
    assert_same(watched(path)["state_dict"], safe)


# ---------------------------------------------------------------- hostile files

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def storage(count: int, kind: bytes = b"FloatStorage", name: bytes = b"0") -> bytes:
    return (
        b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\nX\x01\x00\x00\x00" + name
        + b"X\x03\x00\x00\x00cpuI" + str(count).encode() + b"\ntQ"
    )  # fmt: skip


def tensor(size: bytes, stride: bytes, offset: bytes = b"I0\n", count: int = 4) -> bytes:
    return b"\x80\x02" + TENSOR + b"(" + storage(count) + offset + size + stride + b"I00\nNtR."


def network(children: bytes, parameters: bytes = b"}") -> bytes:
    """A stand-in that looks like a module, under 9 of the memo."""
    return (
        b"\x80\x02cevil\nNet\n)\x81q\x09}(X\x0b\x00\x00\x00_parameters" + parameters
        + b"X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules" + children + b"ub."
    )  # fmt: skip


def doubling(levels: int) -> bytes:
    """Each level holds the next one twice: 2^levels names out of a few bytes."""
    inner = b"}"
    for _ in range(levels):
        inner = (
            b"}(X\x01\x00\x00\x00acevil\nNet\n)\x81}(X\x0b\x00\x00\x00_parameters}"
            b"X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules" + inner + b"ub2"
            b"X\x01\x00\x00\x00bq\x080h\x080u"
        )
    return network(inner)


HOSTILE = {
    "os.system": b"cos\nsystem\n(S'touch VICTIM'\ntR.",
    "posix.system in protocol 4": (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch VICTIM\x85R."
    ),
    "evaluate": b"c__builtin__\neval\n(S'open(\"VICTIM\", \"w\")'\ntR.",
    "instance": b"(S'touch VICTIM'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nS'touch VICTIM'\no.",
    "new object": b"\x80\x02csubprocess\nPopen\n(S'touch VICTIM'\nt\x81.",
    "new object with keywords": b"\x80\x04csubprocess\nPopen\n(S'touch VICTIM'\nt}\x92.",
    "attribute of an attribute": (
        b"c__builtin__\ngetattr\n(c__builtin__\ngetattr\n(cos\nenviron\nS'get'\ntRS'__globals__'\ntR."
    ),
    "import": b"c__builtin__\n__import__\n(S'antigravity'\ntR.",
    "build on a function": TENSOR + b"(dS'__defaults__'\n(I1\ntsb.",
    "build on a class": b"ccollections\nOrderedDict\n(dS'__reduce__'\nI1\nsb.",
    "build on a tuple of states": b"cevil\nA\n)\x81(N}t" + b"b.",
    "call of what is no function": b"I1\n(I2\ntR.",
    "registered extension": b"\x80\x02\x82\x01.",
    "reference without a storage": b"\x80\x02X\x01\x00\x00\x00xQ.",
    "reference as text": b"Pname\n.",
    "storage that is not there": b"\x80\x02" + storage(4, name=b"7") + b".",
    "storage of another length": b"\x80\x02" + storage(5) + b".",
    "storage of unknown type": b"\x80\x02" + storage(4, kind=b"QInt8Storage") + b".",
    "storage outside of the archive": b"\x80\x02" + storage(4, name=b"/") + b".",
    "tensor beyond its storage": tensor(b"I5\n\x85", b"I1\n\x85"),
    "tensor before its storage": tensor(b"I2\n\x85", b"I1\n\x85", b"I-1\n"),
    "tensor backwards": tensor(b"I2\n\x85", b"I-1\n\x85"),
    "tensor of a huge offset": tensor(b"I1\n\x85", b"I1\n\x85", b"I999999999999999999999\n"),
    "tensor repeated without end": tensor(b"I99999999999\n\x85", b"I0\n\x85"),
    "tensor of many axes": tensor(b"(" + b"I1\n" * 5000 + b"t", b"(" + b"I1\n" * 5000 + b"t"),
    "tensor of odd axes": tensor(b"I2\n\x85", b")"),
    "tensor of text": tensor(b"X\x02\x00\x00\x00ab", b"X\x02\x00\x00\x00ab"),
    "tensor of nothing": b"\x80\x02" + TENSOR + b")R.",
    "tensor without storage": b"\x80\x02" + TENSOR + b"(I1\nI0\n))I00\nNtR.",
    "parameter of nothing": b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.",
    "network that holds itself": network(b"}X\x01\x00\x00\x00ah\x09s"),
    "network of 2^40 names": doubling(40),
    "network of odd parts": network(b"}X\x01\x00\x00\x00aI1\ns", b"}I1\nI2\ns"),
    "network of no parts": b"\x80\x02cevil\nNet\n)\x81}X\x08\x00\x00\x00_modulesNsb.",
    "list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "key that holds itself": b"\x80\x02}q\x00(h\x00I1\nu.",
    "deep tuple as a key": b"\x80\x02})" + b"\x85" * 50_000 + b"I1\ns.",
    "deep list": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "many copies of a long list": (
        b"\x80\x02](" + b"I1\n" * 50_000 + b"eq\x010"
        + b"c__builtin__\nset\nq\x020(" + b"h\x02h\x01\x85R" * 20_000 + b"l."
    ),
    "nothing": b"",
    "no end": b"\x80\x02]",
    "end at once": b".",
    "stack too short": b"\x80\x02a.",
    "mark missing": b"\x80\x02t.",
    "mark taken as a value": b"\x80\x02(0(.",
    "not remembered": b"\x80\x02h\x07.",
    "odd number of items": b"\x80\x02}(I1\nu.",
    "unknown instruction": b"\x80\x02\xff.",
    "length beyond the end": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "long number": b"I" + b"9" * 100_000 + b"\n.",
    "no text": b"X\x02\x00\x00\x00\xff\xfe.",
    "name of no text": b"\x80\x04I1\nI2\n\x93)R.",
    "name of a list of 2^40 items": (
        b"\x80\x04X\x02\x00\x00\x00os]" + b"".join(
            b"q" + bytes([n]) + b"0](h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(40)
        ) + b"\x93)R."
    ),
}  # fmt: skip


def outcome(path: Path):
    """Anything is well but a crash, a long wait, a deed, or more than a sentence."""
    started = time.process_time()
    try:
        return watched(path)
    except CorruptWeights as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return error
    finally:
        assert time.process_time() - started < 5


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_program_does_nothing(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pt"
    path.write_bytes(archive(HOSTILE[case], _0=bytes(16)))
    before = set(sys.modules)
    outcome(path)
    assert set(sys.modules) == before
    assert not (tmp_path / "VICTIM").exists()
    # and through the door that users come in by
    try:
        read_state(path)
    except CorruptWeights as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "VICTIM").exists()


@pytest.mark.parametrize(
    "case", [case for case in HOSTILE if case.startswith(("tensor", "storage", "network of 2"))]
)
def test_what_could_fill_the_memory_is_refused(tmp_path, case):
    path = tmp_path / "hostile.pt"
    path.write_bytes(archive(HOSTILE[case], _0=bytes(16)))
    assert isinstance(outcome(path), CorruptWeights)


def test_stand_ins_of_functions_are_inert():
    assert not callable(StandIn("os system"))


ARCHIVES = {
    "compressed": (archive(b"\x80\x02N.", ZIP_DEFLATED, _0=bytes(10**7)), "compressed"),
    "no pickle": (archive(b"\x80\x02N.").replace(b"data.pkl", b"nada.pkl"), "0 pickles"),
    "other processor": (
        archive(b"\x80\x02N.").replace(b"little", b"BIGBIG"),
        "damaged",
    ),
    "damaged numbers": (
        archive(tensor(b"I4\n\x85", b"I1\n\x85"), _0=b"ABCDABCDABCDABCD").replace(
            b"ABCDABCD", b"ABCDABCE"
        ),
        "damaged",
    ),
    "cut": (archive(b"\x80\x02N.")[:-30], "damaged"),
    "no archive": (b"PK\x03\x04" + bytes(200), "damaged"),
    "directory before the beginning": (archive(b"\x80\x02N.")[100:], "damaged"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_odd_archive_is_refused(tmp_path, case):
    content, expected = ARCHIVES[case]
    path = tmp_path / "odd.pt"
    path.write_bytes(content)
    refusal = outcome(path)
    assert isinstance(refusal, CorruptWeights)
    assert expected in str(refusal)


def test_records_that_lie_on_each_other_are_refused(tmp_path):
    """A thousand entries of the directory that all name the same bytes."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02N.")
        file.writestr("archive/data/0", bytes(10_000))
        for index in range(1, 1000):
            entry = file.getinfo("archive/data/0")
            twin = types.SimpleNamespace(
                **{n: getattr(entry, n) for n in entry.__slots__ if hasattr(entry, n)}
            )
            copy = type(entry)(f"archive/data/{index}")
            copy.header_offset, copy.file_size = twin.header_offset, twin.file_size
            copy.compress_size, copy.CRC = twin.compress_size, twin.CRC
            file.filelist.append(copy)
    path = tmp_path / "overlapping.pt"
    path.write_bytes(buffer.getvalue())
    assert "larger than the file" in str(outcome(path))


# ---------------------------------------------------------------- fuzz


class Parts:
    """Program and numbers of a checkpoint; hypothesis would print all of a tuple."""

    def __init__(self, path: Path) -> None:
        self.program, self.numbers = parts(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Parts:
    """With a state dict, a whole network and objects."""
    path = tmp_path_factory.mktemp("fuzz") / "good.pt"
    network = UNet(widths=(4, 8), patch=2, separable=True)
    extra = {"history": np.arange(3.0), "when": types.SimpleNamespace(epoch=3), "set": {1, 2}}
    torch.save({"state_dict": network.state_dict(), "model": nn.Linear(2, 2), **extra}, path)
    return Parts(path)


edits = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["put", "insert", "delete"]), st.binary(max_size=6)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
def test_mutated_program_is_a_sentence_or_no_harm(tmp_path, good, changes):
    program = bytearray(good.program)
    for place, how, noise in changes:
        start = int(place * len(program))
        end = start if how == "insert" else start + len(noise)
        program[start:end] = b"" if how == "delete" else noise
    path = tmp_path / "mutated.pt"
    path.write_bytes(archive(bytes(program), **good.numbers))
    outcome(path)


INSTRUCTIONS = [
    *(b"(", b")", b"]", b"}", b"0", b"1", b"2", b"N", b"a", b"e", b"s", b"u", b"t", b"l", b"d"),
    *(b"b", b"R", b"o", b"Q", b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"\x81", b"\x85", b"\x86"),
    *(b"\x87", b"\x88", b"\x89", b"\x8f", b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"."),
    *(b"K\x02", b"J\xff\xff\xff\xff", b"X\x01\x00\x00\x000", b"X\x08\x00\x00\x00_modules"),
    *(b"X\x0b\x00\x00\x00_parameters", b"X\x08\x00\x00\x00_buffers", b"cos\nsystem\n", TENSOR),
    *(b"ctorch\nFloatStorage\n", b"X\x07\x00\x00\x00storage", b"ccollections\nOrderedDict\n"),
    *(storage(4), b"c__builtin__\nset\n", b"ctorch._utils\n_rebuild_parameter\n", b"ios\nx\n"),
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(st.sampled_from(INSTRUCTIONS), max_size=40))
def test_random_instructions_are_a_sentence_or_no_harm(tmp_path, program):
    path = tmp_path / "random.pt"
    path.write_bytes(archive(b"\x80\x02" + b"".join(program) + b".", _0=bytes(16)))
    outcome(path)


def test_good_checkpoint_is_read_back_from_its_parts(tmp_path, good):
    path = tmp_path / "good.pt"
    path.write_bytes(archive(good.program, **good.numbers))
    content = watched(path)
    assert recognise(content["state_dict"]).id == "unet"
    assert set(content["model"]) == {"weight", "bias"}
