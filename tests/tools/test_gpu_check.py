"""The checks for a GPU: there with --gpu, and all of them rehearsed on the CPU."""

from __future__ import annotations

import time

import pytest
import torch

from tools import gpu_check
from tools.gpu_bench import Bench, Figure
from tools.gpu_checks import CHECKS
from toonout_core.host import choose_device

CPU = Bench(torch.device("cpu"), full=False)


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in CHECKS if name != "Speed"])
def test_on_the_device(name):
    bench = Bench(choose_device("cuda"), full=True)
    figures = list(CHECKS[name](bench))
    bench.tidy()
    print(gpu_check.table(bench.device, [(name, figure) for figure in figures], 0))
    assert figures
    assert [figure for figure in figures if figure.ok is False] == []


def test_rehearsal_of_everything(tmp_path):
    """Same code, tiny networks: each check gives figures, and none is beyond its limit."""
    out = tmp_path / "gpu.md"
    assert gpu_check.main(["--rehearse", "-o", str(out)]) == 0
    text = out.read_text("utf-8")
    assert "a rehearsal with tiny networks on the CPU" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [cell.strip("| ") for cell in rows[0]] == ["check", "of", "figure", "limit", "verdict"]
    assert {row[0].strip("| ") for row in rows[2:]} == set(CHECKS)
    assert {len(row) for row in rows} == {5}
    (halved,) = (row[2] for row in rows if row[1] == "frames at a time")
    assert halved.startswith("8, 4, 2")


def figures_of(*checks, deadline=float("inf")):
    told = []
    named = {f"check {index}": check for index, check in enumerate(checks)}
    return gpu_check.run(CPU, named, deadline, lambda rows: told.append(len(rows))), told


def test_a_check_that_breaks_is_a_row_and_the_others_go_on():
    def breaks(bench):
        yield Figure("first", "1")
        raise RuntimeError("CUDA error: an illegal\nmemory access")

    rows, told = figures_of(breaks, lambda bench: iter([Figure("second", "2", "", True)]))
    assert [figure.of for _, figure in rows] == ["first", "failed", "second"]
    assert rows[1][1].value == "RuntimeError: CUDA error: an illegal memory access"
    assert rows[1][1].ok is False
    assert told[0] == 1  # the table is written after each figure
    text = gpu_check.table(CPU.device, rows, 3)
    assert "1 right, 1 wrong, in 3 s" in text
    assert "| check 0 | failed | RuntimeError" in text


def test_what_there_was_no_time_for_is_told():
    def endless(bench):
        while True:
            yield Figure("more", "1")

    rows, _ = figures_of(endless, endless, deadline=time.monotonic() - 1)
    assert [figure.of for _, figure in rows] == ["more", "the rest"] * 2
    assert rows[1][1].value == "not run: no time left"


def test_a_figure_beyond_its_limit_is_an_exit_code(monkeypatch, capsys):
    wrong = {"Bad": lambda bench: iter([Figure("x | y", "2", "≤ 1", False)])}
    monkeypatch.setattr(gpu_check, "CHECKS", wrong)
    assert gpu_check.main(["--rehearse"]) == 1
    assert "| Bad | x / y | 2 | ≤ 1 | **WRONG** |" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_device_is_a_sentence(capsys):
    assert gpu_check.main([]) == 2
    assert "device must be auto or one that this machine has" in capsys.readouterr().err
