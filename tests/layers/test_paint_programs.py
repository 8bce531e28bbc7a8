"""PSD and OpenRaster in GIMP and Krita, without a screen, where those are installed.

GIMP 2.10 of Debian reads no OpenRaster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toonout_core.layers.files import FORMATS, layer_part
from toonout_core.layers.record import Layer, LayeredPicture, whole_layer
from toonout_core.output.writing import publish_parts

GIMP = shutil.which("gimp-console") or shutil.which("gimp")

SCRIPT = """
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{source}" "{source}"))))
  (let loop ((items (vector->list (cadr (gimp-image-get-layers image)))) (depth 0))
    (for-each (lambda (item)
      (gimp-message (string-append "LAYER " (number->string depth) " "
        (number->string (car (gimp-item-get-visible item))) " " (car (gimp-item-get-name item))))
      (if (= TRUE (car (gimp-item-is-group item)))
        (loop (vector->list (cadr (gimp-item-get-children item))) (+ depth 1))))
      items))
  (let ((shown (car (gimp-image-merge-visible-layers image CLIP-TO-IMAGE))))
    (gimp-layer-resize-to-image-size shown)
    (file-png-save RUN-NONINTERACTIVE image shown "{out}" "{out}" 0 9 0 0 0 0 0)))
"""


def soft_disc(seed: int, size_hw: tuple[int, int], name: str, **options) -> Layer:
    draw = torch.Generator().manual_seed(seed)
    colour = torch.rand(1, 3, 1, 1, generator=draw)
    rows, columns = (torch.linspace(-1, 1, side) for side in size_hw)
    alpha = ((1 - (rows[:, None] ** 2 + columns[None] ** 2)) * 3).clamp(0, 1)[None, None]
    image = (colour + 0.2 * torch.rand(1, 3, *size_hw, generator=draw)).clamp(0, 1)
    whole = whole_layer(name, image, alpha)
    return Layer(name, whole.image, whole.alpha, **options)


def example() -> LayeredPicture:
    draw = torch.Generator().manual_seed(9)
    plate = whole_layer("plate", torch.rand(1, 3, 60, 90, generator=draw))
    return LayeredPicture(
        (60, 90),
        (
            whole_layer("original", torch.rand(1, 3, 60, 90, generator=draw), visible=False),
            plate,
            soft_disc(1, (30, 40), "少女", left_px=5, top_px=7, group="characters"),
            soft_disc(2, (50, 30), "Mädchen", left_px=50, top_px=-4, group="characters"),
            soft_disc(3, (20, 20), "faint", left_px=-6, top_px=44, opacity=0.6),
        ),
    )


def opened_by_gimp(path: Path, folder: Path) -> tuple[np.ndarray, list[str]]:
    """What it shows, H×W×4, and its layers from the top: depth, visible, name."""
    out = folder / f"{path.stem}-{path.suffix[1:]}.png"
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "LC_ALL": "C.UTF-8"}
    script = SCRIPT.format(source=path, out=out)
    done = subprocess.run(
        [GIMP or "gimp", "-i", "-d", "-f", "-b", script, "-b", "(gimp-quit 0)"],
        capture_output=True, text=True, timeout=300, env={**os.environ, **home},
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    told = (done.stdout + done.stderr).splitlines()
    names = [line.partition("LAYER ")[2] for line in told if "LAYER " in line]
    with Image.open(out) as picture:
        return np.asarray(picture.convert("RGBA")).astype(float), names


def opened_by_krita(path: Path, folder: Path) -> np.ndarray:
    """What it shows, H×W×4."""
    out = folder / "krita.png"
    home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(
        ["xvfb-run", "-a", "krita", str(path), "--export", "--export-filename", str(out)],
        capture_output=True, text=True, timeout=300, env={**os.environ, **home},
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    with Image.open(out) as picture:
        return np.asarray(picture.convert("RGBA")).astype(float)


def ours(picture: LayeredPicture) -> np.ndarray:
    colours, alpha = picture.flat()
    return torch.cat((colours, alpha), 1)[0].movedim(0, -1).numpy() * 255


@pytest.mark.slow
@pytest.mark.skipif(GIMP is None, reason="needs GIMP")
def test_gimp_shows_what_we_do(tmp_path):
    (path,), _ = publish_parts([layer_part(example(), ".psd")], tmp_path, "girl")
    shown, names = opened_by_gimp(path, tmp_path)
    assert names == [
        "0 1 faint", "0 1 characters", "1 1 Mädchen", "1 1 少女", "0 1 plate", "0 0 original",
    ]  # fmt: skip
    assert np.abs(shown - ours(example())).max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("krita") and shutil.which("xvfb-run")), reason="needs Krita")
@pytest.mark.parametrize("suffix", FORMATS)
def test_krita_shows_what_we_do(tmp_path, suffix):
    (path,), _ = publish_parts([layer_part(example(), suffix)], tmp_path, "girl")
    assert np.abs(opened_by_krita(path, tmp_path) - ours(example())).max() <= 1
