"""The networks that benchmark.py compares: ours and others, with the same random weights."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
SWIN = {
    "swin_l": (192, (2, 2, 18, 2), (6, 12, 24, 48), 12, "swin_v1_l"),
    "swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), 7, "swin_v1_t"),
}


@dataclass(frozen=True)
class Setting:
    """What all sides run."""

    variant: str
    size: int
    precision: str
    device: str
    threads: int
    batch: int


Maker = Callable[[Setting, str], nn.Module]


@dataclass(frozen=True)
class Kind:
    """Networks that answer alike. `size`: side of the picture that they are made for; `makers`:
    ours, reference, and perhaps comfyui; `logits`: what of an answer is compared."""

    size: int
    makers: Mapping[str, Maker]
    logits: Callable[[Any], Tensor]


def random_state(names: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that keep every layer's output near unit size, all offsets and statistics alive."""
    state: dict[str, Tensor] = {}
    for name, like in names.items():
        if not like.is_floating_point():
            continue
        chance = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        value = torch.randn(like.shape, generator=chance)
        if name.endswith("running_var"):
            value = 0.5 + torch.rand(like.shape, generator=chance)
        elif name.endswith("relative_position_bias_table"):
            value *= 0.5
        elif name.endswith((".bias", "running_mean")):
            value *= 0.3 if "offset_conv" in name or "modulator_conv" in name else 0.1
        elif like.ndim == 1:
            value = 1 + 0.1 * value
        else:
            value /= prod(like.shape[1:]) ** 0.5
        state[name] = value
    return state


def filled(network: nn.Module) -> nn.Module:
    """The network with random weights."""
    missing, unknown = network.load_state_dict(random_state(network.state_dict()), strict=False)
    left = [name for name in missing if not name.endswith(("_index", "_tracked"))]
    assert not left and not unknown, (left, unknown)
    return network


def like(reference: Maker, architecture: str) -> Maker:
    """Ours, with the weights of the reference, whose names say what it is."""

    def make(setting: Setting, folder: str) -> nn.Module:
        state = reference(setting, folder).state_dict()
        sys.path.insert(0, str(ROOT))
        ours = import_module(f"toonout_core.models.{architecture}").ARCHITECTURE
        return ours.load(state).to(DTYPES[setting.precision])

    return make


# ------------------------------------------------------------------ BiRefNet


def our_birefnet(setting: Setting, _folder: str) -> nn.Module:
    sys.path.insert(0, str(ROOT))
    from toonout_core.models.birefnet import ARCHITECTURE, BiRefNet

    dim, depths, heads, window, _ = SWIN[setting.variant]
    with torch.device("meta"):
        empty = BiRefNet(dim=dim, depths=depths, heads=heads, window=window)
    network = ARCHITECTURE.load(random_state(empty.state_dict()))
    return network.to(DTYPES[setting.precision])


def comfyui_birefnet(setting: Setting, folder: str) -> nn.Module:
    """The network of ComfyUI's core, as its loader builds it."""
    sys.path.insert(0, folder)
    if setting.device == "cpu":
        import_module("comfy.cli_args").args.cpu = True
    build = import_module("comfy.background_removal.birefnet").BiRefNet
    operations = import_module("comfy.ops").manual_cast
    network = build({}, DTYPES[setting.precision], torch.device("cpu"), operations)
    state = random_state(network.state_dict())
    network.load_state_dict({**network.state_dict(), **state})
    return network


