"""Animated pictures, read again by Pillow and by our own reader."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from toonout_core.errors import BadInput
from toonout_core.imaging import Metadata, read_frames
from toonout_core.output.animations import AnimationOptions, Frame, write_animation

SECONDS = [0.1, 0.25, 0.033, 0.033, 0.034]


def ball(count: int = 5, *, transparent: bool = True) -> list[Frame]:
    """A square that moves over what is transparent; the third frame is like the second."""
    frames: list[Frame] = []
    for index in [0, 1, 1, 2, 3][:count]:
        image = torch.zeros(1, 3, 24, 40)
        alpha = torch.zeros(1, 1, 24, 40)
        image[:, 0] = 1.0
        image[:, 1, :, index * 8 : index * 8 + 9] = 0.6
        alpha[..., 4:20, index * 8 : index * 8 + 9] = 1
        alpha[..., 4, :] *= 0.4
        frames.append(Frame(image, alpha if transparent else None, SECONDS[len(frames)]))
    return frames


def written(frames: list[Frame], **options) -> BytesIO:
    stream = BytesIO()
    assert write_animation(stream, iter(frames), AnimationOptions(**options)) == len(frames)
    stream.seek(0)
    return stream


def visible(frame: Frame) -> torch.Tensor:
    alpha = torch.ones_like(frame.image[:, :1]) if frame.alpha is None else frame.alpha
    return torch.cat((frame.image * alpha, alpha), 1)


@pytest.mark.parametrize("format", ["png", "webp"])
@pytest.mark.parametrize("transparent", [True, False])
def test_frames_come_back_level_for_level(format, transparent):
    frames = ball(transparent=transparent)
    back = list(read_frames(written(frames, format=format)))
    assert len(back) == len(frames)
    for before, after in zip(frames, back, strict=True):
        again = visible(Frame(after.image, after.alpha, 0))
        assert (again - visible(before)).abs().max() <= 0.51 / 255
    assert [round(picture.seconds, 3) for picture in back] == SECONDS


def test_gif_keeps_what_is_at_least_half_there():
    frames = ball()
    back = list(read_frames(written(frames, format="gif")))
    assert len(back) == len(frames)
    for before, after in zip(frames, back, strict=True):
        assert before.alpha is not None
        assert after.alpha is not None
        assert torch.equal(after.alpha, (before.alpha >= 0.5).float())
        inside = after.alpha > 0
        assert ((after.image - before.image) * inside).abs().max() <= 1 / 255
    total = sum(picture.seconds for picture in back)
    assert total == pytest.approx(sum(SECONDS), abs=0.006), "rounding does not add up"


@pytest.mark.parametrize("format", ["png", "webp", "gif"])
@pytest.mark.parametrize("plays", [0, 1, 4])
def test_how_often_it_runs(format, plays):
    with Image.open(written(ball(), format=format, plays=plays)) as picture:
        told = picture.info.get("loop")
    expected = plays if format != "gif" else {0: 0, 1: None, 4: 3}[plays]
    assert told == expected


def test_sixteen_bits_and_text_stay_in_png():
    frames = ball(2)
    metadata = Metadata(text={"parameters": "1girl"})
    stream = written(frames, bits=16, metadata=metadata)
    assert stream.getvalue()[24] == 16
    with Image.open(stream) as picture:
        assert picture.text == {"parameters": "1girl"}
        assert picture.n_frames == 2


def test_exif_stays_in_webp():
    stream = written(ball(2), format="webp", metadata=Metadata(artist="Ann"))
    with Image.open(stream) as picture:
        assert picture.getexif()[0x13B] == "Ann"
        assert picture.n_frames == 2


@pytest.mark.parametrize("format", ["png", "webp", "gif"])
def test_grey_and_single_frames(format):
    grey = [Frame(torch.linspace(0, 1, 12).expand(1, 1, 5, 12), None, 1.0)]
    back = list(read_frames(written(grey, format=format)))
    assert len(back) == 1
    assert (back[0].image[:, :1] - grey[0].image).abs().max() <= 0.51 / 255


def test_a_lossy_webp_is_smaller():
    draw = torch.Generator().manual_seed(1)
    noisy = [Frame(torch.rand(1, 3, 64, 64, generator=draw), None, 0.1) for _ in range(3)]
    sizes = [len(written(noisy, format="webp", quality=q).getvalue()) for q in (None, 30)]
    assert sizes[1] < sizes[0] / 3


def test_frames_replace_each_other_in_every_viewer():
    """As a viewer composes them, not as a reader that knows our way would."""
    for format in ("png", "webp", "gif"):
        with Image.open(written(ball(), format=format)) as picture:
            last = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)]
        assert not last[-1][..., 3][:, :20].any(), format


def test_what_is_no_animation():
    with pytest.raises(BadInput, match="must hold frames"):
        write_animation(BytesIO(), [], AnimationOptions())
    with pytest.raises(BadInput, match="must be one of gif, png, webp"):
        write_animation(BytesIO(), ball(), AnimationOptions(format="jpg"))
    odd = [*ball(1), Frame(torch.zeros(1, 3, 2, 2), None, 1)]
    with pytest.raises(BadInput, match="as the first"):
        write_animation(BytesIO(), odd, AnimationOptions())
    with pytest.raises(BadInput, match="16383"):
        wide = Frame(torch.zeros(1, 3, 1, 16384), None, 1)
        write_animation(BytesIO(), [wide], AnimationOptions(format="webp"))
