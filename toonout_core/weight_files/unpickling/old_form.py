"""Read what `torch.save` wrote before PyTorch 1.6: five pickles, then the numbers of each storage.

The pickles are a mark, a version, facts of the machine, the content, and the names of the storages.
In the order of the names follow the numbers, and before those of each storage their count in eight
bytes.
"""

from __future__ import annotations

import mmap
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import torch

from .archive import PICKLE_BYTES, numbers, read_reference
from .objects import Damage, Storage
from .program import Reader

BEGINNING = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_BEFORE = 3  # pickles that say nothing about the content
_COUNT_BYTES = 8


class OldRecords:
    """The parts of such a file. Its pickle is read twice: first only to see which storages it
    mentions.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._mentioned: dict[str, tuple[torch.dtype, int]] = {}
        stream = BytesIO(self._bytes[:PICKLE_BYTES])
        for _ in range(_BEFORE):
            Reader(stream, self._mention, meanings={}).read()
        begin = stream.tell()
        Reader(stream, self._mention, meanings={}).read()
        self._program = self._bytes[begin : stream.tell()]
        names = Reader(stream, self._mention, meanings={}).read()
        self._storages = self._find(names, stream.tell())

    def program(self) -> IO[bytes]:
        """Return the pickle of the content."""
        return BytesIO(self._program)

    def storage(self, reference: Any) -> Storage:
        """Find a storage. `reference`: ("storage", type, name, device, number of
        elements, None).
        """
        name, dtype, count = read_reference(reference, 6)
        storage = self._storages.get(name)
        if storage is None or storage.flat.dtype != dtype or storage.flat.numel() != count:
            raise Damage("a storage has another length than it should")
        return storage

    def _mention(self, reference: Any) -> None:
        name, dtype, count = read_reference(reference, 6)
        self._mentioned[name] = dtype, count

    def _find(self, names: Any, place: int) -> dict[str, Storage]:
        found: dict[str, Storage] = {}
        for name in names if isinstance(names, list) else []:
            if not isinstance(name, str) or name not in self._mentioned or name in found:
                raise Damage("its list of storages is not one")
            dtype, count = self._mentioned[name]
            told = int.from_bytes(self._bytes[place : place + _COUNT_BYTES], "little")
            start, place = place + _COUNT_BYTES, place + _COUNT_BYTES + count * dtype.itemsize
            if told != count or place > len(self._bytes):
                raise Damage("a storage is cut off")
            found[name] = Storage(numbers(self._bytes, start, place - start, dtype))
        return found
