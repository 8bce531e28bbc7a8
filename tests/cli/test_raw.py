"""Bare frames through `toonout cutout --raw`, and rembg's own words for our options."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

WIDTH, HEIGHT = 20, 12


def frames(count):
    """Black, with a light square that moves."""
    pixels = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    for number in range(count):
        pixels[number, 3:9, 2 + number : 10 + number] = 255
    return pixels


@pytest.fixture
def pipe(toonout, monkeypatch, light):
    """pipe(bytes, *options) → (shell, bytes)."""

    def call(content, *arguments):
        out = io.BytesIO()
        stdin = SimpleNamespace(buffer=_Halting(content))
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out, isatty=lambda: False))
        size = f"{WIDTH}x{HEIGHT}"
        shell = toonout("cutout", "--raw", size, "-", "--model", light, *arguments)
        return shell, out.getvalue()

    return call


class _Halting(io.BytesIO):
    """Gives less than is asked for, as pipes do."""

    def read(self, size=-1):
        return super().read(min(size, 333) if size > 0 else size)


def test_frames_become_rgba_in_their_order(pipe):
    given = frames(3)
    shell, content = pipe(given.tobytes())
    assert shell.code == 0
    assert "rgba, 20x12" in shell.stderr
    result = np.frombuffer(content, np.uint8).reshape(3, HEIGHT, WIDTH, 4)
    for number in range(3):
        assert (result[number, 5, 4 + number : 8 + number] == 255).all()
        assert (result[number, 0, :, 3] < 5).all()
    assert result[0, 5, 2 + 9, 3] < result[2, 5, 2 + 9, 3]  # it has moved


@pytest.mark.parametrize(
    ("options", "form", "channels"),
    [(["--mask-only"], "gray", 1), (["--background", "#0000ff"], "rgb24", 3), (["-om"], "gray", 1)],
)
def test_other_forms(pipe, options, form, channels):
    shell, content = pipe(frames(2).tobytes(), *options)
    assert f"Frames on stdout: {form}" in shell.stderr
    assert len(content) == 2 * HEIGHT * WIDTH * channels


def test_a_frame_that_is_cut_off_is_told_after_the_others(pipe):
    shell, content = pipe(frames(2).tobytes()[:-1])
    assert shell.code == 2
    assert "whole frames of 720 bytes (rgb24), but got 719 bytes" in shell.stderr
    assert len(content) == HEIGHT * WIDTH * 4


def test_nothing_is_nothing(pipe):
    shell, content = pipe(b"")
    assert (shell.code, content) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--raw", "20", "-"], "as 1920x1080"),
        (["--raw", "0x12", "-"], "as 1920x1080"),
        (["--raw", "20x12", "a.png"], "must read stdin"),
        (["--raw", "20x12", "-", "-o", "out"], "must read stdin"),
        (["--raw", "20x12", "-", "--crop"], "--crop must be left out"),
    ],
)
def test_what_does_not_go_together(toonout, arguments, sentence):
    shell = toonout("cutout", *arguments)
    assert shell.code == 2
    assert sentence in shell.stderr


# ---------------------------------------------------------------- rembg's words


@pytest.fixture
def read(capsys):
    """read(*words) → (arguments, what was said)."""
    from toonout_core.cli import build_parser

    def call(*words):
        arguments = build_parser("cutout").parse_args(["cutout", "a.png", *words])
        return arguments, capsys.readouterr().err

    return call


def test_only_the_mask(read):
    arguments, said = read("-om", "-o", "out")
    assert (arguments.mask_only, arguments.out) == (True, "out")
    assert said == "-om is --mask-only.\n"


@pytest.mark.parametrize(
    ("name", "ours"),
    [("isnet-anime", "isnet-anime"), ("birefnet-general", "birefnet"), ("u2net", "u2net")],
)
def test_a_model(read, name, ours):
    arguments, said = read("-m", name, "-o", "out")
    assert (arguments.model, arguments.out) == (ours, "out")
    assert said == f"-m is --model {ours}.\n"


def test_watch_knows_the_same_words(capsys):
    from toonout_core.cli import build_parser

    words = ["watch", "in", "-o", "out", "-m", "isnet-anime", "-om"]
    arguments = build_parser("watch").parse_args(words)
    assert (arguments.model, arguments.mask_only) == ("isnet-anime", True)
    assert capsys.readouterr().err == "-m is --model isnet-anime.\n-om is --mask-only.\n"


def test_a_model_without_a_name(toonout):
    shell = toonout("cutout", "a.png", "-m")
    assert shell.code == 2
    assert "--model" in shell.stderr


def test_alpha_matting_is_not_needed(read):
    arguments, said = read("-a", "-ae", "15", "-af", "240", "-ab", "10", "-dc", "-o", "out")
    assert (arguments.paths, arguments.out) == (["a.png"], "out")
    assert said.count("is not needed: every matte is soft") == 5


def test_two_paths_as_rembg_has_them(toonout, tmp_path):
    girl = tmp_path / "my girl.png"
    girl.write_bytes(b"")
    for out in ("out5.png", "out folder"):
        shell = toonout("cutout", girl, out)
        assert shell.code == 2
        quoted = out if " " not in out else f"'{out}'"
        assert f"Did you mean: toonout cutout '{girl}' -o {quoted}?" in shell.stderr
    assert "Did you mean" not in toonout("cutout", girl, girl).stderr  # two pictures


def test_specks(read):
    arguments, said = read("-ppm")
    assert arguments.drop_specks_px == 64
    assert "--drop-specks 64" in said


@pytest.mark.parametrize(
    ("levels", "colour"),
    [("255 128 0 255", "#ff8000"), ("0 0 0 255", "#000000"), ("9 9 9 0", None)],
)
def test_a_colour_behind(read, levels, colour):
    arguments, said = read("-bgc", *levels.split(), "-o", "out")
    assert (arguments.background, arguments.out) == (colour, "out")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("levels", ["", "1 2 3", "1 2 3 999", "1 2 3 128", "red", "1 2 3 -o"])
def test_half_a_colour(toonout, levels):
    shell = toonout("cutout", "a.png", "-bgc", *levels.split())
    assert shell.code == 2
    assert "-bgc must have red, green and blue" in shell.stderr


@pytest.mark.parametrize(("verb", "ours"), [("i", "cutout"), ("s", "serve"), ("b", "cutout --raw")])
def test_its_verbs_are_understood(toonout, verb, ours):
    shell = toonout(verb, "a.png")
    assert shell.code == 2
    assert f"Did you mean {ours}?" in shell.stderr
