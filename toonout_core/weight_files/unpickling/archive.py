"""Read the zip file that `torch.save` writes: a pickle, and a file of numbers for each storage."""

from __future__ import annotations

import mmap
import zlib
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast
from zipfile import ZIP_STORED, ZipFile

import torch

from .objects import Damage, Foreign, Name, Storage

# far above any real one: a short file must not become a long wait
PICKLE_BYTES = 16 * 2**20
_HEADER_BYTES = 30  # of a zip file's entry, before its name and what follows that
DTYPES = {
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
    """The files within the archive. Numbers stay in the file, and are mapped from there."""

    def __init__(self, archive: ZipFile, path: Path, checked: bool) -> None:
        self._archive, self._checked = archive, checked
        with path.open("rb") as file:
            # a private copy where somebody writes: the file never changes
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        found = archive.infolist()
        if any(entry.filename.endswith("/constants.pkl") for entry in found):
            raise Foreign("is a TorchScript program")
        if any(entry.compress_type != ZIP_STORED for entry in found):
            raise Damage("its parts are compressed")
        if sum(entry.file_size for entry in found) > len(self._bytes):
            raise Damage("its parts are larger than the file")
        pickles = [entry.filename for entry in found if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise Damage(f"it holds {len(pickles)} pickles")
        if archive.getinfo(pickles[0]).file_size > PICKLE_BYTES:
            raise Damage("its pickle is too long")
        self._folder = pickles[0].removesuffix("data.pkl")
        names = archive.namelist()
        if self._folder + "byteorder" in names and self._read("byteorder") != b"little":
            raise Damage("its bytes are in the order of another processor")
        self._storages: dict[str, Storage] = {}

    def program(self) -> IO[bytes]:
        """Return the pickle."""
        return BytesIO(self._read("data.pkl"))

    def storage(self, reference: Any) -> Storage:
        """Find a storage. `reference`: ("storage", type, name, device, number of elements)."""
        name, dtype, count = read_reference(reference, 5)
        if name not in self._storages:
            self._storages[name] = Storage(self._mapped(f"data/{name}", dtype))
        storage = self._storages[name]
        if storage.flat.dtype != dtype or storage.flat.numel() != count:
            raise Damage("a storage has another length than it should")
        return storage

    def _read(self, name: str) -> bytes:
        return self._archive.read(self._folder + name)

    def _mapped(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        entry = self._archive.getinfo(self._folder + name)
        start, size = entry.header_offset, entry.file_size
        # lengths of the name and of what follows it, as they stand before the numbers themselves
        lengths = self._bytes[start + _HEADER_BYTES - 4 : start + _HEADER_BYTES]
        start += _HEADER_BYTES + int.from_bytes(lengths[:2], "little")
        start += int.from_bytes(lengths[2:], "little")
        if start + size > len(self._bytes):
            raise Damage("a storage is cut off")
        if not self._checked:
            self._check(start, size, entry.CRC)
        return numbers(self._bytes, start, size, dtype)

    def _check(self, start: int, size: int, checksum: int) -> None:
        with memoryview(self._bytes) as view, view[start : start + size] as part:
            if zlib.crc32(part) != checksum:
                raise Damage("a storage has another checksum than it should")
        if hasattr(mmap, "MADV_DONTNEED") and size:
            # what was read of the file would count as memory of ours; nobody has written yet
            before = start % mmap.PAGESIZE
            self._bytes.madvise(mmap.MADV_DONTNEED, start - before, size + before)


def read_reference(reference: Any, length: int) -> tuple[str, torch.dtype, int]:
    """Return the name, type and number of elements of a storage that a pickle mentions."""
    if not isinstance(reference, tuple) or len(cast("tuple[Any, ...]", reference)) != length:
        raise Damage("a reference to a storage is not one")
    _, kind, name, _, count = cast("tuple[Any, ...]", reference)[:5]
    dtype = DTYPES.get(kind.text.removeprefix("torch ")) if isinstance(kind, Name) else None
    if dtype is None or not isinstance(name, str) or not isinstance(count, int):
        raise Damage("a storage is of unknown type")
    return name, dtype, count


def numbers(source: mmap.mmap, start: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    """Make a flat tensor of `size` bytes of the file, in place where they are aligned."""
    if size % dtype.itemsize:
        raise Damage("a storage ends within a number")
    if not size:
        return torch.empty(0, dtype=dtype)
    if start % dtype.itemsize:
        return torch.frombuffer(bytearray(source[start : start + size]), dtype=dtype)
    return torch.frombuffer(source, dtype=dtype, count=size // dtype.itemsize, offset=start)
