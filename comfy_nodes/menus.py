"""The menus of the loaders: published models, then the files of this machine."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..toonout_core import WEIGHTS, UnknownModel
from ..toonout_core.weights import REGIONS, detectors, find
from .host import (
    FOLDER,
    FOREIGN_FOLDERS,
    FOREIGN_INSTANCE_FOLDERS,
    INSTANCE_FOLDER,
    SAM_FOLDER,
    find_file,
    foreign_files,
    weight_dirs,
)
from .replacing import MODELS

NONE = "none"
AUTO = "auto"


def published(task: str) -> list[str]:
    """Names of the weights table."""
    return [row.name for row in WEIGHTS if row.task == task]


def matting_names() -> list[str]:
    """The weights table, then every file in the folders, `models/background_removal` first."""
    return published("matting") + _files(FOLDER, FOREIGN_FOLDERS)


def detector_names() -> list[str]:
    """What needs no download, published detectors, files of the instance folders, then
    everything else that makes mattes."""
    first = detectors()
    others = [name for name in matting_names() if name not in first]
    return first + _files(INSTANCE_FOLDER, FOREIGN_INSTANCE_FOLDERS) + others


def refiner_names() -> list[str]:
    """What sharpens masks, `auto` first."""
    files = _files(INSTANCE_FOLDER, FOREIGN_INSTANCE_FOLDERS) + _files(FOLDER, FOREIGN_FOLDERS)
    return [AUTO, NONE, *published("refine"), *published("matting"), *files]


def sam_checkpoints() -> list[str]:
    """Files in models/sams."""
    return [NONE, *sorted(folder_paths.get_filename_list(SAM_FOLDER))]


def ours(name: str) -> str:
    """What a graph of another pack calls a model of the weights table, else the name itself."""
    return MODELS.get(name, name)


def matting_file(name: str | None) -> Path | None:
    """The file of an entry of `matting_names`; None for a name of the weights table."""
    return find_file(name, (FOLDER,), FOREIGN_FOLDERS) if name else None


def instance_file(name: str | None) -> Path | None:
    """The file of an entry of `detector_names` or `refiner_names`; None for any other name."""
    foreign = (*FOREIGN_INSTANCE_FOLDERS, *FOREIGN_FOLDERS)
    return find_file(name, (INSTANCE_FOLDER, FOLDER), foreign) if name else None


def no_model(name: str, folder: str) -> str:
    """What is wrong with a menu entry whose file is gone; `folder`: where it should lie."""
    first, *others = map(str, weight_dirs(folder))
    return (
        f"There is no model {name!r}. Choose another one, or put its file into {first} and press "
        f"R. Also searched: {', '.join(others)}."
    )


def model_source(name: str, path: Path | None, folder: str) -> Path | str:
    """What to load: the file of a menu entry, or a name of the weights table. A path is neither,
    for a connected input could name any file of this machine."""
    if path is not None or find(name.removesuffix(REGIONS)) is not None:
        return path or name
    raise UnknownModel(no_model(name, folder))


def refiner_source(name: str) -> Path | str | None:
    """The same for a refiner; None: no refiner."""
    if name in (NONE, AUTO):
        return None if name == NONE else name
    return model_source(name, instance_file(name), INSTANCE_FOLDER)


def _files(key: str, foreign: tuple[str, ...]) -> list[str]:
    """Those of the user, then those of other packs."""
    return sorted(folder_paths.get_filename_list(key)) + foreign_files(foreign)
