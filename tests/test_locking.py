"""A lock on a file: one holder, whose name is told, and nothing left behind."""

from __future__ import annotations

import os

import pytest

from toonout_core.locking import holder, locked


class Stop(Exception):
    pass


def stop():
    raise Stop


def test_one_at_a_time(tmp_path):
    path = tmp_path / "lock"
    with locked(path, stop):
        assert f"process {os.getpid()} on " in holder(path)
        with pytest.raises(Stop), locked(path, stop):
            pass
        assert path.exists()
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_waiter_takes_the_new_file_when_the_old_one_has_gone(tmp_path):
    """The holder deletes the file at its end; who waits for that one must not believe to hold
    what a third one can lock by its name."""
    path = tmp_path / "lock"
    first = locked(path, stop)
    first.__enter__()
    with locked(path, lambda: first.__exit__(None, None, None)), pytest.raises(Stop):
        locked(path, stop).__enter__()


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    path = tmp_path / "lock"
    path.write_text("process 1 on moon, since yesterday\x1b[31m")
    assert holder(path) == "process 1 on moon, since yesterday[31m"
    with locked(path, stop):
        assert "moon" not in holder(path)
    assert holder(path) == "another process"