def published_birefnet(setting: Setting, folder: str) -> nn.Module:
    """The network of the checkout, in fp32 on the CPU: its other precisions need CUDA."""
    sys.path.insert(0, folder)
    prefix = "birefnet." if (Path(folder) / "birefnet").is_dir() else ""
    if find_spec("wandb") is None:
        sys.modules["wandb"] = ModuleType("wandb")  # the log of its training, imported on the way
    config = import_module(f"{prefix}config").Config
    plain = config.__init__
    dim, _, _, _, backbone = SWIN[setting.variant]

    def configure(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.bb = backbone
        self.lateral_channels_in_collection = [2 * dim * 2**level for level in (3, 2, 1, 0)]
        self.cxt = self.lateral_channels_in_collection[1:][::-1]
        self.batch_size = 2  # 1 would leave the BatchNorms out

    config.__init__ = configure
    network = filled(import_module(f"{prefix}models.birefnet").BiRefNet(bb_pretrained=False))
    cuda = setting.device.startswith("cuda")
    return network.to(DTYPES[setting.precision] if cuda else torch.float32)


# ------------------------------------------------------------------ IS-Net and RTMDet-Ins


def published_isnet(_setting: Setting, folder: str) -> nn.Module:
    """The file alone: its package imports what trains it."""
    sys.path.insert(0, str(Path(folder) / "animeinsseg" / "models" / "animeseg_refine"))
    return filled(import_module("isnet").ISNetDIS())


def published_rtmdet(_setting: Setting, folder: str) -> nn.Module:
    """The network of mmdet's configuration rtmdet-ins_l, for one class."""
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, _WithoutOps())
    import_module("mmdet.models")
    norm, act = {"type": "BN"}, {"type": "SiLU", "inplace": True}
    common = {"norm_cfg": norm, "act_cfg": act}
    parts = {
        "backbone": ("backbones.cspnext", "CSPNeXt", {"channel_attention": True}),
        "neck": (
            "necks.cspnext_pafpn", "CSPNeXtPAFPN",
            {"in_channels": [256, 512, 1024], "out_channels": 256},
        ),
        "bbox_head": (
            "dense_heads.rtmdet_ins_head", "RTMDetInsSepBNHead",
            {
                "num_classes": 1, "in_channels": 256, "feat_channels": 256, "stacked_convs": 2,
                "anchor_generator": {
                    "type": "MlvlPointGenerator", "offset": 0, "strides": [8, 16, 32],
                },
                "bbox_coder": {"type": "DistancePointBBoxCoder"},
                "loss_cls": {"type": "QualityFocalLoss", "use_sigmoid": True},
                "loss_bbox": {"type": "GIoULoss"},
                "loss_mask": {"type": "DiceLoss"},
            },
        ),
    }  # fmt: skip
    network = _InOrder()
    for name, (place, kind, options) in parts.items():
        make = getattr(import_module(f"mmdet.models.{place}"), kind)
        network.add_module(name, make(**options, **common))
    return filled(network)


class _InOrder(nn.Sequential):
    """Backbone, neck and head: the network without what decodes its answer."""


class _WithoutOps(MetaPathFinder, Loader):
    """Stands in for mmcv.ops, which mmcv-lite has not and these networks do not call."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        ours = f"{fullname}.".startswith("mmcv.ops.")
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Anything(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (nn.Module,), {})


# ------------------------------------------------------------------ all of them


def _last(answer: Any) -> Tensor:
    return answer[-1] if isinstance(answer, list | tuple) else answer


def _finest(answer: Any) -> Tensor:
    return answer[0][0] if isinstance(answer, list | tuple) else answer


def _scores(answer: Any) -> Tensor:
    """Of all cells of all levels."""
    return torch.cat([level.flatten(1) for level in answer[0]], 1)


_BIREFNET = {
    "ours": our_birefnet, "reference": published_birefnet, "comfyui": comfyui_birefnet,
}  # fmt: skip
KINDS = {
    "swin_l": Kind(1024, _BIREFNET, _last),
    "swin_t": Kind(1024, _BIREFNET, _last),
    "isnet": Kind(
        1024, {"ours": like(published_isnet, "isnet"), "reference": published_isnet}, _finest
    ),
    "rtmdet_l": Kind(
        640, {"ours": like(published_rtmdet, "rtmdet_ins"), "reference": published_rtmdet}, _scores
    ),
}
