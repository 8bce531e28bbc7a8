"""Boxes for characters: like people's in photographs, in rows, in tiles."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.synthesis.layouts import (
    match_boxes,
    people_boxes,
    person_boxes,
    read_layouts,
    row_boxes,
    stretch_layout,
    tile_boxes,
)

seeds = st.integers(0, 2**20)


def test_drawn_people_are_as_tall_and_wide_as_measured_ones():
    rng = np.random.default_rng(0)
    drawn = [people_boxes(rng, 3) for _ in range(3000)]
    tallest = np.array([boxes[0, 3] for boxes in drawn])
    every = np.concatenate(drawn)
    # COCO val2017: medians 0.567 and exp(−0.562)
    assert np.median(tallest) == pytest.approx(0.567, abs=0.03)
    assert np.median(every[:, 2] / every[:, 3]) == pytest.approx(np.exp(-0.562), abs=0.03)
    smaller = np.array([boxes[1:, 3] / boxes[0, 3] for boxes in drawn])
    assert np.median(smaller) == pytest.approx(0.509, abs=0.03)
    # heads are at one height more than feet are
    heads = np.std([boxes[1:, 1] - boxes[0, 1] for boxes in drawn])
    feet = np.std([(boxes[1:] - boxes[:1])[:, (1, 3)].sum(1) for boxes in drawn])
    assert heads < feet


@given(seeds, st.integers(1, 9))
def test_as_many_person_boxes_as_wanted_all_of_them_visible(seed, count):
    boxes = person_boxes(np.random.default_rng(seed), count)
    assert boxes.shape == (count, 4)
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    assert (boxes[:, 2:] > 0.01).all() and (middle > 0).all() and (middle < 1).all()


def test_layouts_of_photographs_are_used(tmp_path):
    photo = np.array([[0.1, 0.2, 0.2, 0.4], [0.5, 0.2, 0.1, 0.3]])
    boxes = person_boxes(np.random.default_rng(0), 2, [photo])
    gaps = (boxes[1, 0] - boxes[0, 0]) / boxes[0, 2], boxes[1, 3] / boxes[0, 3]
    assert gaps == (pytest.approx(0.4 / 0.2), pytest.approx(0.75))
    assert len(stretch_layout(np.random.default_rng(0), np.array([[0.2, 0.1, 0.1, 0.9]]))) == 0


@given(seeds, st.lists(st.floats(0.2, 3), min_size=1, max_size=9))
def test_rows_overlap_their_neighbours_and_keep_shapes(seed, aspects):
    boxes = row_boxes(np.random.default_rng(seed), aspects)
    assert np.allclose(boxes[:, 2] / boxes[:, 3], aspects)
    for left, right in pairwise(boxes):
        overlap = (left[0] + left[2] - right[0]) / min(left[2], right[2])
        assert 0.15 - 1e-9 <= overlap <= 0.8 + 1e-9
    assert (boxes[:, 1] >= 0).all()


@given(seeds, st.integers(1, 9))
def test_tiles_fill_the_canvas(seed, count):
    boxes = tile_boxes(np.random.default_rng(seed), count)
    assert len(boxes) == count
    assert (boxes[:, 2:] / 1.1).prod(1).sum() == pytest.approx(1)


@given(seeds, st.integers(1, 9))
def test_the_widest_figure_gets_the_widest_box(seed, count):
    rng = np.random.default_rng(seed)
    boxes, aspects = rng.uniform(0.1, 1, (count, 4)), rng.uniform(0.2, 3, count).tolist()
    matched = match_boxes(boxes, aspects)
    shapes = matched[:, 2] / matched[:, 3]
    assert (np.diff(shapes[np.argsort(aspects)]) >= 0).all()
    assert sorted(map(tuple, matched)) == sorted(map(tuple, boxes))


def coco_document():
    """As the published files are laid out: info, licences, polygons, run lengths of crowds."""
    image = {
        "id": 7, "license": 4, "file_name": "000000000007.jpg", "height": 100, "width": 200,
        "coco_url": "", "flickr_url": "", "date_captured": "2013-11-14 17:02:52",
    }  # fmt: skip
    polygon = [[20.0, 10.0, 60.0, 10.0, 60.0, 60.0]]
    crowd = {"counts": [272, 2, 4, 4], "size": [100, 200]}

    def annotation(number, category, bbox, segmentation, iscrowd=0):
        return {
            "id": number, "image_id": 7, "category_id": category, "bbox": bbox,
            "area": 1000.5, "iscrowd": iscrowd, "segmentation": segmentation,
        }  # fmt: skip

    return {
        "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
        "licenses": [{"id": 4, "name": "Attribution License", "url": ""}],
        "images": [image, {**image, "id": 8}],
        "annotations": [
            annotation(1, 1, [20.0, 10.0, 40.0, 50.0], polygon),
            annotation(2, 1, [0, 0, 200, 50], crowd, iscrowd=1),
            annotation(3, 18, [20.0, 10.0, 40.0, 50.0], polygon),
        ],
        "categories": [
            {"supercategory": "person", "id": 1, "name": "person"},
            {"supercategory": "animal", "id": 18, "name": "dog"},
        ],
    }


def written(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_reading_coco_takes_people_who_are_no_crowd(tmp_path):
    (layout,) = read_layouts(written(tmp_path / "coco.json", coco_document()))
    assert layout.tolist() == [[0.1, 0.1, 0.2, 0.5]]


def without(part):
    return {key: value for key, value in coco_document().items() if key != part}


def with_annotation(**changes):
    document = coco_document()
    document["annotations"][0] |= changes
    return document


@pytest.mark.parametrize(
    "document, sentence",
    [
        ("no JSON", "whole JSON"),
        ("[]", "without images, categories, annotations"),
        ("3", "without images, categories, annotations"),
        (without("annotations"), "one without annotations"),
        (with_annotation(image_id=9), "as in COCO's files, but got KeyError: 9"),
        (with_annotation(bbox=None), "as in COCO's files, but got TypeError"),
        (with_annotation(category_id=18), "category person, one at least no crowd"),
    ],
)
def test_other_files_get_a_sentence(tmp_path, document, sentence):
    with pytest.raises(BadInput, match=sentence) as raised:
        read_layouts(written(tmp_path / "coco.json", document))
    assert "instances_val2017.json" in str(raised.value)


def test_absent_files_get_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="must be a file"):
        read_layouts(tmp_path / "absent.json")
