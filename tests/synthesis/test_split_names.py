"""`val` and `validation` are one split, whichever its folder is called."""

from __future__ import annotations

import pytest

from toonout_core.synthesis.cutouts import split_here


@pytest.mark.parametrize("there", ["val", "validation"])
@pytest.mark.parametrize("asked", ["val", "validation"])
def test_either_name_finds_either_folder(tmp_path, there, asked):
    (tmp_path / "fg" / there).mkdir(parents=True)
    assert split_here(tmp_path, asked) == there


def test_where_both_are_there_the_name_counts(tmp_path):
    for name in ("val", "validation", "test"):
        (tmp_path / "fg" / name).mkdir(parents=True)
        assert split_here(tmp_path, name) == name
    assert split_here(tmp_path, "other") == "other"
