"""Files that tell how it went. One that takes the place of another says so."""

from __future__ import annotations

import json
from pathlib import Path


def replace_report(path: Path, text: str) -> str:
    """Write a report under a name of ours, over an older one. What to say of it: where it is."""
    from ..output.publishing import write_text

    older = path.exists()
    write_text(path, text, overwrite=True)
    return f"{path}{', in the place of an older one' if older else ''}"


def save_json(path: Path, text: str) -> str:
    """Write a report in JSON where somebody wants it: over an older one, but over nothing else,
    where it gets a number. What to say of it: where it is."""
    from ..output.publishing import write_text

    if path.exists() and not _is_json(path):
        return str(write_text(path, text, overwrite=False))
    return replace_report(path, text)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True
