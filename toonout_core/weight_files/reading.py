"""Read the tensors of a weight file, or say in one sentence what the file really is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from ..errors import CorruptWeights, plain
from ..models import strip_prefixes
from .unpickling import read_objects

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
# published ones have 200 000 at most; parsed, a header may be thirty times as large
_HEADER_LIMIT = 2_000_000
# views of one storage may together be so many times as large as the file, but no larger; heads that
# levels share make small files of RTMDet-Ins 4.4 times as large
_SHARING = 16


def read_state(path: Path, *, again: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors under bare keys, and the metadata. No code of a file is ever run.

    Tensors are on the CPU, and mapped from the file where that is possible. The format is seen in
    the content, not in the file's name. `again`: the file was read just now, so that its checksums
    need not be computed once more.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith((b"PK\x03\x04", b"\x80\x02")):
            content = read_objects(path, checked=again)
            return _bare_names(path, _unwrap(path, content)), _metadata(content)
        _refuse_others(path, start)
        return _read_safetensors(path)
    except CorruptWeights:
        raise
    except Exception as error:
        raise CorruptWeights(f"{path} cannot be read ({plain(error)}).") from error


def _bare_names(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    try:
        return strip_prefixes(state)
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error


def read_header(path: Path) -> dict[str, Any]:
    """Read the JSON header of a safetensors file, and check it against the file's length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > size - 8:
            raise CorruptWeights(
                _must_be_weights(path, "neither, or was cut off within its first bytes")
            )
        if length > _HEADER_LIMIT:
            raise CorruptWeights(_must_be_weights(path, f"one with a header of {length} bytes"))
        try:
            header: Any = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
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
    """Return where the numbers of an entry end; 0 for the metadata, which are texts."""
    if key == "__metadata__" and isinstance(entry, dict):
        if all(isinstance(text, str) for text in cast("dict[str, Any]", entry).values()):
            return 0
    elif isinstance(entry, dict):
        offsets = cast("dict[str, Any]", entry).get("data_offsets")
        if isinstance(offsets, list) and len(cast("list[Any]", offsets)) == 2:
            end: Any = offsets[1]
            if isinstance(end, int) and not isinstance(end, bool):
                return end
    raise CorruptWeights(_must_be_weights(path, "a file with a damaged header"))


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
    from safetensors import safe_open

    header = read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise CorruptWeights(_must_be_weights(path, f"damaged ({plain(error)})")) from error
    return _bare_names(path, state), dict(header.get("__metadata__", {}))


def _metadata(content: Any) -> dict[str, str]:
    """Return the text with which mmengine's checkpoints describe their network; it is never run."""
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
    others = [k for k, v in entries.items() if not isinstance(k, str) or not isinstance(v, Tensor)]
    if others or not entries:
        names = ", ".join(plain(name, 60) for name in others[:3] if isinstance(name, str))
        found = f"a checkpoint with {names or 'numbers as names'}" if others else "empty"
        raise CorruptWeights(_must_be_weights(path, f"{found} and no state dict"))
    state: dict[str, Tensor] = dict(entries)
    if sum(value.nbytes for value in state.values()) > _SHARING * path.stat().st_size:
        raise CorruptWeights(_must_be_weights(path, "one whose tensors are larger than the file"))
    return state
