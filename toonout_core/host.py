"""The port through which a host (ComfyUI, WebUI, shell) reaches the core."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .errors import BadInput


class Step(Protocol):
    """Reports `count` finished units. It may raise the host's own "stop", which nobody may catch.

    `preview`: 3×H×W or 4×H×W in [0, 1], which the host may show meanwhile.
    """

    def __call__(self, count: int = 1, *, preview: Tensor | None = None) -> None: ...


@runtime_checkable
class Host(Protocol):
    """Says where files lie, and manages the device's memory, progress and stops."""

    def weight_dirs(self) -> Sequence[Path]:
        """Folders searched in order; downloads go to the first."""
        ...

    def on_device(
        self, model: nn.Module, working_memory: int
    ) -> AbstractContextManager[torch.device]:
        """Hold `model` on its compute device, with `working_memory` bytes free beside it."""
        ...

    def workspace(self, working_memory: int) -> AbstractContextManager[torch.device]:
        """A CUDA device with that many bytes free, else the CPU, for work without a network."""
        ...

    def out_of_memory(self, error: BaseException) -> bool:
        """Whether `error` says that a device's memory, or the machine's, was not enough."""
        ...

    def half(self, device: torch.device) -> torch.dtype | None:
        """The half precision that is sound and fast on `device`; None if there is none: stay in
        float32.
        """
        ...

    def progress(self, total: int, label: str) -> AbstractContextManager[Step]:
        """Show the progress of `total` units."""
        ...


@contextmanager
def reporting(host: Host, total: int, label: str, report: Step | None = None) -> Iterator[Step]:
    """Give `report` itself where a caller counts already, else the host's progress."""
    if report is not None:
        yield report
        return
    with host.progress(total, label) as step:
        yield step


# what allocators say, in small letters; torch has classes of its own for few of them
_NO_MEMORY = (
    "out of memory",  # CUDA, HIP, XPU, MPS ("MPS backend out of memory")
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "[enforce fail at alloc_cpu.cpp",  # torch's allocator of the CPU
    "defaultcpuallocator: ",
    "could not create a memory object",  # oneDNN
    "bad_alloc",
    "insufficient memory",  # OpenCV
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether one of the allocators of torch, numpy or OpenCV has failed."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    foreign = isinstance(error, RuntimeError) or type(error).__module__.startswith("cv2")
    return foreign and any(sign in str(error).lower() for sign in _NO_MEMORY)


# Turing without tensor cores: fp16 gives black pictures there, or none
_UNSOUND = re.compile(r"\b(GTX 16\d\d|T(400|500|550|600|1000|1200|2000)|MX(450|550)|CMP 30HX)\b")


def fast_half(device: torch.device) -> torch.dtype | None:
    """Choose fp16 for cards that compute it soundly and faster than fp32 (tensor cores, since
    Volta).
    """
    if device.type != "cuda":
        return None
    if torch.version.hip is None:
        major, _ = torch.cuda.get_device_capability(device)
        if major < 7 or _UNSOUND.search(torch.cuda.get_device_name(device)):
            return None
    return torch.float16


def has_bf16(device: torch.device) -> bool:
    """Whether `device` is a processor that multiplies bf16 in hardware (AVX512-BF16, AMX).

    Where it does not, bf16 takes more than twice the time of float32.
    """
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # absent in older PyTorch
    return device.type == "cpu" and any(getattr(torch.cpu, test, bool)() for test in tests)


def choose_device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes cuda, then mps, then cpu. Raises BadInput for a
    device that this machine does not have.
    """
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    kind = name.split(":")[0]
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": has_mps}
    if not present.get(kind, False):
        available = ", ".join(device for device, there in present.items() if there)
        raise BadInput(
            f"device must be auto or one that this machine has ({available})", f"{name!r}"
        )
    return torch.device(name)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def cache_dir() -> Path:
    """The folder of downloaded weights where no host has one."""
    return Path.home() / ".cache" / "toonout"


class LocalHost:
    """A host without a program around it: a script, a notebook, a test.

    It prints nothing. `quiet=False` shows bars on a terminal.
    """

    def __init__(
        self,
        device: str = "auto",
        weight_dirs: Sequence[Path] | None = None,
        *,
        quiet: bool = True,
    ) -> None:
        self.device = choose_device(device)
        self.quiet = quiet
        self._weight_dirs = tuple(weight_dirs) if weight_dirs is not None else (cache_dir(),)

    def weight_dirs(self) -> Sequence[Path]:
        return self._weight_dirs

    @contextmanager
    def on_device(self, model: nn.Module, working_memory: int) -> Iterator[torch.device]:
        # nn.Module.to takes 8 ms where nothing is to be moved
        if any(tensor.device != self.device for tensor in _tensors(model)):
            model.to(self.device)
        yield self.device

    @contextmanager
    def workspace(self, working_memory: int) -> Iterator[torch.device]:
        yield self.device if self.device.type == "cuda" else torch.device("cpu")

    def out_of_memory(self, error: BaseException) -> bool:
        return is_out_of_memory(error)

    def half(self, device: torch.device) -> torch.dtype | None:
        return fast_half(device)

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        if self.quiet or total <= 1:
            yield lambda count=1, *, preview=None: None
            return
        try:
            from tqdm import tqdm
        except ImportError:
            yield lambda count=1, *, preview=None: None
            return
        with tqdm(total=total, desc=label, leave=False, disable=None) as bar:

            def step(count: int = 1, *, preview: Tensor | None = None) -> None:
                bar.update(count)

            yield step
