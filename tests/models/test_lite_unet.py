"""The built-in network: read from shapes alone, filled from ImageNet weights, exact when folded."""

import pytest
import torch
from torch import nn

from toonout_core.errors import CorruptWeights
from toonout_core.models.lite_unet import ARCHITECTURE, LITE_SIZES, LiteUNet, read_encoder
from toonout_core.models.lite_unet.encoder import ConvNorm, Encoder, Stage

STAGES = [
    Stage(4, 1, 3, 1), Stage(6, 2, 3, 3), Stage(5, 2, 5, 2), Stage(7, 1, 3, 2),
    Stage(8, 2, 5, 2), Stage(6, 1, 5, 2), Stage(9, 1, 3, 2),
]  # fmt: skip
WIDTHS = (4, 5, 6, 7, 8)


def small(**heads):
    """With norms that do something."""
    torch.manual_seed(3)
    network = LiteUNet(8, STAGES, WIDTHS, **heads)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def test_shapes_tell_every_size():
    network = small()
    loaded = ARCHITECTURE.load(network.state_dict())
    assert loaded.characters is None
    image = torch.rand(2, 3, 64, 96)
    alpha = loaded(image)
    assert alpha.shape == (2, 1, 64, 96)
    torch.testing.assert_close(alpha, network(image), rtol=0, atol=0)


def test_a_head_for_detail_is_known_by_its_keys_and_changes_no_alpha():
    network = small(detail=(3, 4, 5, 6))
    nn.init.normal_(network.detail.out.weight)
    loaded = ARCHITECTURE.load(network.state_dict())
    image, coarse = torch.rand(2, 3, 64, 96), torch.rand(2, 1, 64, 96)
    state = {key: v for key, v in network.state_dict().items() if not key.startswith("detail.")}
    assert torch.equal(loaded(image), ARCHITECTURE.load(state)(image))
    drawn = loaded(image, coarse=coarse)
    assert drawn.shape == (2, 1, 64, 96)
    assert torch.equal(drawn, network(image, coarse=coarse))
    assert not torch.equal(drawn, loaded(image, coarse=coarse.flip(3)))


def test_a_new_head_for_detail_gives_the_coarse_alpha_back():
    coarse = torch.rand(1, 1, 64, 64) * 0.7 + 0.15  # where logits are not made steeper
    drawn = small(detail=(3, 4, 5, 6))(torch.rand(1, 3, 64, 64), coarse=coarse).sigmoid()
    torch.testing.assert_close(drawn, coarse)


def test_features_lie_at_five_strides():
    made = small().features(torch.rand(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in made] == [
        (width, 64 // stride, 96 // stride)
        for width, stride in zip(WIDTHS, (2, 4, 8, 16, 32), strict=True)
    ]


def test_kept_norms_in_the_convolution_give_what_the_layers_give():
    torch.manual_seed(1)
    layer = ConvNorm(6, 6, 5, stride=2, groups=6).double()
    layer.norm.running_mean = torch.randn(6).double()
    layer.norm.running_var = torch.rand(6).double() + 0.5
    layer.eval()
    x = torch.randn(1, 6, 12, 16).double()
    # SAME: of 16 places at stride 2 with a kernel of 5, one is missing before and two behind
    wanted = layer.norm(layer.conv(nn.functional.pad(x, (1, 2, 1, 2)))).clamp(0, 6)
    torch.testing.assert_close(layer(x), wanted)


def test_encoder_is_read_from_the_names_of_the_conversion(tmp_path):
    torch.manual_seed(2)
    stem, stages = LITE_SIZES["lite0"]
    source, encoder = Encoder(stem, stages), Encoder(stem, stages)
    torch.save({**_as_published(source), "_fc.bias": torch.zeros(3)}, tmp_path / "lite0.pth")
    read_encoder(encoder, tmp_path / "lite0.pth")
    for key, value in source.state_dict().items():
        torch.testing.assert_close(encoder.state_dict()[key], value, rtol=0, atol=0)


def _as_published(encoder):
    """The file's own numbering: blocks in one row, norms from the first of the block."""
    names = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}
    state, blocks = {}, [block for stage in encoder.stages for block in stage]
    state |= _layer(encoder.stem, "_conv_stem", "_bn0")
    for number, block in enumerate(blocks):
        for index, (part, name) in enumerate(names.items()):
            if (layer := getattr(block, part)) is not None:
                start = f"_blocks.{number}."
                state |= _layer(layer, start + name, f"{start}_bn{index}")
    return state


def _layer(layer, convolution, norm):
    values = {f"{norm}.{key}": value for key, value in layer.norm.state_dict().items()}
    return {f"{convolution}.weight": layer.conv.weight.detach(), **values}


@pytest.mark.parametrize("content", [b"no weights", None])
def test_another_file_is_no_encoder(tmp_path, content):
    path = tmp_path / "other.pth"
    if content is None:
        torch.save({"weight": torch.zeros(2)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(CorruptWeights, match=r"other\.pth must hold the weights of EfficientNet"):
        read_encoder(Encoder(*LITE_SIZES["lite0"]), path)
