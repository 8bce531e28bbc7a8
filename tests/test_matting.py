from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.fake_host import FakeHost, StopFromHost
from toonout_core import LocalHost, flow, load_matting
from toonout_core.errors import BadInput, OutOfMemory, ToonOutError
from toonout_core.imaging import Picture
from toonout_core.loading import LoadedNetwork
from toonout_core.matting import Matting, grown
from toonout_core.models.architecture import Architecture
from toonout_core.ops.adjust import AdjustOptions
from toonout_core.words import NetworkInput


class Redness(nn.Module):
    """Opaque where the picture is red, transparent elsewhere; watches its host."""

    def __init__(self):
        super().__init__()
        self.host = None
        self.sizes = []
        self.fails_above = None

    def forward(self, image):
        assert self.host.active, "a network was touched outside of on_device"
        self.sizes.append(tuple(image.shape))
        if self.fails_above is not None and len(image) > self.fails_above:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return (image[:, :1] - 0.5) * 200


def matting(host=None, *, follows_picture=False, network=None, **options):
    host = host or FakeHost()
    network = network or Redness()
    network.host = host
    architecture = Architecture(
        id="redness",
        keys=("none",),
        build=lambda state: network,
        multiple_of=32,
        half=True,
        input=NetworkInput((64, 64), (0.0,) * 3, (1.0,) * 3),
        bytes_per_pixel=100,
        follows_picture=follows_picture,
    )
    loaded = LoadedNetwork(network, architecture, None, Path("redness.safetensors"), torch.float32)
    return Matting(loaded, host, **options)


def red_square(height=90, width=70, frames=1):
    image = torch.zeros(frames, 3, height, width)
    image[:, 0, 20:60, 20:50] = 1
    return image


def test_opaque_stays_exactly_one_and_empty_exactly_zero():
    alpha = matting().predict(red_square(200, 300))
    assert alpha.shape == (1, 1, 200, 300)
    assert float(alpha[0, 0, 40, 35]) == 1.0
    assert float(alpha[0, 0, 150, 250]) < 1e-30


def test_edges_do_not_move():
    image = red_square(256, 128)
    alpha = matting(resolution=512).predict(image)
    assert ((alpha > 0.5) == (image[:, :1] > 0.5)).float().mean() > 0.999


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (33, 65), (640, 64)])
@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_alpha_has_the_size_of_the_picture(size_hw, fit):
    tool = matting()
    alpha = tool.predict(torch.rand(2, 3, *size_hw), fit=fit)
    assert alpha.shape == (2, 1, *size_hw)
    assert float(alpha.min()) >= 0 and float(alpha.max()) <= 1
    assert set(tool.loaded.network.sizes) == {(1, 3, 64, 64)}


def test_pad_keeps_what_squash_keeps():
    image = red_square(120, 60)
    squashed, padded = (matting(resolution=256).predict(image, fit=f) for f in ("squash", "pad"))
    assert ((squashed > 0.5) != (padded > 0.5)).float().mean() < 0.01


def test_resolution_is_rounded_up_to_what_the_network_takes():
    tool = matting()
    tool.predict(red_square(), resolution=100)
    assert tool.loaded.network.sizes == [(1, 3, 128, 128)]


@pytest.mark.parametrize(
    ("frames", "step", "sizes"), [(5, 2, [2, 2, 1]), (3, 8, [3]), (2, 1, [1, 1])]
)
def test_only_a_step_is_on_the_device(frames, step, sizes):
    host = FakeHost()
    tool = matting(host)
    alpha = tool.predict(torch.rand(frames, 3, 40, 40), frames_per_step=step)
    assert alpha.shape[0] == frames
    assert [shape[0] for shape in tool.loaded.network.sizes] == sizes
    assert host.steps == sizes
    assert host.totals == [frames]
    assert len(host.visits) == 1
    assert all(preview.shape == (3, 40, 40) for preview in host.previews)


