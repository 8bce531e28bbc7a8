"""From a name or a path to a verified file, and from the file to a network."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import nn

from .errors import BadInput, CorruptWeights, DownloadFailed, ToonOutError, UnknownModel
from .host import Host, has_bf16
from .models import Architecture, recognise
from .models.architecture import StateDict
from .models.casting import cast_
from .models.norms import fold_norms_
from .remembering import LastMattes
from .weight_files.downloading import download as fetch
from .weight_files.downloading import refuse
from .weight_files.feeding import NOTHING_STATED, Feeding, read_feeding
from .weight_files.fingerprints import Fingerprints
from .weight_files.locating import WEIGHTS_KEY, find_file, find_path, identify
from .weight_files.reading import CONFIG_KEY, read_state
from .weights import Weights, find
from .words import Dtype, NetworkInput, PatchOrder, Precision, Task

log = logging.getLogger("toonout")

DTYPES: dict[Dtype, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


@dataclass(frozen=True)
class LoadedNetwork:
    """A network that is ready to be used, on the CPU, with all that is known of its weights."""

    network: nn.Module
    architecture: Architecture
    weights: Weights | None  # None: a file that the table does not know
    path: Path
    dtype: torch.dtype
    stated: Feeding = NOTHING_STATED  # by the file itself: wins over all that is usual
    mattes: LastMattes = field(default_factory=LastMattes, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.weights.name if self.weights else self.path.stem

    @property
    def input(self) -> NetworkInput:
        """What the network is fed: as its file states, else as is usual for it."""
        return self.stated.of((self.weights or self.architecture).input)

    @property
    def licence(self) -> str:
        return self.weights.licence if self.weights else "unknown"


def load_network(
    name_or_path: str | Path,
    host: Host,
    *,
    task: Task | None = "matting",
    precision: Precision = "auto",
    patch_order: PatchOrder | None = None,
    download: bool = True,
    verify: bool = False,
) -> LoadedNetwork:
    """Load the network of a name in the table, of a file in the host's folders, or of any file.

    `task`: what the network must be for; None: anything. `patch_order` wins over what the file and
    the table say. `download=False` forbids any use of the internet. `verify` computes the file's
    sha256 again and compares it with what is known. Raises UnknownModel, CorruptWeights,
    DownloadFailed.
    """
    started = time.perf_counter()
    path, row = locate(name_or_path, host, task=task, download=download)
    if verify:
        verify_file(path, row, host)
    state, metadata = read_state(path)
    row = row or find(metadata.get(WEIGHTS_KEY, ""))
    try:
        architecture = recognise(state)
        _check_row(row, architecture)
        _check_task(architecture.id, architecture.task, task)
        stated = stated_feeding(metadata, architecture)
        dtype = choose_dtype(precision, architecture, host)
        network = _load_as(dtype, architecture, state, path)
        if architecture.configure is not None and CONFIG_KEY in metadata:
            architecture.configure(network, metadata[CONFIG_KEY])
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error
    if architecture.patch_order is not None:
        usual = row.patch_order if row else architecture.patch_order
        order = patch_order or stated.patch_order or usual
        setattr(network, "patch_order", order)  # noqa: B010
    loaded = LoadedNetwork(network, architecture, row, path, dtype, stated)
    seconds = time.perf_counter() - started
    kind = next(name for name, known in DTYPES.items() if known == dtype)
    log.info("%s: %s in %s, loaded in %.1f s", loaded.name, architecture.id, kind, seconds)
    return loaded


_in_use: WeakKeyDictionary[LoadedNetwork, Hashable] = WeakKeyDictionary()
_one_at_a_time = threading.RLock()


def share_network(
    name_or_path: str | Path,
    host: Host,
    *,
    task: Task | None = "matting",
    precision: Precision = "auto",
    patch_order: PatchOrder | None = None,
    download: bool = True,
) -> LoadedNetwork:
    """Return the network that somebody uses already, if it is of the same unchanged file, else load
    it.

    So whoever asks twice holds one copy in memory. It is for inference: nobody may change its
    weights.
    """
    with _one_at_a_time:
        path, row = locate(name_or_path, host, task=task, download=download)
        try:
            status = path.stat()
        except OSError as error:
            raise CorruptWeights(
                f"{path} must be a file of weights, but got {error.strerror}. Get it again, or "
                "install ToonOut again if the file is part of it."
            ) from error
        origin = (path.resolve(), status.st_size, status.st_mtime_ns, row, patch_order)
        for loaded in [used for used, its_origin in _in_use.items() if its_origin == origin]:
            if loaded.dtype == choose_dtype(precision, loaded.architecture, host):
                _check_task(loaded.architecture.id, loaded.architecture.task, task)
                return loaded
        loaded = load_network(
            name_or_path, host,
            task=task, precision=precision, patch_order=patch_order, download=download,
        )  # fmt: skip
        _in_use[loaded] = origin
        return loaded


def locate(
    name_or_path: str | Path, host: Host, *, task: Task | None = "matting", download: bool = True
) -> tuple[Path, Weights | None]:
    """Return the file and, if it is a published one, its row. It is downloaded if it is not here
    and `download` allows it.
    """
    row = find(str(name_or_path))
    if row is not None:
        _check_task(row.name, row.task, task)
    try:
        return find_here(name_or_path, host)
    except DownloadFailed:
        if row is None or not download:
            raise
    return fetch(row, host), row


def find_here(name_or_path: str | Path, host: Host) -> tuple[Path, Weights | None]:
    """Do the same without the network. DownloadFailed says which file is missing, where, and its
    link.
    """
    row = find(str(name_or_path))
    if row is None:
        path = find_path(str(name_or_path), host)
        return path, identify(path, host)
    path = find_file(row, host)
    if path is None:
        raise refuse(row, host)
    return path, row


def verify_file(path: Path, row: Weights | None, host: Host) -> bool:
    """Compare the file's sha256 with the one that is known; return False if none is known.

    Raises CorruptWeights if it differs.
    """
    fingerprints = Fingerprints(host)
    known = fingerprints.recall(path)
    wanted = known.sha256 if known and known.source else row.sha256 if row else ""
    got = fingerprints.of(path, again=True).sha256
    if wanted and got != wanted:
        raise CorruptWeights(
            f"{path} must have the sha256 {wanted}, but has {got}: it was altered or damaged. "
            "Delete it and get it again."
        )
    if not wanted:
        log.warning("%s: no checksum is known for this file, only its structure is checked", path)
    return bool(wanted)


def _check_task(name: str, purpose: str, task: Task | None) -> None:
    if task is not None and purpose != task:
        raise UnknownModel(
            f"The model must be one for {task}, but {name} is for {purpose}. Choose another."
        )


def _check_row(row: Weights | None, architecture: Architecture) -> None:
    if row is not None and row.architecture != architecture.id:
        raise CorruptWeights(
            f"The weights must be {row.architecture}, as {row.name} is, but are {architecture.id}. "
            "Get the file again."
        )


def stated_feeding(metadata: Mapping[str, str], architecture: Architecture) -> Feeding:
    """Read what a file of this kind states of itself. Raises CorruptWeights if that
    makes no sense.
    """
    try:
        stated = read_feeding(metadata)
        stated.check(architecture)
    except BadInput as error:
        raise CorruptWeights(
            f"what the file states of itself is wrong: {error} Correct it with "
            "'toonout weights convert'."
        ) from error
    return stated


def _load_as(
    dtype: torch.dtype, architecture: Architecture, state: StateDict, path: Path
) -> nn.Module:
    """Make a network that computes in `dtype` of `state`, which is that of the file at `path`."""
    network = architecture.load(state)
    if dtype != torch.float32:
        fold_norms_(network)
    if any(value.dtype != dtype for value in state.values() if value.is_floating_point()):
        cast_(network, dtype, lambda: architecture.renamed(read_state(path, again=True)[0]))
    return network.to(dtype)  # norms that were folded


def in_fp32(loaded: LoadedNetwork) -> LoadedNetwork:
    """Give the same network object fp32 values, on the CPU.

    They are read from the file again, as half precision may have made infinities of some. If the
    file is gone, they come from what is loaded.
    """
    try:
        state, _ = read_state(loaded.path)
        fresh = _load_as(torch.float32, loaded.architecture, state, loaded.path)
        loaded.network.load_state_dict(fresh.state_dict(), assign=True)
    except (OSError, ToonOutError):
        loaded.network.to(torch.float32)
    return replace(loaded, dtype=torch.float32)


def choose_dtype(precision: Precision, architecture: Architecture, host: Host) -> torch.dtype:
    """Choose the type to compute in. "auto" is half precision where the host has a fast and sound
    one for its device and the architecture is sound in it, else fp32. "fast" is "auto", but
    BiRefNet in bf16 on processors that have it in hardware.
    """
    if precision not in ("auto", "fast", *DTYPES):
        raise BadInput("precision must be auto, fast, fp32, fp16 or bf16", repr(precision))
    if precision not in ("auto", "fast", "fp32") and not architecture.half:
        raise BadInput(f"the precision of {architecture.id} must be fp32", precision)
    with host.on_device(nn.Identity(), 0) as device:
        if precision in ("auto", "fast"):
            half = host.half(device) if architecture.half else None
            if half is None and precision == "fast" and architecture.fast_bf16 and has_bf16(device):
                half = torch.bfloat16
            return half or torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise BadInput(
            "precision must be auto or fp32 on a processor",
            "fp16, which is about 7 times slower there",
            "Or run on a GPU.",
        )
    return DTYPES[precision]
