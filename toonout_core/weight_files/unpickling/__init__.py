"""Tensors out of checkpoints that hold other objects too, without running anything of the file.

A pickle is a little program: it names functions and classes and says what to call them with. This
reader follows that program, but knows a dozen names, each with a meaning written here. All others
become stand-ins, which keep what they were given and do nothing. No module is imported and nothing
that a file names is called, so a hostile file can at worst be refused.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from ...errors import CorruptWeights
from .archive import Records
from .networks import flatten
from .objects import Damage, StandIn
from .program import Reader

__all__ = ["StandIn", "read_objects"]


def read_objects(path: Path) -> Any:
    """What `torch.save` wrote to a zip file; networks in it as state dicts, unknown as StandIn.

    Raises CorruptWeights for whatever is no such file.
    """
    try:
        with ZipFile(path) as archive, warnings.catch_warnings():
            # about odd backslashes in the text of damaged files
            warnings.simplefilter("ignore", DeprecationWarning)
            content = Reader(Records(archive, path.stat().st_size)).read()
        return flatten(content)
    # OSError: a damaged directory sends the reader to places before the file's beginning
    except (Damage, BadZipFile, OSError, LookupError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptWeights(
            f"{path} must be a whole PyTorch checkpoint, but is damaged ({reason}). "
            "Delete it and get it again."
        ) from error
