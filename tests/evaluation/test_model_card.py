"""What the model card says is what `toonout evaluate` prints."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.art import draw_background
from tests.goldens import DATA
from toonout_core.cli import main

CARD = Path(__file__).parents[2] / "toonout_core" / "assets" / "README.md"
# of four drawings in tests/data/cutouts, not in the card; last decimals depend on the machine
ON_DRAWINGS = {
    ("flat", "256²"): (27.18, 0.9941, 0.9755, 0.0076),
    ("scene", "256²"): (26.79, 0.9925, 0.9688, 0.0091),
    ("line", "256²"): (21.80, 0.9836, 0.9247, 0.0186),
}


def printed(capsys, *arguments):
    """(background, size) → what is printed behind the number of pictures, of toonout-mini."""
    assert main(["evaluate", "-q", "--device", "cpu", "--precision", "fp32", *arguments]) == 0
    cells = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    return {(row[1], row[2]): tuple(row[4:]) for row in cells}


def test_the_embedded_model_is_as_good_as_it_was(tmp_path, capsys):
    (tmp_path / "bg").mkdir()
    shutil.copytree(DATA / "cutouts", tmp_path / "fg" / "test")
    for index in range(2):
        draw_background(index, (300, 300)).save(tmp_path / "bg" / f"{index}.png")
    found = printed(capsys, "--data", str(tmp_path), "--split", "test", "--size", "256")
    assert set(found) == set(ON_DRAWINGS)
    for key, (psnr, *shares) in ON_DRAWINGS.items():
        columns = found[key]
        assert float(columns[0]) == pytest.approx(psnr, abs=0.1)
        figures = [float(columns[index]) for index in (1, 2, 5)]
        assert figures == pytest.approx(shares, abs=1e-3)


@pytest.mark.slow
def test_the_card_is_what_is_printed(capsys):
    folder = os.environ.get("TOONOUT_SHARED")
    if not folder:
        pytest.skip("needs TOONOUT_SHARED with the art of the test split")
    art = Path(folder) / "data" / "openart"
    kinds = {"plain colours": "flat", "scenes": "scene", "line drawings": "line"}
    pattern = rf"^\| toonout-mini \| ({'|'.join(kinds)}) \| (\d+²) \| (.*) \|$"
    rows = re.findall(pattern, CARD.read_text("utf-8"), re.MULTILINE)
    card = {(kinds[kind], size): tuple(cells.split(" | ")) for kind, size, cells in rows}
    assert len(card) == 6
    assert printed(capsys, "--data", str(art), "--split", "test") == card
