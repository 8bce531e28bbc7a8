"""A weight file → its tensors, or one sentence about what the file really is."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from ..errors import CorruptWeights
from ..models import strip_prefixes
from .unpickling import read_objects

log = logging.getLogger("toonout")

SUFFIXES = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")

CONFIG_KEY = "config"  # in the metadata: what a checkpoint says of its training, as text

# where checkpoints keep the network, best first; `averaged` and `network` are our training's
_WRAPPERS = ("state_dict", "model", "averaged", "network")
_BEGINNINGS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to"),
    (b"<", "a web page or XML"),
    (b"GGUF", "a GGUF file"),
    (b"\x08\x07\x12", "an ONNX model"),
    (b"\x08\x08\x12", "an ONNX model"),
    (b"\x08\x09\x12", "an ONNX model"),
    (b"\x08\x0a\x12", "an ONNX model"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
# none of them can be the length of a header, which safetensors begins with
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_HEADER_LIMIT = 100_000_000


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (mapped from the file where it can be, on the CPU) under bare keys, and metadata.

    The format is seen in the content, not in the file's name. No code of a file is ever run.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith(b"PK\x03\x04") or start.startswith(b"\x80\x02"):
            content = _read_pickle(path, start)
            return _bare_names(path, _unwrap(path, content)), _metadata(content)
        _refuse_others(path, start)
        return _read_safetensors(path)
    except OSError as error:
        raise CorruptWeights(f"{path} cannot be read ({error}).") from error


def _bare_names(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    try:
        return strip_prefixes(state)
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, checked against the file's length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > min(_HEADER_LIMIT, size - 8):
            raise CorruptWeights(
                _must_be_weights(path, "neither, or was cut off within its first bytes")
            )
        try:
            header: Any = json.loads(file.read(length))
        except ValueError as error:
            raise CorruptWeights(_must_be_weights(path, "neither")) from error
    if not isinstance(header, dict):
        raise CorruptWeights(_must_be_weights(path, "neither"))
    entries = cast("dict[str, Any]", header)
    needed = 8 + length + max((_end(path, key, entry) for key, entry in entries.items()), default=0)
    if size != needed:
        raise CorruptWeights(
            f"{path} must be {needed} bytes long by its own header, but has {size}: it was "
            f"{'cut off while it was copied or downloaded' if size < needed else 'damaged'}. "
            "Delete it and get it again."
        )
    return entries


def _end(path: Path, key: str, entry: Any) -> int:
    if key == "__metadata__":
        return 0
    try:
        return int(entry["data_offsets"][1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CorruptWeights(_must_be_weights(path, "a file with a damaged header")) from error


def _must_be_weights(path: Path, what: str, advice: str = "Delete it and get it again.") -> str:
    return f"{path} must be a safetensors file or a PyTorch checkpoint, but is {what}. {advice}"


def _refuse_others(path: Path, start: bytes) -> None:
    if not start:
        raise CorruptWeights(_must_be_weights(path, "empty"))
    if start.startswith(_PICTURES) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
        raise CorruptWeights(_must_be_weights(path, "a picture", "Name another file."))
    for beginning, name in _BEGINNINGS:
        if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(beginning):
            raise CorruptWeights(_must_be_weights(path, name))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    header = read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise CorruptWeights(_must_be_weights(path, f"damaged ({error})")) from error
    metadata: Any = header.get("__metadata__") or {}
    return _bare_names(path, state), {str(key): str(value) for key, value in metadata.items()}


def _read_pickle(path: Path, start: bytes) -> Any:
    try:
        if start.startswith(b"PK"):
            _refuse_program(path)
        # mapping needs the zip format, which is torch.save's since 1.6, and a name that does not
        # promise safetensors, which the newest torch.load goes by
        if start.startswith(b"PK") and path.suffix not in (".safetensors", ".sft"):
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if start.startswith(b"PK"):
            log.info("%s holds more than tensors; the rest is left out", path)
            return read_objects(path)
        raise CorruptWeights(
            f"{path} must hold tensors only, but also holds other objects, which may be program "
            "code and are not loaded. Convert it to safetensors where you trust it, or get "
            f"another file. ({str(error).splitlines()[0]})"
        ) from error
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        AssertionError,
        BadZipFile,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptWeights(
            f"{path} must be a whole PyTorch checkpoint, but is damaged or cut off ({reason}). "
            "Delete it and get it again."
        ) from error


def _refuse_program(path: Path) -> None:
    # torch.load hands such a file to torch.jit.load, weights_only or not
    with ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise CorruptWeights(_must_be_weights(path, "a TorchScript program"))


def _metadata(content: Any) -> dict[str, str]:
    """The text that mmengine's checkpoints describe their network with; never run."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    text = meta.get("cfg") if isinstance(meta, Mapping) else None
    return {CONFIG_KEY: text} if isinstance(text, str) else {}


def _unwrap(path: Path, content: Any) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = cast("Mapping[Any, Any]", content[wrapper])
            break
    if not isinstance(content, Mapping):
        raise CorruptWeights(_must_be_weights(path, f"a pickled {type(content).__name__}"))
    entries = cast("Mapping[Any, Any]", content)
    others = {str(k) for k, v in entries.items() if not isinstance(v, Tensor)}
    if others or not entries:
        found = f"a checkpoint with {', '.join(sorted(others)[:3])}" if others else "empty"
        raise CorruptWeights(_must_be_weights(path, f"{found} and no state dict"))
    return {str(key): value for key, value in entries.items()}
