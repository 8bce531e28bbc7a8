"""Save Cutout."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io, ui
from torch import Tensor

from ..toonout_core.host import Step
from ..toonout_core.imaging import Metadata
from ..toonout_core.options import cutout, files
from ..toonout_core.output.publishing import numbered, partial_file, publish_numbered
from ..toonout_core.output.writing import Format, encode, write_checked
from . import given
from .batches import colours_and_alpha
from .host import ComfyHost
from .places import check_prefix
from .types import CATEGORY, Node, inputs, schema, widget, widgets

FORMATS: dict[str, tuple[Format, int]] = {
    "png": ("png", 8),
    "png 16 bit": ("png", 16),
    "webp": ("webp", 8),
}


class SaveCutout(Node):
    """Cutouts → files in ComfyUI's output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SaveCutout",
            display_name="Save Cutout (ToonOut)",
            category=CATEGORY,
            description=(
                "Saves transparent pictures with exact alpha: rounded, not cut off, and with the "
                "workflow inside. Never overwrites a file."
            ),
            search_aliases=["save png", "save webp", "export", "transparent", "16 bit"],
            is_output_node=True,
            inputs=[
                *inputs(given.SAVED_IMAGE, given.SAVED_MASK),
                *widgets(files.FILENAME_PREFIX, files.NODE_FORMAT),
                widget(files.QUALITY, advanced=True),
                widget(files.NAMES, optional=True, force_input=True),
                widget(cutout.MASK_IS_TRANSPARENCY, optional=True, advanced=True),
            ],
            outputs=[],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor | None = None,
        names: str | None = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        turned = chosen.get("mask_is_transparency", False)
        colours, alpha = colours_and_alpha(image, mask, is_transparency=turned)
        kind, bits = FORMATS[chosen["format"]]
        quality = chosen["quality"]
        how = {"format": kind, "bits": bits, "quality": None if quality == 100 else quality}
        how |= {"metadata": Metadata(text=workflow_text(cls.hidden))}
        place = Place(chosen["filename_prefix"], names, f".{kind}", colours)
        with ComfyHost().progress(len(colours), "saving") as report:
            paths = _write_each(place, colours, alpha, report, how)
        return io.NodeOutput(ui=place.told(*paths))


def _write_each(
    place: Place, colours: Tensor, alpha: Tensor | None, report: Step, how: dict[str, Any]
) -> list[Path]:
    """One file for each frame; `how`: what `encode` is told."""
    paths: list[Path] = []
    for index, image in enumerate(colours.split(1)):
        own = None if alpha is None else alpha[index : index + 1]
        with partial_file(place.folder) as partial:
            write_checked(partial, functools.partial(encode, image=image, alpha=own, **how))
            paths += publish_numbered([partial], place.names(index))
        report(1)
    return paths


class Place:
    """Where the files of one batch go."""

    def __init__(self, prefix: str, name: str | None, suffix: str, image: Tensor) -> None:
        if name is not None:
            prefix = str(Path(prefix).parent / name)
        check_prefix(prefix)
        folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, folder_paths.get_output_directory(), image.shape[-1], image.shape[-2]
        )
        self.folder, self.subfolder = Path(folder), subfolder
        self._stem, self._counter, self._suffix = stem, counter, suffix
        self._named, self._several = name is not None, len(image) > 1

    def told(self, *paths: Path) -> ui.SavedImages:
        """What ComfyUI's page shows of the files."""
        kind = io.FolderType.output
        return ui.SavedImages([ui.SavedResult(path.name, self.subfolder, kind) for path in paths])

    def names(self, index: int) -> Callable[[int], list[Path]]:
        """Candidates for frame `index`: girl, girl_2, … or cutout_00001_, cutout_00002_, …"""
        stem = self._stem.replace("%batch_num%", str(index))
        if not self._named:
            return lambda number: [
                self.folder / f"{stem}_{self._counter + number - 1:05}_{self._suffix}"
            ]
        if self._several:
            stem = f"{stem}_{index + 1:04}"
        # not with_suffix: a name may contain dots
        return lambda number: [numbered(self.folder / f"{stem}{self._suffix}", number)]


def workflow_text(hidden: Any) -> dict[str, str]:
    """What ComfyUI's own nodes store, so that the file opens as a workflow."""
    if args.disable_metadata or hidden is None:
        return {}
    text = {"prompt": json.dumps(hidden.prompt)} if hidden.prompt else {}
    extra: dict[str, Any] = hidden.extra_pnginfo or {}
    return text | {key: json.dumps(value) for key, value in extra.items()}