def test_previews_of_large_pictures_are_small():
    host = FakeHost()
    matting(host).predict(torch.rand(1, 3, 40, 2100))
    assert [preview.shape for preview in host.previews] == [(3, 8, 420)]


def test_batches_and_single_frames_agree():
    image = torch.rand(4, 3, 50, 40)
    together = matting().predict(image, frames_per_step=4)
    assert torch.allclose(together, torch.cat([matting().predict(f[None]) for f in image]))


def test_the_step_is_halved_when_memory_runs_out():
    host = FakeHost()
    tool = matting(host)
    tool.loaded.network.fails_above = 2
    image = torch.rand(9, 3, 40, 40)
    alpha = tool.predict(image, frames_per_step=8)
    assert host.steps == [2, 2, 2, 2, 1]
    assert host.visits[0] > host.visits[-1]
    assert not host.active
    assert torch.equal(alpha, matting().predict(image, frames_per_step=2))


def test_a_device_that_is_too_small_gets_a_sentence():
    host = FakeHost()
    tool = matting(host)
    tool.loaded.network.fails_above = 0
    with pytest.raises(ToonOutError, match="Lower the resolution"):
        tool.predict(red_square(), frames_per_step=4)
    assert not host.active


def test_stop_passes_unchanged_and_leaves_the_device():
    host = FakeHost(cancel_at=2)
    with pytest.raises(StopFromHost):
        matting(host).predict(torch.rand(9, 3, 40, 40), frames_per_step=2)
    assert host.steps == [2, 2]
    assert not host.active


def test_wrong_shapes_get_a_sentence():
    with pytest.raises(BadInput, match="image must be B×3×H×W"):
        matting().predict(torch.rand(1, 4, 8, 8))
    with pytest.raises(BadInput, match="frames_per_step"):
        matting().predict(torch.rand(1, 3, 8, 8), frames_per_step=0)


def test_source_alpha_is_multiplied_or_ignored():
    rgba = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
    tool = matting()
    # the network sees red over white, which is red enough for this one
    multiplied = tool(rgba, source_alpha="multiply")
    assert multiplied.alpha.unique().tolist() == [pytest.approx(128 / 255)]
    assert tool(rgba, source_alpha="ignore").alpha.unique().tolist() == [1.0]
    assert torch.equal(multiplied.colours, multiplied.image)


