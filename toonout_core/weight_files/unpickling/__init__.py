"""Read the tensors of a checkpoint, whatever else is in it, without running anything of the file.

A pickle is a little program: it names functions and classes, and says what to call them with. This
reader follows the program, but knows only a dozen names, each with a meaning that is written here.
All other names become stand-ins, which keep what they are given and do nothing. No module is
imported, and nothing that a file names is called. So a hostile file can at worst be refused, and
the time and memory that it takes are bounded by its own size.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from ...errors import CorruptWeights, plain
from .archive import Records
from .networks import flatten
from .objects import Foreign, StandIn
from .old_form import BEGINNING, OldRecords
from .program import Reader

__all__ = ["StandIn", "read_objects"]


def read_objects(path: Path, *, checked: bool = False) -> Any:
    """Read what `torch.save` wrote. Networks in it become state dicts, unknown objects become
    StandIns.

    Tensors are mapped from the file. Raises CorruptWeights for any other file.
    """
    try:
        with warnings.catch_warnings():
            # about odd backslashes in the text of damaged files
            warnings.simplefilter("ignore", DeprecationWarning)
            return flatten(_read(path, checked))
    except Foreign as error:
        raise CorruptWeights(
            f"{path} must be a PyTorch checkpoint, but {error}. Get another file."
        ) from error
    except Exception as error:
        raise CorruptWeights(
            f"{path} must be a whole PyTorch checkpoint, but is damaged or cut off "
            f"({plain(error) or type(error).__name__}). Delete it and get it again."
        ) from error


def _read(path: Path, checked: bool) -> Any:
    with path.open("rb") as file:
        is_old = file.read(len(BEGINNING)) == BEGINNING
    if is_old:
        old = OldRecords(path)
        return Reader(old.program(), old.storage).read()
    with ZipFile(path) as archive:
        records = Records(archive, path, checked)
        return Reader(records.program(), records.storage).read()
