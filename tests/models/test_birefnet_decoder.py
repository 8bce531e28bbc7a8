"""Decoder parts against recorded results, and the rewritten algebra against the plain one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toonout_core.models.birefnet.aspp import ASPPDeformable, DeformableConv
from toonout_core.models.birefnet.decoder import DecoderBlock, ImageBlock, Lateral, Widths
from toonout_core.models.birefnet.patches import resize
from toonout_core.models.folding import fold_norm

from .birefnet_recipe import filled, recorded, tiny_network, uniform

WIDTHS = Widths(maps=(0, 0, 0, 0), inner=64, branch=256, image=64, kernels=(1, 3, 7))


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def test_pyramid():
    network = filled(ASPPDeformable(64, 256, (1, 3, 7)), 79)
    close(network(uniform(7, (1, 64, 11, 13))), recorded()["aspp.out"])


def test_decoder_block():
    network = filled(DecoderBlock(48, 40, WIDTHS), 80)
    picture = uniform(8, (2, 48, 10, 14))
    close(network([picture]), recorded()["decoder_block.out"])
    parts = list(picture.split([30, 18], 1))
    close(network(parts), recorded()["decoder_block.out"])
    assert not parts  # so that large maps are freed early


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_deformable_conv(kernel, grad):
    network = filled(DeformableConv(8, 6, kernel), 81, offset_gain=6.0)
    with torch.set_grad_enabled(grad):
        out = network(uniform(9, (2, 8, 9, 11)))
    close(out, recorded()[f"deform.k{kernel}.out"])


def test_offsets_and_factors():
    network = filled(DeformableConv(8, 6, 3), 81, offset_gain=6.0)
    offset, factor = network.field(uniform(9, (2, 8, 9, 11)))
    close(offset, recorded()["deform.k3.offset"])
    close(factor, recorded()["deform.k3.mask"])


def test_block_and_projection_are_one_function_with_fixed_and_with_batch_norms():
    network = filled(DecoderBlock(8, 40, WIDTHS), 80)
    x, weight, bias = uniform(1, (2, 8, 10, 14)), uniform(2, (1, 40, 1, 1)), uniform(3, (1,))
    close(network.projected([x], weight, bias), F.conv2d(network([x]), weight, bias), 1e-4)
    network.train()
    network.dec_att.dropout.train(False)
    close(network.projected([x], weight, bias), F.conv2d(network([x]), weight, bias), 1e-4)


def test_small_variances_survive_half_precision():
    norm = torch.nn.BatchNorm2d(2).train(False).requires_grad_(False)
    norm.running_var.fill_(2e-6)
    weight = torch.ones(2, 2, 1, 1)
    expected, _ = fold_norm(weight, None, norm)
    folded, _ = fold_norm(weight.half(), None, norm.half())
    torch.testing.assert_close(folded.float(), expected, rtol=2e-2, atol=0)


def test_batch_norms_use_the_batch_in_training():
    network = filled(DecoderBlock(8, 40, WIDTHS), 80).train()
    out = network([uniform(1, (4, 8, 10, 14))])
    expected = network.bn_out.bias, network.bn_out.weight.square()
    close(out.mean((0, 2, 3)), expected[0], 1e-4)
    torch.testing.assert_close(out.var((0, 2, 3), correction=0), expected[1], rtol=1e-2, atol=0)


@pytest.mark.parametrize("size_hw", [(3, 3), (32, 7), (9, 40)])
def test_image_block_projected_to_one_channel(size_hw):
    block = filled(ImageBlock(3, 12, 64), 4)
    x, weight = uniform(5, (2, 3, *size_hw)), uniform(6, (1, 12, 1, 1))
    close(block.projected(x, weight), F.conv2d(block(x), weight))


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("innermost", [True, False])
def test_lateral_merge_is_the_convolution_of_the_joined_maps(grad, innermost, monkeypatch):
    monkeypatch.setattr("toonout_core.models.birefnet.decoder._PIXELS", 100)  # of 2·10·14
    block = filled(Lateral(24), 4)
    x, full, half = (
        uniform(1, (2, 24, 5, 7)),
        uniform(2, (2, 12, 10, 14)),
        uniform(3, (2, 12, 5, 7)),
    )
    joined = torch.cat((full, resize(half, (10, 14))), 1)
    if innermost:
        full = full.contiguous(memory_format=torch.channels_last)
    with torch.set_grad_enabled(grad):
        merged = block.merge(x, full, half)
    close(merged, block.conv(joined) + resize(x, (10, 14)))


def test_logits_are_those_of_the_plain_last_stage():
    """conv_out1 over the up-sampled map and the image block, joined: with all its channels."""
    network = tiny_network().decoder
    p1, image = uniform(1, (1, 32, 16, 24)), uniform(2, (1, 3, 64, 96))
    block = network.decoder_block1
    parts = network._parts(1, p1, image, "channel_first")
    wide = torch.cat((resize(block(list(parts)), (64, 96)), network.ipt_blk1(image)), 1)
    assert isinstance(network.conv_out1, nn.Sequential)
    close(network._logits(parts, image), network.conv_out1(wide))
