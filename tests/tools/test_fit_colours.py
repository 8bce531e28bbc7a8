"""The tool that fits the network for colours, on a tiny folder."""

import csv

import numpy as np
import torch
from safetensors.torch import load_file

from tests.art import draw_background, draw_figure
from tools import fit_colours
from toonout_core.ops import mixing


def write_folder(root):
    """Three drawings and a background of each split, with the columns that are read."""
    rows = []
    for split in ("train", "val"):
        for index in range(3):
            rows.append((f"fg/{split}{index}.png", split, "fg", draw_figure(index)))
        rows.append((f"bg/{split}.png", split, "bg", draw_background(0)))
    for folder in ("fg", "bg"):
        (root / folder).mkdir()
    with (root / "ATTRIBUTION.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "split", "kind", "style", "semi_frac"))
        for name, split, kind, picture in rows:
            picture.save(root / name)
            table.writerow((name, split, kind, "drawn", "0"))
    return root


def test_a_fit_beats_blur_fusion_and_the_file_is_what_was_fitted(tmp_path, monkeypatch, capsys):
    data = write_folder(tmp_path)
    samples = fit_colours.collect([data], "train", 1)
    assert len(samples.kinds) == samples.colours.shape[1] > 500
    soft = (samples.alpha > 0.02) & (samples.alpha < 0.98)
    assert soft.all()
    network = fit_colours.fit(samples, samples, 300)
    with torch.no_grad():
        found = network(samples.known)
    errors = [fit_colours.errors(one, samples).mean() for one in (found, samples.known.smooth)]
    assert errors[0] < 0.8 * errors[1]
    stored = tmp_path / "colours.safetensors"
    fit_colours.save_file(network.state(), stored)
    assert load_file(stored).keys() == load_file(mixing._FILE).keys()
    monkeypatch.setattr(mixing, "_FILE", stored)
    mixing._network.cache_clear()
    mixed = mixing.mix(samples.known)
    mixing._network.cache_clear()
    torch.testing.assert_close(mixed, found, rtol=0, atol=1e-4)
    assert "true" in capsys.readouterr().out


def test_strands_are_soft_and_of_many_colours():
    rng = np.random.default_rng(0)
    colours, alpha = fit_colours.strands(rng, 96)
    assert colours.shape == (1, 3, 96, 96) and alpha.shape == (1, 1, 96, 96)
    assert ((alpha > 0.02) & (alpha < 0.98)).float().mean() > 0.02
    assert colours.min() >= 0 and colours.max() <= 1
