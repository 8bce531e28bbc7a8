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

from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import read, to_comfy
from ..toonout_core.options import files
from ..toonout_core.output.naming import find_sources
from .host import ComfyHost
from .places import folder_names, folder_of, may_read, require_no_way_out
from .types import CATEGORY, Node, schema, widget, widgets

log = logging.getLogger("toonout")


@dataclass(frozen=True)
class Choice:
    """Which pictures of which folder."""

    folder: str
    pattern: str
    recursive: bool
    start: int
    limit: int

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
        stop = self.start + self.limit if self.limit else None
        return chosen[self.start : stop]


class LoadFolder(Node):
    """Folder → list of pictures and list of names."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_LoadFolder",
            display_name="Load Folder (ToonOut)",
            category=CATEGORY,
            description=(
                "All pictures of a folder, one by one: every node behind it runs once per "
                "picture, whose sizes may differ. Connect names to Save Cutout to keep the names."
            ),
            search_aliases=["batch", "directory", "image list", "load images"],
            inputs=[
                widget(files.FOLDER, options=folder_names()),
                *widgets(files.PATTERN, files.RECURSIVE, files.START, files.LIMIT),
                widget(files.KEEP_ALPHA),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", is_output_list=True, tooltip="One picture after another."
                ),
                io.String.Output(
                    display_name="name",
                    is_output_list=True,
                    tooltip="File names without ending, for names of Save Cutout.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None) -> bool | str:
        """Whether the folder may be read; what is in it is seen when the graph runs."""
        try:
            if folder is not None:  # else connected
                folder_of(folder)
        except BadInput as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, keep_alpha: Any = None, **inputs: Any) -> str:
        if len(inputs) < len(fields(Choice)):
            return ""  # connected inputs are not here; ComfyUI follows them itself
        seen = hashlib.sha256()
        for path, name in Choice(**inputs).files():
            state = path.stat()
            line = f"{path} {name} {state.st_size} {state.st_mtime_ns}\n"
            seen.update(line.encode("utf-8", "surrogatepass"))  # names may be no UTF-8
        return seen.hexdigest()

    @classmethod
    def execute(
        cls,
        folder: str,
        pattern: str,
        recursive: bool,
        start: int,
        limit: int,
        keep_alpha: bool,
    ) -> io.NodeOutput:
        choice = Choice(folder, pattern, recursive, start, limit)
        files = choice.files()
        if not files:
            raise BadInput(
                f"{choice.path} must have pictures that match {pattern!r} from number {start} on",
                "none",
                "Change pattern or start, or switch recursive on.",
            )
        images: list[torch.Tensor] = []
        names: list[str] = []
        with ComfyHost().progress(len(files), "reading") as report:
            for path, name in files:
                try:
                    picture = read(path)
                except BadInput as error:
                    log.warning("left out: %s", error)
                    report(1)
                    continue
                for note in picture.notes:
                    log.warning("%s: %s", path, note)
                planes = [picture.image]
                if keep_alpha and picture.alpha is not None:
                    planes.append(picture.alpha)
                images.append(to_comfy(torch.cat(planes, 1)))
                names.append(name)
                report(1, preview=picture.image[0])
        if not images:
            raise BadInput(
                f"at least one picture in {choice.path} must be readable",
                "broken files only; the log names them",
            )
        return io.NodeOutput(images, names)


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Sort key that counts: digits as numbers, letters without case."""
    parts = re.findall(r"\d+|\D+", text.casefold())
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
