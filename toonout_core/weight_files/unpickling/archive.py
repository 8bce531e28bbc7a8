"""The zip file that `torch.save` writes: a pickle, and a file of numbers for each storage."""

from __future__ import annotations

from typing import Any, cast
from zipfile import ZIP_STORED, ZipFile

import torch

from .objects import Damage, Name, Storage

_PICKLE_BYTES = 64 * 2**20  # far above any real one: a short file must not become a long wait
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Records:
    """The files within the archive."""

    def __init__(self, archive: ZipFile, size: int) -> None:
        self._archive = archive
        found = archive.infolist()
        if any(entry.compress_type != ZIP_STORED for entry in found):
            raise Damage("its parts are compressed")
        if sum(entry.file_size for entry in found) > size:
            raise Damage("its parts are larger than the file")
        pickles = [entry.filename for entry in found if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise Damage(f"it holds {len(pickles)} pickles")
        if archive.getinfo(pickles[0]).file_size > _PICKLE_BYTES:
            raise Damage("its pickle is too long")
        self._folder = pickles[0].removesuffix("data.pkl")
        names = archive.namelist()
        if self._folder + "byteorder" in names and self.read("byteorder") != b"little":
            raise Damage("its bytes are in the order of another processor")
        self._storages: dict[str, Storage] = {}

    def read(self, name: str) -> bytes:
        return self._archive.read(self._folder + name)

    def storage(self, reference: Any) -> Storage:
        """`reference`: ("storage", type, name, device, number of elements)."""
        if not isinstance(reference, tuple) or len(cast("tuple[Any, ...]", reference)) != 5:
            raise Damage("a reference to a storage is not one")
        _, kind, name, _, count = cast("tuple[Any, ...]", reference)
        dtype = _DTYPES.get(kind.text.removeprefix("torch ")) if isinstance(kind, Name) else None
        if dtype is None or not isinstance(name, str) or not isinstance(count, int):
            raise Damage("a storage is of unknown type")
        if name not in self._storages:
            data = bytearray(self.read(f"data/{name}"))
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            self._storages[name] = Storage(flat)
        storage = self._storages[name]
        if storage.flat.dtype != dtype or storage.flat.numel() != count:
            raise Damage(f"storage {name} is not of {count} elements")
        return storage
