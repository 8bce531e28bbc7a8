"""Write weight files as safetensors, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import ToonOutError


def write_safetensors(
    state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a file beside `path`, then put it there in one step. No two tensors may share memory.

    Raises ToonOutError where the disk is full, or where nothing may be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    partial = path.with_name(path.name + ".partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        save_file(dict(state), partial, dict(metadata or {}))
        partial.chmod(mode)  # safetensors keeps new files from other users
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise ToonOutError(
            f"{path} must be writable and have room left, but: {error}. Make room, and start again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