def test_colours_under_full_transparency_do_not_reach_the_network():
    picture = Picture(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    picture.image[:, 0] = 1
    shown = matting().matte(picture.image, picture.alpha)
    assert float(shown.alpha.max()) == 0.0


def test_foreground_keeps_the_picture_where_opaque_and_can_be_left_out():
    image = red_square(100, 100)
    matte = matting().matte(image)
    opaque = matte.alpha[:, 0] == 1
    assert opaque.any()
    colours = (matte.foreground * 255).round().movedim(1, -1)[opaque]
    assert torch.equal(colours, (image * 255).round().movedim(1, -1)[opaque])
    assert matting().matte(image, foreground=None).foreground is None


def test_a_path_a_stream_and_a_picture_give_the_same(tmp_path):
    path = tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    tool = matting()
    with path.open("rb") as stream:
        mattes = [tool(path), tool(str(path)), tool(stream), tool(Image.open(path))]
    assert all(torch.equal(m.alpha, mattes[0].alpha) for m in mattes)


@pytest.mark.parametrize(
    ("longest_px", "side_px"),
    [(1, 512), (1000, 512), (1024, 512), (1050, 544), (1400, 768), (1750, 992), (1800, 1024),
     (9000, 1024)],
)  # fmt: skip
def test_what_the_built_in_network_sees_grows_with_the_picture(longest_px, side_px):
    assert grown(512, longest_px) == side_px


def test_only_networks_that_ask_for_it_follow_the_picture_and_a_given_size_wins():
    image = torch.zeros(1, 3, 40, 1900)
    seen = []
    for tool in (
        matting(),
        matting(follows_picture=True),
        matting(follows_picture=True, resolution=96),
    ):
        tool.predict(image)
        tool.predict(image, resolution=160)
        seen.append([size[-1] for size in tool.loaded.network.sizes])
    assert seen == [[64, 160], [64, 128, 160], [96, 160]]


@pytest.mark.parametrize(
    ("image_hw", "resolution", "sides"),
    [
        ((40, 1000), None, [64]),
        ((1250, 800), None, [64, 96]),
        ((40, 5000), None, [64, 128]),
        ((40, 5000), 160, [160]),
    ],
)
def test_large_pictures_are_looked_at_twice(image_hw, resolution, sides):
    tool = matting(follows_picture=True)
    assert tool.looks(resolution, image_hw) == tuple((side, side) for side in sides)
    tool.predict(torch.rand(2, 3, *image_hw), resolution=resolution, frames_per_step=2)
    assert [size[-2:] for size in tool.loaded.network.sizes] == [(side, side) for side in sides]


@pytest.mark.parametrize(
    ("longest_px", "sides"), [(1000, [512]), (1200, [640]), (1250, [512, 672]), (4000, [512, 1024])]
)
def test_the_built_in_network_looks_twice_above_1200_px(longest_px, sides):
    tool = load_matting(host=LocalHost("cpu", quiet=True))
    assert tool.looks(None, (longest_px, 300)) == tuple((side, side) for side in sides)


def test_what_only_the_closer_look_takes_for_background_stays():
    """As networks do with large drawings: what is white in the middle looks like paper."""

    class Hollow(Redness):
        def forward(self, image):
            logits = super().forward(image)
            if image.shape[-1] > 64:
                logits[..., 48:80, 48:80] = -100
            return logits

    tool = matting(follows_picture=True, network=Hollow())
    image = torch.zeros(1, 3, 1900, 1900)
    image[:, 0, 500:1400, 500:1400] = 1
    assert float(tool.predict(image, resolution=128)[..., 950, 950]) < 0.05
    assert float(tool.predict(image)[..., 950, 950]) > 0.95


def test_one_look_is_not_remembered_as_two():
    tool, image = matting(follows_picture=True), torch.rand(1, 3, 300, 1900)
    once, twice = tool.predict(image, resolution=128), tool.predict(image)
    assert [size[-1] for size in tool.loaded.network.sizes] == [128, 64, 128]
    assert torch.equal(tool.predict(image, resolution=128), once)
    assert torch.equal(tool.predict(image), twice)


def test_a_picture_that_is_half_overwritten_is_not_tried_again(monkeypatch):
    tries = []

    def fails(image, *_, **__):
        tries.append(float(image.mean()))
        image[:, :, :8] = 0
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0.")

    monkeypatch.setattr(flow, "estimate_foreground", fails)
    image = torch.rand(1, 3, 64, 64)
    with pytest.raises(OutOfMemory, match="Make it smaller"):
        load_matting(host=LocalHost("cpu", quiet=True)).matte(image, keep_image=False)
    assert len(tries) == 1


def test_inverted_the_background_is_kept_and_its_colours_are_cleaned():
    image = red_square()
    found = matting().matte(image, adjust=AdjustOptions(invert=True))
    usual = matting().matte(image)
    assert torch.equal(found.alpha, 1 - usual.alpha)
    assert found.foreground[0, 0, 2, 2] == 0, "the background as it is"
    assert found.foreground[0, 0, 40, 35] < 0.1, "nothing red where the character was"


def test_inverted_what_was_transparent_stays_so():
    own = torch.ones(1, 1, 90, 70)
    own[..., :10, :] = 0
    own[..., 10:15, :] = 0.5
    found = matting().matte(red_square(), own, AdjustOptions(invert=True))
    assert found.alpha[..., :10, :].max() == 0
    assert torch.allclose(found.alpha[..., 10:15, :], torch.tensor(0.5))
    assert found.alpha[0, 0, 40, 35] == 0
