"""Load Folder."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.errors import BadInput
from ..toonout_core.host import Step
from ..toonout_core.imaging import read, to_comfy
from ..toonout_core.options import files
from ..toonout_core.output.naming import find_sources
from . import made
from .host import ComfyHost, tell
from .places import (
    folder_names,
    folder_of,
    may_read,
    names_of_results,
    refusal,
    require_no_way_out,
)
from .types import CATEGORY, Node, outputs, schema, widget, widgets

log = logging.getLogger("toonout")
_TOLD = 8  # notes that a node shows; a folder may have thousands


@dataclass(frozen=True)
class Choice:
    """Which pictures of which folder."""

    folder: str
    pattern: str
    recursive: bool
    start: int
    limit: int
    skip_done: str = ""

    @property
    def path(self) -> Path:
        """Raises BadInput for a folder that may not be read."""
        return folder_of(self.folder)

    def _means(self, name: str) -> bool:
        name, pattern = name.casefold(), self.pattern.casefold()
        # brackets may belong to the name
        return fnmatch(name, pattern) or fnmatch(name, pattern.replace("[", "[[]"))

    def files(self) -> list[tuple[Path, str]]:
        """Files and their names without ending, in natural order: frame_2 before frame_10."""
        folder = self.path
        if self.recursive:
            require_no_way_out(folder)
        found = find_sources([folder], recursive=self.recursive).sources
        chosen = [
            (source.path, source.target.as_posix())
            for source in found
            if self._means(source.path.name) and may_read(source.path)
        ]
        chosen.sort(key=lambda item: _natural(item[1]))
        done = names_of_results(self.skip_done)
        chosen = [(path, name) for path, name in chosen if name not in done]
        stop = self.start + self.limit if self.limit else None
        return chosen[self.start : stop]

    def fingerprint(self) -> str:
        """What changes when one of the files does."""
        seen = hashlib.sha256()
        for path, name in self.files():
            state = path.stat()
            line = f"{path} {name} {state.st_size} {state.st_mtime_ns}\n"
            seen.update(line.encode("utf-8", "surrogatepass"))  # names may be no UTF-8
        return seen.hexdigest()


class LoadFolder(Node):
    """Folder → list of pictures and list of names."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_LoadFolder",
            display_name="Load Folder (ToonOut)",
            category=CATEGORY,
            description=(
                "All pictures of a folder, one by one: every node after it runs once per picture. "
                "Their sizes may differ. Connect names to Save Cutout to keep the names."
            ),
            search_aliases=["batch", "directory", "image list", "load images"],
            inputs=[
                widget(files.FOLDER, options=folder_names()),
                *widgets(files.PATTERN, files.RECURSIVE, files.START, files.LIMIT),
                widget(files.KEEP_ALPHA),
                widget(files.SKIP_DONE, optional=True),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=outputs(made.LOADED_IMAGES, made.LOADED_NAMES),
        )

    @classmethod
    def validate_inputs(cls, folder: str | None) -> bool | str:
        # None: connected, not yet known; what is in the folder is seen when the graph runs
        return folder is None or refusal(folder) or True

    @classmethod
    def fingerprint_inputs(cls, keep_alpha: Any = None, **inputs: Any) -> str:
        # ComfyUI follows connected ones itself
        known = {field.name for field in fields(Choice)} - {"skip_done"} <= inputs.keys()
        return Choice(**inputs).fingerprint() if known else ""

    @classmethod
    def execute(cls, keep_alpha: bool, **chosen: Any) -> io.NodeOutput:
        notes: list[str] = []
        read = _read_all(Choice(**chosen), keep_alpha, notes)
        tell(cls, _told(len(read), notes))
        return io.NodeOutput([image for image, _ in read], [name for _, name in read])


def _read_all(choice: Choice, keep_alpha: bool, notes: list[str]) -> list[tuple[Tensor, str]]:
    """IMAGE and name of every file that can be read; `notes` gets what is to be known of the
    others."""
    files = choice.files()
    if not files:
        raise BadInput(
            f"{choice.path} must have pictures that match {choice.pattern!r} from number "
            f"{choice.start} on"
            + (f", without a result in {choice.skip_done}" if choice.skip_done else ""),
            "none",
            "All are done already: empty skip_done to do them again. Else change pattern or start."
            if choice.skip_done
            else "Change pattern or start, or switch recursive on.",
        )
    with ComfyHost().progress(len(files), "reading") as report:
        images = [(_image(path, keep_alpha, report, notes), name) for path, name in files]
    read = [(image, name) for image, name in images if image is not None]
    if not read:
        raise BadInput(
            f"at least one picture in {choice.path} must be readable", "broken files only",
            " ".join(notes[:_TOLD]),
        )  # fmt: skip
    return read


def _told(count: int, notes: list[str]) -> str:
    """What the node says of itself."""
    lines = [f"{count} picture{'s' * (count != 1)}", *notes[:_TOLD]]
    more = len(notes) - _TOLD
    return "\n".join([*lines, f"and {more} more notes, in the log"] if more > 0 else lines)


def _image(path: Path, keep_alpha: bool, report: Step, notes: list[str]) -> Tensor | None:
    """IMAGE of a file; None for one that cannot be read."""
    try:
        picture = read(path)
    except BadInput as error:
        notes.append(f"Left out: {error}")
        log.warning("left out: %s", error)
        report(1)
        return None
    for note in picture.notes:
        notes.append(f"{path.name}: {note}")
        log.warning("%s: %s", path, note)
    report(1, preview=picture.image[0])
    planes = [picture.image]
    if keep_alpha and picture.alpha is not None:
        planes.append(picture.alpha)
    return to_comfy(torch.cat(planes, 1))


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Sort key that counts: digits as numbers, letters without case."""
    parts = re.findall(r"\d+|\D+", text.casefold())
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
