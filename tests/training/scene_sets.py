"""Small data sets of drawn scenes, as `toonout synthesize scenes` writes them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.art import write_library
from toonout_core.synthesis.cutouts import find_art
from toonout_core.synthesis.data_set import DataSet, write_scenes
from toonout_core.synthesis.options import SceneOptions
from toonout_core.synthesis.scenes import make_scene

SIZE = 96
SEED = 4  # nobody in its first four scenes is too small for cells of 8 pixels


def write_scene_set(root: Path, count: int = 4, splits: tuple[str, ...] = ("train", "val")) -> Path:
    """The same scenes in every split: eight characters in the first four, some overlap."""
    art = find_art(write_library(root / "art"), "train")
    make = partial(make_scene, art, SEED, options=SceneOptions(size_px=SIZE, most=3))
    for split in splits:
        write_scenes(DataSet(root / "set", split, {"seed": SEED}, "png"), make, count)
    return root / "set"
