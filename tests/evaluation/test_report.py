import pytest
import torch
from PIL import Image

from tests.art import write_library
from tests.fake_host import FakeHost
from toonout_core.errors import BadInput
from toonout_core.evaluation.baselines import grabcut
from toonout_core.evaluation.composites import composites
from toonout_core.evaluation.report import evaluate_composites, evaluate_masked, markdown_table
from toonout_core.synthesis.cutouts import read_library


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("art"), figures=3, backgrounds=2)


def test_the_set_is_the_same_every_time_and_differs_by_kind(art):
    library = read_library(art, "test")
    first, again = (list(composites(library, "scene", 64)) for _ in range(2))
    assert len(first) == 6
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    flat = next(iter(composites(library, "flat", 64)))
    outside = flat.image[:, :, flat.alpha[0, 0] == 0]
    assert len(outside.unique(dim=-1)[0, 0]) == 1


def test_the_pixels_follow_the_compositing_equation(art):
    library = read_library(art, "test")
    for item in composites(library, "flat", 64):
        assert item.image.shape == (1, 3, 64, 64) and item.alpha.shape == (1, 1, 64, 64)
        levels = item.alpha * 255
        assert torch.equal(levels, levels.round())
        assert 0.02 < float(item.alpha.mean()) < 0.9


def test_every_method_meets_the_same_pictures(art):
    host = FakeHost()

    def background(size_px):
        return lambda image: torch.zeros(1, 1, size_px, size_px)

    rows = evaluate_composites(
        {"grabcut": lambda size_px: grabcut, "nothing": background},
        art,
        "test",
        host,
        sizes_px=(64,),
        per_figure=1,
    )
    assert [(r.method, r.kind, r.pictures) for r in rows] == [
        ("grabcut", "flat", 3),
        ("nothing", "flat", 3),
        ("grabcut", "scene", 3),
        ("nothing", "scene", 3),
        ("grabcut", "line", 3),
        ("nothing", "line", 3),
    ]
    assert host.totals == [9] and sum(host.steps) == 9
    by_name = {(r.method, r.kind): r.scores for r in rows}
    assert by_name["nothing", "flat"].iou == 0.0
    assert by_name["grabcut", "flat"].iou > 0.7
    assert markdown_table(rows).count("\n") == 7


def test_a_line_drawing_shows_paper_inside_of_the_figure(art):
    library = read_library(art, "test")
    for item in composites(library, "line", 96, per_figure=1):
        inside = item.alpha[0, 0] == 1
        light = item.image[0].mean(0)
        assert 0.02 < float(item.alpha.mean()) < 0.9
        # most of the figure is as light as the paper around it
        paper = light[item.alpha[0, 0] == 0].median()
        assert float((light[inside] > paper - 0.25).float().mean()) > 0.6


def test_masked_pictures_are_measured_at_their_own_size(tmp_path):
    for index, share in enumerate((0.5, 0.25)):
        Image.new("RGB", (40, 20 + index)).save(tmp_path / f"{index}.webp")
        mask = Image.new("L", (40, 20 + index))
        mask.paste(255, (0, 0, round(40 * share), 20 + index))
        mask.save(tmp_path / f"{index}_mask.png")
    host = FakeHost()
    all_of_it = {"all": lambda image: torch.ones_like(image[:, :1])}
    (row,) = evaluate_masked(all_of_it, tmp_path, host)
    assert (row.kind, row.pictures, row.size_px) == ("own", 2, 0)
    assert row.scores.iou == pytest.approx((0.5 + 0.25) / 2)
    assert row.iou_worst == pytest.approx(0.25)
    assert (row.iou_low, row.iou_high) == pytest.approx((0.25, 0.5))
    assert "| all | own | own | 2 |" in markdown_table([row])


def test_without_masks_there_is_a_sentence(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match="must hold pictures and their masks"):
        evaluate_masked({}, tmp_path, FakeHost())


def test_rows_of_styles_follow_the_row_of_all(art):
    (art / "ATTRIBUTION.csv").write_text(
        "file,split,style\nfg/test/test-0.png,test,anime\nfg/test/test-1.png,test,anime\n"
    )
    rows = evaluate_composites(
        {"n": lambda size_px: lambda image: image[:, :1]}, art, "test", FakeHost(),
        sizes_px=(48,), per_figure=1, by_style=True,
    )  # fmt: skip
    flat = [(row.style, row.pictures) for row in rows if row.kind == "flat"]
    assert flat == [("", 3), ("unknown", 1), ("anime", 2)]
