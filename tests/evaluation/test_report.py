import pytest
import torch

from tests.art import write_library
from tests.fake_host import FakeHost
from toonout_core.evaluation.baselines import grabcut
from toonout_core.evaluation.composites import composites
from toonout_core.evaluation.report import evaluate_composites, markdown_table
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
    ]
    assert host.totals == [6] and sum(host.steps) == 6
    by_name = {(r.method, r.kind): r.scores for r in rows}
    assert by_name["nothing", "flat"].iou == 0.0
    assert by_name["grabcut", "flat"].iou > 0.7
    assert markdown_table(rows).count("\n") == 5
