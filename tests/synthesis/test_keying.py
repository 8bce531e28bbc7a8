"""Chroma keying against frames of known foreground and alpha."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.art import write_library
from toonout_core.errors import BadInput
from toonout_core.output.clips import frames_of
from toonout_core.synthesis.cutouts import find_art
from toonout_core.synthesis.key_colour import hue_of, screen_colours
from toonout_core.synthesis.keyed_clips import clip_key, cropped, cut_sides, key_frames
from toonout_core.synthesis.keying import estimate_key, extract, screen_share
from toonout_core.synthesis.options import ClipOptions, KeyOptions
from toonout_core.synthesis.screens import screen_frame

OPTIONS = KeyOptions()
SCREEN = np.array((0.15, 0.75, 0.28), np.float32)


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return find_art(write_library(tmp_path_factory.mktemp("art")), "train")


def disc(size=96, radius=28, colour=(0.8, 0.3, 0.25), centre=(48, 48)):
    """A frame with a soft disc before the screen, its foreground and alpha."""
    y, x = np.mgrid[0:size, 0:size]
    distance = np.hypot(x - centre[0], y - centre[1])
    alpha = (radius + 1 - distance).clip(0, 2).astype(np.float32) / 2
    figure = np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, size, size))
    frame = alpha * figure + (1 - alpha) * SCREEN[:, None, None]
    return torch.from_numpy(frame)[None].clone(), torch.from_numpy(alpha)[None, None]


@pytest.mark.parametrize("hue", [0, 60, 130, 225, 310])
def test_hues_are_those_of_the_colour_circle(hue):
    colour = np.array(colorsys.hsv_to_rgb(hue / 360, 1, 1), np.float32)[:, None, None]
    found, chroma = hue_of(colour)
    assert abs((float(found[0, 0]) - hue + 180) % 360 - 180) < 3
    assert chroma[0, 0] > 0.8


def test_a_clean_frame_is_solved():
    image, alpha = disc()
    keyed = extract(image, estimate_key([image], OPTIONS), OPTIONS)
    assert float((keyed.alpha - alpha).abs().max()) < 0.06
    seen = (alpha > 0.3).expand(-1, 3, -1, -1)
    truth = torch.tensor((0.8, 0.3, 0.25)).view(1, 3, 1, 1)
    assert float((keyed.image - truth).abs()[seen].max()) < 0.05


@pytest.mark.parametrize("screen", ["green", "blue", "magenta"])
def test_soft_mattes_are_much_better_than_a_threshold(art, screen):
    ours, threshold = [], []
    # one figure has a disc as green as the screen, which no hue tells from it
    for index in (0, 2) if screen == "green" else range(4):
        frame = screen_frame(art, 0, index, 160, screen)
        key = estimate_key([frame.image], OPTIONS)
        keyed = extract(frame.image, key, OPTIONS)
        ours.append(float(((keyed.alpha - frame.alpha) ** 2).mean()))
        hue, chroma = hue_of(frame.image[0].numpy())
        off = np.abs((hue - key.hue_deg + 180) % 360 - 180)
        binary = torch.from_numpy(1 - ((off < 30) & (chroma > 0.2)).astype(np.float32))
        threshold.append(float(((binary - frame.alpha) ** 2).mean()))
    assert np.mean(ours) < 0.003
    assert np.mean(ours) < 0.6 * np.mean(threshold)


def test_the_light_of_the_screen_is_taken_away():
    image, alpha = disc(colour=(0.6, 0.6, 0.6))
    y, x = np.mgrid[0:96, 0:96]
    solid = alpha > 0.99
    rim = torch.from_numpy(np.hypot(x - 48, y - 48) > 24) & solid[0, 0]
    spilled = torch.where(solid, image + 0.15 * torch.from_numpy(SCREEN).view(1, 3, 1, 1), image)
    key = estimate_key([spilled], OPTIONS)
    cast = [
        float((keyed.image[:, 1] - keyed.image[:, 0])[0, rim].mean())
        for keyed in (extract(spilled, key, KeyOptions(despill=d)) for d in (0, 1))
    ]
    assert cast[0] > 0.05 and cast[1] < 0.7 * cast[0]


def test_a_mixture_with_grey_shows_its_share():
    screen = np.broadcast_to(SCREEN[:, None, None], (3, 1, 5)).copy()
    shares = np.linspace(0, 1, 5, dtype=np.float32)
    mixed = shares * screen + (1 - shares) * 0.4
    assert np.allclose(screen_share(mixed, screen, 30), shares, atol=1e-5)
    red = np.array((0.9, 0.1, 0.1), np.float32)[:, None, None]
    assert screen_share(red, screen[:, :, :1], 30).max() == 0


def test_an_uneven_screen_is_found_again_behind_the_figure():
    y, x = np.mgrid[0:60, 0:80] / 80
    lit = (SCREEN[:, None, None] * (1 - 0.5 * (x - 0.4) ** 2 - 0.3 * y)).astype(np.float32)
    mask = np.ones((60, 80), np.bool_)
    mask[20:50, 20:60] = False
    seen = np.where(mask, lit, 0.0).astype(np.float32)
    assert np.abs(screen_colours(seen, mask) - lit).max() < 1e-3
    with pytest.raises(BadInput, match="must show its screen"):
        screen_colours(seen, np.zeros_like(mask))


def test_colours_like_the_screen_inside_of_a_figure_stay():
    image, _ = disc()
    y, x = np.mgrid[0:96, 0:96]
    gem = torch.from_numpy(np.hypot(x - 48, y - 48) < 8)
    image[0, :, gem] = torch.tensor((0.35, 0.6, 0.4))[:, None]
    keyed = extract(image, estimate_key([image], OPTIONS), OPTIONS)
    assert float(keyed.alpha[0, 0][gem].min()) > 0.99


def test_specks_go_and_second_figures_stay():
    first, _ = disc(centre=(28, 48), radius=16)
    second, _ = disc(centre=(70, 48), radius=12)
    image = torch.minimum(first, second)
    image[..., 4:7, 4:7] = 0.5
    alpha = extract(image, estimate_key([image], OPTIONS), OPTIONS).alpha[0, 0]
    assert float(alpha[48, 28]) == 1 and float(alpha[48, 70]) == 1
    assert float(alpha[:10, :10].max()) == 0


def test_what_is_no_screen_gets_a_sentence():
    grey = torch.full((1, 3, 40, 40), 0.5)
    with pytest.raises(BadInput, match="must fill 30%"):
        estimate_key([grey], OPTIONS)
    rainbow = torch.rand(1, 3, 60, 60, generator=torch.Generator().manual_seed(0))
    with pytest.raises(BadInput, match="must"):
        estimate_key([rainbow], OPTIONS)
    empty = torch.from_numpy(SCREEN).view(1, 3, 1, 1).expand(1, 3, 40, 40).clone()
    with pytest.raises(BadInput, match="figure must fill"):
        extract(empty, estimate_key([empty], OPTIONS), OPTIONS)
    with pytest.raises(BadInput, match="cone_deg"):
        KeyOptions(cone_deg=90)
    with pytest.raises(BadInput, match="1×3×H×W"):
        extract(grey[0], estimate_key([empty], OPTIONS), OPTIONS)


# ---------------------------------------------------------------- clips


def frame_array(centre):
    image, _ = disc(centre=centre)
    return (image[0].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)


def test_a_video_is_keyed_frame_by_frame(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 96))
    assert writer.isOpened()
    for x in (30, 30, 40, 50, 60):
        writer.write(np.ascontiguousarray(frame_array((x, 48))[..., ::-1]))
    writer.release()
    assert len(list(frames_of(path))) == 5
    found = list(key_frames(path, OPTIONS, ClipOptions(crop=False)))
    assert [frame.keyed is not None for frame in found] == [True, False, True, True, True]
    assert found[1].left_out == "nearly the same as the last one"
    for frame, x in zip(found, (30, 30, 40, 50, 60), strict=True):
        if frame.keyed is not None:
            columns = frame.keyed.alpha[0, 0].sum(0)
            middle = float((columns * torch.arange(96)).sum() / columns.sum())
            assert middle == pytest.approx(x, abs=1)
    every = list(key_frames(path, OPTIONS, ClipOptions(every=2)))
    assert [frame.number for frame in every] == [1, 3, 5]


def test_a_still_and_an_animated_picture(tmp_path):
    pictures = [Image.fromarray(frame_array((x, 48))) for x in (30, 60)]
    pictures[0].save(tmp_path / "still.png")
    (only,) = key_frames(tmp_path / "still.png", OPTIONS, ClipOptions())
    assert only.still and only.keyed is not None
    path = tmp_path / "moving.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
    assert [frame.still for frame in key_frames(path, OPTIONS, ClipOptions())] == [False, False]
    assert clip_key(path, OPTIONS).hue_deg == pytest.approx(134, abs=4)
    assert clip_key(path, KeyOptions(hue_deg=480)).hue_deg == 120


def test_a_broken_video_gets_a_sentence(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(BadInput, match="must"):
        list(key_frames(tmp_path / "broken.mp4", OPTIONS, ClipOptions()))
    with pytest.raises(BadInput, match="must exist"):
        list(key_frames(tmp_path / "absent.mp4", OPTIONS, ClipOptions()))


def test_cutouts_end_at_their_figure_and_say_where_the_frame_cuts_it():
    image, alpha = disc(centre=(48, 80))
    keyed = extract(image, estimate_key([image], OPTIONS), OPTIONS)
    assert cut_sides(keyed.alpha) == "B"
    small = cropped(keyed)
    height, width = small.alpha.shape[-2:]
    # the disc is 58 wide and seen from row 51 down; the margin is 2
    assert abs(width - 62) <= 2 and abs(height - 47) <= 2
    assert float(small.alpha.sum()) == pytest.approx(float(keyed.alpha.sum()), rel=1e-3)
    assert small.image.shape[-2:] == small.alpha.shape[-2:]
    assert float((keyed.alpha - alpha).abs().mean()) < 0.002
