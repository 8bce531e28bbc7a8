import numpy as np
import pytest
import torch
from PIL import Image

from toonout_core.errors import BadInput
from toonout_core.evaluation.pairing import categories_of, pair_files, read_matte


def save(path, mode="L", colour=128, size=(4, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def test_folders_pair_by_place_whatever_the_ending_and_the_role_folder(tmp_path):
    for name in ("test_generations_20250318_pose/gt/a.png", "emotion/gt/b.png", "c.png"):
        save(tmp_path / "gt" / name)
    for name in ("test_generations_20250318_pose/a.webp", "emotion/im/b.png", "c.jpg"):
        save(tmp_path / "out" / name)
    paired = pair_files(tmp_path / "out", tmp_path / "gt")
    assert paired.problems == []
    assert [(p.name, p.category) for p in paired.pairs] == [
        ("c", ""),
        ("emotion/b", "emotion"),
        ("test_generations_20250318_pose/a", "pose"),
    ]
    assert categories_of(paired.pairs) == ["", "emotion", "pose"]
    assert paired.pairs[0].source == tmp_path / "out" / "c.jpg"


def test_what_has_no_partner_is_listed(tmp_path):
    for name in ("both", "only_truth"):
        save(tmp_path / "gt" / f"{name}.png")
    for name in ("both", "only_matte"):
        save(tmp_path / "out" / f"{name}.png")
    paired = pair_files(tmp_path / "out", tmp_path / "gt")
    assert [pair.name for pair in paired.pairs] == ["both"]
    assert {name for name, _ in paired.problems} == {"only_truth", "only_matte"}


def test_the_layout_of_the_published_data_is_images_and_truths_in_one_folder(tmp_path):
    for name in (
        "pose/im/a.png",
        "pose/gt/a.png",
        "pose/an/a.png",
        "item/im/b.png",
        "item/an/b.png",
    ):
        save(tmp_path / name)
    paired = pair_files(tmp_path, tmp_path)
    assert paired.problems == []
    places = [(p.name, p.source, p.truth) for p in paired.pairs]
    assert places == [
        ("item/b", tmp_path / "item" / "im" / "b.png", tmp_path / "item" / "an" / "b.png"),
        ("pose/a", tmp_path / "pose" / "im" / "a.png", tmp_path / "pose" / "gt" / "a.png"),
    ]


@pytest.mark.parametrize("other", ["im/pose/a.png", "pose/a.png"])
def test_two_files_of_one_name_are_listed_once(tmp_path, other):
    for name in ("pose/im/a.png", other):
        save(tmp_path / name)
    paired = pair_files(tmp_path, tmp_path)
    assert len(paired.pairs) == 1
    ((_, text),) = paired.problems
    assert "same name" in text


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    matte, truth = save(tmp_path / "x.png"), save(tmp_path / "y.png")
    assert [(p.source, p.truth) for p in pair_files(matte, truth).pairs] == [(matte, truth)]
    with pytest.raises(BadInput, match="must exist"):
        pair_files(matte, tmp_path / "nothing.png")


def test_results_inside_of_the_inputs_are_not_searched(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "report" / "mattes" / "a.png")
    paired = pair_files(tmp_path, tmp_path, out=tmp_path / "report")
    assert [pair.name for pair in paired.pairs] == ["a"]


def test_a_matte_is_the_alpha_of_a_cutout_or_a_grey_picture(tmp_path):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 200, [[0, 51], [102, 255]]
    Image.fromarray(rgba).save(tmp_path / "cutout.png")
    expected = torch.tensor([[0.0, 0.2], [0.4, 1.0]])
    assert torch.allclose(read_matte(tmp_path / "cutout.png")[0, 0], expected)
    for mode, colour in (("L", 51), ("RGB", (51, 51, 51)), ("RGBA", (51, 51, 51, 255))):
        matte = read_matte(save(tmp_path / f"{mode}.png", mode, colour))
        assert matte.shape == (1, 1, 3, 4) and torch.allclose(matte, torch.tensor(0.2))
    with pytest.raises(BadInput, match=r"photo\.png must be a grey picture or have transparency"):
        read_matte(save(tmp_path / "photo.png", "RGB", (200, 10, 10)))
