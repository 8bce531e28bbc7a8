"""Scenes for instance segmentation: who is where, who hides whom, and that it is repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.art import write_library
from toonout_core.errors import BadInput
from toonout_core.ops.regions import connected_components
from toonout_core.synthesis.attaching import attach
from toonout_core.synthesis.colouring import count_levels, match_histogram, quantise
from toonout_core.synthesis.cutouts import find_art, read_library
from toonout_core.synthesis.distorting import distort
from toonout_core.synthesis.options import PairOptions, SceneOptions
from toonout_core.synthesis.pairs import make_pair, vary_colours
from toonout_core.synthesis.scenes import assemble, draw_count, embrace, label, make_scene

OPTIONS = SceneOptions(size_px=160)


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return find_art(write_library(tmp_path_factory.mktemp("art")), "train")


def square(colour, opacity, place, side=40):
    """A layer of 64×64: one square, premultiplied."""
    layer = np.zeros((64, 64, 4), np.float32)
    top, left = place
    layer[top : top + side, left : left + side, :3] = np.array(colour) * opacity
    layer[top : top + side, left : left + side, 3] = 255 * opacity
    return layer


@pytest.mark.parametrize("index", range(6))
def test_a_scene_is_made_of_its_parts(art, index):
    scene = make_scene(art, 3, index, OPTIONS)
    assert scene.image.shape == (1, 3, 160, 160)
    assert len(scene.alphas) == len(scene.names)
    assert float(scene.alphas.sum(0).max()) <= 1 + 1e-5
    instances = label(scene)
    assert int(instances.masks.sum(0).max()) <= 1
    for mask, alpha in zip(instances.masks, scene.alphas, strict=True):
        assert bool(mask.any())
        assert bool((alpha[mask] > 30 / 255).all())
        # what is nearly opaque belongs to nobody else
        assert bool(mask[alpha > 0.55].all())


def test_a_scene_depends_on_its_seed_and_number_only(art):
    make_scene(art, 0, 5, OPTIONS)
    first, again = (make_scene(art, 0, 1, OPTIONS) for _ in range(2))
    others = make_scene(art, 0, 2, OPTIONS), make_scene(art, 1, 1, OPTIONS)
    assert torch.equal(first.image, again.image) and torch.equal(first.alphas, again.alphas)
    assert not any(torch.equal(first.image, other.image) for other in others)


def test_who_is_in_front_takes_the_pixels():
    layers = [("back", square((255, 0, 0), 1, (4, 4))), ("front", square((0, 255, 0), 1, (20, 20)))]
    rgb, parts, names = assemble(np.zeros((64, 64, 3), np.float32), layers, 0.25)
    assert names == ("back", "front")
    assert parts[1].sum() == 40 * 40
    assert parts[0].sum() == 40 * 40 - 24 * 24
    assert tuple(rgb[30, 30]) == (0, 255, 0) and tuple(rgb[10, 10]) == (255, 0, 0)


def test_who_is_hidden_is_left_out_of_picture_and_labels():
    layers = [
        ("hidden", square((255, 0, 0), 1, (6, 6), 20)),
        ("seen", square((0, 255, 0), 1, (4, 4), 24)),
    ]
    rgb, parts, names = assemble(np.zeros((64, 64, 3), np.float32), layers, 0.25)
    assert names == ("seen",) and len(parts) == 1
    assert not (rgb[..., 0] > 0).any()
    assert assemble(np.zeros((64, 64, 3), np.float32), layers[:1], 0.25)[2] == ("hidden",)


def test_counts_are_poisson_between_one_and_nine():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_count(rng, SceneOptions()) for _ in range(4000)])
    assert drawn.min() == 1 and drawn.max() == 9
    # P(1) = 2.5 e^-2.5, and a ninth of what was none or too many (8.2 % and 0.03 %)
    assert (drawn == 1).mean() == pytest.approx(2.5 * np.exp(-2.5) + 0.0824 / 9, abs=0.02)
    assert (drawn == 2).mean() == pytest.approx(3.125 * np.exp(-2.5) + 0.0824 / 9, abs=0.02)


def test_matched_colours_have_the_template_distribution():
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 90, (4000, 3)).astype(np.uint8)
    bright = rng.integers(150, 256, (4000, 3)).astype(np.uint8)
    matched = match_histogram(dark, bright)
    quantiles = [np.quantile(x, (0.1, 0.5, 0.9), axis=0) for x in (matched, bright)]
    assert np.abs(quantiles[0] - quantiles[1]).max() < 4
    order = np.argsort(dark[:, 0], kind="stable")
    assert (np.diff(matched[order, 0].astype(int)) >= 0).all()
    assert np.array_equal(match_histogram(bright, bright), bright)
    assert count_levels(dark) <= 90


def test_quantised_pictures_have_few_colours_near_the_true_ones():
    rng = np.random.default_rng(0)
    rgb = (np.mgrid[0:60, 0:60].sum(0)[..., None] * (2, 1, 0) + (0, 50, 90)).astype(np.uint8)
    subjects = np.zeros((60, 60), np.bool_)
    subjects[:10] = True
    few = quantise(rng, rgb, subjects, 16)
    assert len(np.unique(few.reshape(-1, 3), axis=0)) <= 16
    assert np.abs(few.astype(int) - rgb).mean() < 8
    flat = np.full((8, 8, 3), 9, np.uint8)
    assert np.array_equal(quantise(rng, flat, subjects[:8, :8], 16), flat)


def test_bent_figures_keep_their_colours_and_most_of_their_area():
    solid = np.zeros((120, 80, 4), np.uint8)
    solid[20:100, 15:65] = (200, 40, 90, 255)
    for seed in range(5):
        bent = distort(np.random.default_rng(seed), solid)
        opaque = bent[..., 3] > 250
        assert 0.5 < opaque.sum() / (80 * 50) < 1.1
        assert np.abs(bent[opaque][:, :3].astype(int) - (200, 40, 90)).max() <= 1
        assert not bent[0, :, 3].any() and not bent[:, 0, 3].any()


def test_simple_pairs_have_one_figure_and_enhanced_ones_up_to_seven(art):
    simple = [make_pair(art, 0, i, PairOptions("simple", 128)) for i in range(5)]
    enhanced = [make_pair(art, 0, i, PairOptions("enhanced", 128)) for i in range(12)]
    assert {len(scene.alphas) for scene in simple} == {1}
    counts = [len(scene.alphas) for scene in enhanced]
    assert max(counts) > 2 and max(counts) <= 7
    for scene in enhanced:
        assert (
            int(
                label(scene).masks.sum(0).max(),
            )
            <= 1
        )


def test_varied_colours_leave_alpha_alone():
    rgba = np.random.default_rng(0).integers(0, 256, (30, 20, 4)).astype(np.uint8)
    varied = vary_colours(np.random.default_rng(1), rgba)
    assert np.array_equal(varied[..., 3], rgba[..., 3])
    assert not np.array_equal(varied[..., :3], rgba[..., :3])
    same = vary_colours(np.random.default_rng(1), rgba, spread=0.0)
    assert np.abs(same.astype(int) - rgba).max() <= 1


def test_art_is_the_library_read_later(tmp_path, art):
    library = read_library(write_library(tmp_path), "train", 50)
    late = find_art(tmp_path, "train")
    assert np.allclose(late.weights(), library.weights())
    for index, cutout in enumerate(library.cutouts):
        assert np.array_equal(late.cutout(index, 50).rgba, cutout.rgba)


def test_categories_can_be_left_out(tmp_path):
    write_library(tmp_path)
    lines = ["file,category", "fg/train/train-0.png,item", "fg/train/train-1.png,character"]
    (tmp_path / "ATTRIBUTION.csv").write_text("\n".join(lines))
    names = {figure.path.stem for figure in find_art(tmp_path, "train", ("item",)).figures}
    assert names == {f"train-{number}" for number in range(1, 6)}


@pytest.mark.parametrize("wrong", [{"size_px": 8}, {"most": 0}, {"kinds": (0, 0, 0)}])
def test_impossible_options_get_a_sentence(wrong):
    with pytest.raises(BadInput, match="must be"):
        SceneOptions(**wrong)


# ---------------------------------------------------------------- one, none, close together


def test_shares_decide_how_many_there_are(art):
    single = SceneOptions(size_px=96, single_share=1.0)
    assert all(len(make_scene(art, 0, index, single).names) <= 1 for index in range(5))
    empty = make_scene(art, 0, 0, SceneOptions(size_px=96, empty_share=1.0))
    assert empty.names == () and empty.alphas.shape == (0, 96, 96)
    assert float(empty.alpha.abs().max()) == 0
    assert len(label(empty)) == 0
    close = [make_scene(art, 0, i, SceneOptions(size_px=96, close_share=1.0)) for i in range(6)]
    assert all(len(scene.names) >= 1 for scene in close)
    assert sum(len(scene.names) >= 2 for scene in close) >= 4
    # large ones, and some that touch
    assert np.mean([float(scene.alpha.mean()) for scene in close]) > 0.2
    with pytest.raises(BadInput, match="at most 1"):
        SceneOptions(single_share=0.6, close_share=0.6)


def test_shares_of_nothing_leave_scenes_as_they_were(art):
    plain, spelled = (
        make_scene(art, 3, 1, options)
        for options in (OPTIONS, SceneOptions(size_px=160, single_share=0.0, flat_share=0.0))
    )
    assert torch.equal(plain.image, spelled.image)


def test_plain_colours_are_behind_a_share_of_scenes(art):
    flat = SceneOptions(size_px=96, empty_share=1.0, flat_share=1.0, quantised_share=0.0)
    image = make_scene(art, 0, 4, flat).image
    assert float(image.flatten(2).std(2).max()) == 0


def test_loose_things_lie_on_the_background_and_are_nobody(art):
    plain = SceneOptions(size_px=96, empty_share=1.0, flat_share=1.0)
    strewn = SceneOptions(size_px=96, empty_share=1.0, flat_share=1.0, loose_share=1.0)
    for index in range(6):
        bare, scene = (make_scene(art, 8, index, options) for options in (plain, strewn))
        assert len(scene.alphas) == 0
        colours = scene.image.flatten(2)[0].unique(dim=1)
        assert bare.image.flatten(2)[0].unique(dim=1).shape[1] < colours.shape[1]


def test_portraits_are_larger_than_the_picture_and_show_the_head(art):
    options = SceneOptions(size_px=96, single_share=1.0, portrait_share=1.0, turn_share=0.0)
    cut, whole = 0, 0
    for index in range(24):
        scene = make_scene(art, 5, index, options)
        if not len(scene.alphas):
            continue
        rows = scene.alphas[0].amax(1) > 0.5
        cut += bool(rows[-1])
        whole += not bool(rows[0]) and bool(rows[-1])
    assert cut >= 8 and whole >= 4  # seven of ten are large; most begin within the picture


def test_who_hugs_is_partly_in_front():
    back, front = square((255, 0, 0), 1, (4, 4)), square((0, 255, 0), 1, (12, 12))
    seen = []
    for seed in range(8):
        layers = embrace(np.random.default_rng(seed), [("back", back), ("front", front)])
        _, parts, _ = assemble(np.zeros((64, 64, 3), np.float32), layers, 0.0)
        assert np.array_equal(layers[0][1], back)
        assert np.abs(parts.sum(0) - np.maximum(back, front)[..., 3] / 255).max() < 1e-5
        seen.append(float(parts[0].sum()))
    plain = 40 * 40 - 32 * 32
    assert min(seen) == plain and max(seen) > plain + 50


def test_things_are_joined_to_their_figure():
    figure = np.zeros((100, 60, 4), np.uint8)
    figure[10:90, 20:40] = (200, 40, 90, 255)
    prop = np.full((20, 20, 4), 255, np.uint8)
    grown = 0
    for seed in range(24):
        more = attach(np.random.default_rng(seed), figure, [prop])
        solid = more[..., 3] > 127
        assert solid.sum() > 80 * 20 * 0.6
        assert more[..., 3].any(0)[[0, -1]].all() and more[..., 3].any(1)[[0, -1]].all()
        regions = connected_components(torch.from_numpy(solid))
        assert int(regions.areas_px.max()) > 0.9 * solid.sum()
        grown += solid.sum() > 80 * 20
    assert grown > 16
    nothing = np.zeros((9, 9, 4), np.uint8)
    assert np.array_equal(attach(np.random.default_rng(0), nothing), nothing)


def test_items_are_props_only_where_they_are_no_figures(tmp_path):
    root = write_library(tmp_path)
    rows = ["file,split,cut_sides,style,category", "fg/train/train-0.png,train,,,item"]
    (root / "ATTRIBUTION.csv").write_text("\n".join(rows) + "\n")
    with_items, without = find_art(root, "train"), find_art(root, "train", ("item",))
    assert (len(with_items.figures), len(with_items.props)) == (6, 0)
    assert (len(without.figures), len(without.props)) == (5, 1)
    assert without.prop(0, 64).name == "train-0"
