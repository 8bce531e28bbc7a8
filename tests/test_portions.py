"""Less at a time when memory runs out, whoever says so."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from tests.fake_host import FakeHost
from toonout_core.errors import BadInput, OutOfMemory
from toonout_core.host import LocalHost, is_out_of_memory
from toonout_core.portions import in_halves, in_portions, memory_for

# what allocators say when they have nothing left
SAYINGS = {
    "cuda": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cuda, late": RuntimeError("CUDA error: out of memory"),
    "hip": RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 17.98 GB)"),
    "cudnn": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cublas": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "windows": RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"
    ),
    "onednn": RuntimeError("could not create a memory object"),
    "c++": RuntimeError("std::bad_alloc"),
    "python": MemoryError(),
}


class OpenCvError(Exception):
    """As cv2.error, which is no RuntimeError."""

    __module__ = "cv2"


@contextmanager
def cpu(count):
    yield torch.device("cpu")


@pytest.mark.parametrize("error", SAYINGS.values(), ids=SAYINGS)
def test_every_allocator_is_understood(error):
    assert is_out_of_memory(error)
    assert LocalHost("cpu").out_of_memory(error)


def test_opencv_is_understood():
    assert is_out_of_memory(OpenCvError("(-4:Insufficient memory) Failed to allocate 9 bytes"))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        BadInput("a picture", "out of memory"),
        OpenCvError("(-215:Assertion failed)"),
    ],
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)


def test_an_allocator_that_really_fails_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def limited(limit, error=SAYINGS["cpu"]):
    """Work that notes its slices and fails for more than `limit` items."""
    tries, finished = [], []

    def work(part, device):
        tries.append(part.stop - part.start)
        if part.stop - part.start > limit:
            raise error
        finished.extend(range(part.start, part.stop))

    return tries, finished, work


@pytest.mark.parametrize("error", SAYINGS.values(), ids=SAYINGS)
def test_half_as_many_until_they_fit(error):
    tries, finished, work = limited(2, error)
    in_portions(FakeHost(), 9, 8, cpu, work, kind="a", sentence="no")
    assert tries == [8, 4, 2, 2, 2, 2, 1]
    assert finished == list(range(9))


def test_what_fits_is_remembered_by_kind_of_work():
    host = FakeHost()
    for kind, expected in (
        ("a", [8, 4, 2, 2, 2, 2]),
        ("a", [2, 2, 2, 2]),
        ("b", [8, 4, 2, 2, 2, 2]),
    ):
        tries, finished, work = limited(2)
        in_portions(host, 8, 8, cpu, work, kind=kind, sentence="no")
        assert (tries, finished) == (expected, list(range(8)))


def test_another_host_is_not_told():
    for host in (FakeHost(), FakeHost()):
        tries, _, work = limited(2)
        in_portions(host, 4, 4, cpu, work, kind="a", sentence="no")
        assert tries == [4, 2, 2]


def test_one_is_tried_twice_then_a_sentence():
    tries, _, work = limited(0)
    with pytest.raises(OutOfMemory, match="make it smaller") as caught:
        in_portions(FakeHost(), 3, 2, cpu, work, kind="a", sentence="make it smaller")
    assert tries == [2, 1, 1]
    assert is_out_of_memory(caught.value.__cause__)


def test_room_is_asked_for_as_many_as_are_left():
    asked = []

    @contextmanager
    def hold(count):
        asked.append(count)
        yield torch.device("cpu")

    _, _, work = limited(2)
    in_portions(FakeHost(), 3, 8, hold, work, kind="a", sentence="no")
    assert asked == [3, 1]
    in_portions(FakeHost(), 0, 8, hold, work, kind="a", sentence="no")
    assert asked == [3, 1]


def test_the_cpu_is_the_last_resort_and_remembered():
    class Device:
        type = "other"

    @contextmanager
    def hold(count):
        yield Device

    devices = []

    def work(part, device):
        devices.append(device.type)
        if device is Device:
            raise SAYINGS["mps"]

    host = FakeHost()
    for expected in (["other", "other", "cpu", "cpu"], ["cpu", "cpu"]):
        devices.clear()
        in_portions(host, 2, 1, hold, work, kind="a", sentence="no", or_on_cpu=True)
        assert devices == expected

    def never(part, device):
        raise SAYINGS["cpu"]

    with pytest.raises(OutOfMemory, match="no room"):
        in_portions(host, 2, 1, hold, never, kind="b", sentence="no room", or_on_cpu=True)


def test_other_errors_pass_unchanged():
    def work(count, device):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_halves(FakeHost(), 4, cpu, work, kind="a", sentence="no")


def test_work_that_has_no_portions_gets_a_sentence_too():
    with (
        pytest.raises(OutOfMemory, match="enough memory for the matte"),
        memory_for(FakeHost(), "the matte"),
    ):
        raise MemoryError
    with pytest.raises(ZeroDivisionError), memory_for(FakeHost(), "the matte"):
        raise ZeroDivisionError
