import torch
from PIL import Image

from tests.art import draw_background, draw_figure
from toonout_core.evaluation.html_report import Page, html_report
from toonout_core.evaluation.matting_metrics import METRIC_IDS
from toonout_core.evaluation.measuring import Method, measure_files, measure_model
from toonout_core.evaluation.pairing import pair_files
from toonout_core.evaluation.tables import notes, tables
from toonout_core.imaging import read

CPU = torch.device("cpu")


def scenes(root, count=3):
    """Figures on backgrounds as `images`, their RGBA cutouts as `gt`."""
    for index in range(count):
        folder = "pose" if index % 2 else "action"
        figure = draw_figure(index)
        scene = draw_background(index).resize(figure.size)
        scene.paste(figure, mask=figure)
        for kind, picture in (("images", scene), ("gt", figure)):
            path = root / kind / folder / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return pair_files(root / "images", root / "gt").pairs


def step(count=1, *, preview=None):
    pass


def test_a_model_and_its_written_mattes_score_alike(tmp_path):
    pairs = scenes(tmp_path)
    model = Method("half")

    def predict(image):
        return image.mean(1, keepdim=True) * 0.731  # not whole levels

    measure_model(model, predict, pairs, METRIC_IDS, step, device=CPU, mattes=tmp_path / "out")
    assert model.problems == [] and len(model.rows) == 3
    assert model.seconds is not None and model.seconds < 5
    again = pair_files(tmp_path / "out", tmp_path / "gt").pairs
    files = measure_files("files", again, METRIC_IDS, step)
    for one, other in zip(model.rows, files.rows, strict=True):
        assert one.scores.values == other.scores.values
    assert not list((tmp_path / "out").rglob("*part*"))


def test_a_model_does_not_see_the_alpha_of_its_image(tmp_path):
    scenes(tmp_path, 1)
    pairs = pair_files(tmp_path / "gt", tmp_path / "gt").pairs
    seen = []

    def predict(image):
        seen.append(image)
        return torch.zeros_like(image[:, :1])

    measure_model(Method("m"), predict, pairs, ["MAE"], step, device=CPU)
    alpha = read(pairs[0].truth).alpha
    assert bool((seen[0] == 1).all(1, keepdim=True)[alpha == 0].all())


def test_broken_and_foreign_files_do_not_stop_the_others(tmp_path):
    scenes(tmp_path)
    (tmp_path / "images" / "action" / "0.png").write_bytes(b"no picture")
    pairs = pair_files(tmp_path / "images", tmp_path / "gt").pairs
    method = measure_files("m", pairs, ["PA"], step)
    assert method.rows == []  # the others are opaque pictures in colours
    texts = dict(method.problems)
    assert "must be a picture" in texts["action/0"]
    assert "grey picture or have transparency" in texts["pose/1"]
    assert method.mean() is None and method.seconds is None


def test_a_matte_of_another_size_is_resized_and_that_is_said(tmp_path):
    pairs = scenes(tmp_path, 1)
    Image.open(pairs[0].truth).resize((30, 45)).save(tmp_path / "small.png")
    small = pair_files(tmp_path / "small.png", pairs[0].truth).pairs
    method = measure_files("m", small, ["IoU"], step)
    assert method.rows[0].note == "resized from 30×45 to 60×90"
    assert method.rows[0].scores.values["IoU"] > 0.9
    assert any("resized" in note for note in notes([method]))


def test_means_over_different_pictures_are_not_passed_over(tmp_path):
    scenes(tmp_path)
    pairs = pair_files(tmp_path / "gt", tmp_path / "gt").pairs
    both = [measure_files(str(n), pairs[n:], ["IoU"], step) for n in (0, 1)]
    assert any("not measured on the same pictures" in note for note in notes(both))
    assert notes(both[:1]) == []


def measured(tmp_path):
    pairs = scenes(tmp_path)
    good, bad = Method("good <b>"), Method("all white")
    measure_model(
        good, lambda image: truth_of(image, pairs), pairs, METRIC_IDS, step, device=CPU,
        mattes=tmp_path / "good",
    )  # fmt: skip
    measure_model(
        bad, lambda image: torch.ones_like(image[:, :1]), pairs, METRIC_IDS, step, device=CPU,
        mattes=tmp_path / "bad",
    )  # fmt: skip
    return [good, bad]


def truth_of(image, pairs):
    for pair in pairs:
        if torch.equal(read(pair.source).image, image):
            return read(pair.truth).alpha
    raise AssertionError


def test_tables_follow_the_paper_and_mark_the_best(tmp_path):
    methods = measured(tmp_path)
    found = {table.title: table for table in tables(methods, ["action", "pose"])}
    overall = found["As published"]
    assert overall.header == [
        "method", "n", "PA (%)", "mBIoU (%)", "WF (%)", "E (%)", "S (%)", "MAE", "F (%)",
    ]  # fmt: skip
    assert float(overall.rows[1][2]) > 100 and (1, 2) not in overall.best  # ruined, not best
    sound = found["Sound for soft mattes"]
    assert sound.rows[0][:4] == ["good <b>", "3", "100.0", "100.0"]
    assert {(0, place) for place in range(2, 9)} <= sound.best
    category = found["As published, by category"]
    assert [row[:2] for row in category.rows] == [["action", "2"], ["pose", "1"]]
    assert len(category.header) == 2 + 2 * 3
    assert "**100.0**" in sound.markdown()
    assert found["Time and memory"].rows[0][2] == "cpu"


def test_the_page_stands_alone_and_shows_the_worst_first(tmp_path):
    methods = measured(tmp_path)
    page = html_report(Page("T & C", ["fact"], methods, ["action", "pose"], [("x", "<gone>")]), 2)
    assert page.startswith("<!doctype html>") and page.count("<svg") >= 8
    assert "http" not in page and "<script" not in page and 'src="data:image/webp' in page
    assert "T &amp; C" in page and "&lt;gone&gt;" in page and "good &lt;b&gt;" in page
    order = sorted(methods[1].rows, key=lambda row: -row.scores.values["MAE_soft"])
    shown = [row.pair.name for row in order[:2]]
    assert page.index(f"<h3>{shown[0]}</h3>") < page.index(f"<h3>{shown[1]}</h3>")
    assert f"<h3>{order[2].pair.name}</h3>" not in page
    ruined = any(row.scores.values["PA"] > 1 for row in methods[1].rows)
    assert ("Read PA clipped" in page) == ruined
