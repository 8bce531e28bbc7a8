"""Mattes that are remembered: by content, within a limit, and never shared with who alters them."""

from __future__ import annotations

import pytest
import torch

from tests.counting import count_work
from tests.fake_host import FakeHost
from tests.small_weight_files import unet, write
from toonout_core.matting import load_matting
from toonout_core.remembering import LastMattes


@pytest.fixture
def small(tmp_path):
    return load_matting(write(unet(), tmp_path / "a.safetensors"), host=FakeHost([]), resolution=64)


def test_the_same_picture_is_not_computed_twice(small, monkeypatch):
    work = count_work(monkeypatch)
    image = torch.rand(2, 3, 40, 30)
    first = small.predict(image)
    assert work.inferences == 2
    wanted = first.clone()
    first.zero_()  # what a caller does with a result changes nothing
    host = small.host
    steps = len(host.steps)
    assert torch.equal(small.predict(image.clone()), wanted)
    assert torch.equal(small.predict(image[1:]), wanted[1:])
    assert work.inferences == 2
    assert host.steps[steps:] == [2, 1]  # progress ends full all the same


def test_what_differs_is_computed(small, monkeypatch):
    work = count_work(monkeypatch)
    image = torch.rand(1, 3, 40, 30)
    small.predict(image)
    other = image.clone()
    other[0, 2, 39, 29] += 2**-20
    small.predict(other)
    small.predict(image, fit="pad")
    small.predict(image, resolution=128)
    small.predict(image.transpose(-1, -2))
    small.predict(torch.cat((image, torch.rand(1, 3, 40, 30))))
    assert work.inferences == 7


def test_only_the_last_ones_are_kept():
    mattes = LastMattes(limit_bytes=2 * 4 * 100)
    images = torch.rand(3, 3, 10, 10)
    keys = mattes.keys(images[:1], "a") + mattes.keys(images[1:2], "a")
    for number, key in enumerate(keys):
        mattes.keep([key], torch.full((1, 1, 10, 10), float(number)))
    assert mattes.recall(keys[::-1]).flatten(1).mean(1).tolist() == [1, 0]
    (third,) = mattes.keys(images[2:], "a")
    mattes.keep([third], torch.ones(1, 1, 10, 10))  # the one that was asked for first goes
    assert mattes.recall(keys[1:]) is None
    assert mattes.recall([keys[0], third]) is not None
    assert mattes.recall([third, keys[1]]) is None
    assert mattes.keys(images, "a") is None  # more than is ever kept
    assert mattes.keys(images[:0], "a") is None


def test_who_asks_once_need_not_remember(tmp_path, monkeypatch):
    path = write(unet(), tmp_path / "a.safetensors")
    once = load_matting(path, host=FakeHost([]), resolution=64, remember=False)
    usual = load_matting(path, host=FakeHost([]), resolution=64)
    work = count_work(monkeypatch)
    image = torch.rand(1, 3, 40, 30)
    first = once.predict(image)
    assert torch.equal(once.predict(image), first)
    assert work.inferences == 2
    assert torch.equal(usual.predict(image), usual.predict(image))
    assert work.inferences == 3
