"""`toonout train`: the training loops of this package, every field of their records an option."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..options import data_sets
from ..training.config import BiRefNetConfig, DetailConfig, UNetConfig
from ..training.instance_config import CharactersConfig, RefinerConfig, RTMDetConfig
from .fields import add_fields, given_fields
from .parsing import Verbs, add
from .terminal import say

EXAMPLES = """\
examples:
  toonout train unet --data art --out runs/first --steps 4000
  toonout train unet --data art --out runs/first --steps 8000      goes on where the first ended
  toonout train unet --config runs/first/config.json --out runs/second --lr 1e-4
  toonout train unet --data art --out runs/mini --arch lite-unet --encoder-weights lite0.pth \
--betas 0.9 0.999 --weight-decay 0.01 --hard-share 0.4
  torchrun --nproc-per-node 2 -m toonout_core train unet --data art --out runs/two-gpus

DATA holds fg/train, fg/val (cutouts with alpha) and bg (backgrounds); OUT gets config.json,
curve.csv and curve.png, last.safetensors and best.safetensors (usable as --model), and
state.safetensors (to go on from).
"""

BIREFNET_EXAMPLES = """\
examples:
  toonout train birefnet --data mine --init toonout --out runs/mine
  toonout train birefnet --data mine --init toonout --out runs/mine --epochs 60      goes on
  toonout train birefnet --data mine --init toonout --out runs/small --checkpointing --norms kept \
--batch 1
  torchrun --nproc-per-node 2 -m toonout_core train birefnet --data mine --init toonout --out runs/2

DATA holds train and val (or validation): folders im and gt with pictures and their mattes, or
cutouts with transparency, which are laid on plain colours and on the pictures in DATA/bg. `toonout
dataset` makes and checks it. OUT gets config.json, curve.csv and curve.png, samples/,
last.safetensors and best.safetensors (usable as --model), and state.safetensors (to go on from).
"""

_SCENES = """
DATA holds instances_train.json, instances_val.json (COCO) and the pictures that they name: what
`toonout synthesize scenes` writes. OUT gets config.json, curve.csv and curve.png, samples/,
last.safetensors and best.safetensors, and state.safetensors (to go on from).
"""

RTMDET_EXAMPLES = (
    """\
examples:
  toonout synthesize scenes --data art -o set --count 5000
  toonout synthesize scenes --data art -o set --count 300 --split val --seed 1
  toonout train rtmdet --data set --init anime-instances --out runs/mine --batch 4 --epochs 20
  toonout train rtmdet --data set --out runs/small --width 0.5 --depth 0.33     from scratch
  torchrun --nproc-per-node 4 -m toonout_core train rtmdet --data set --out runs/four
  toonout instances drawings -o characters --detector runs/mine/best.safetensors
"""
    + _SCENES
)

REFINER_EXAMPLES = (
    """\
examples:
  toonout train refiner --data set --init anime-refiner --out runs/fine --lr 1e-4 --epochs 10
  toonout train refiner --data set --out runs/new                               from scratch
  torchrun --nproc-per-node 2 -m toonout_core train refiner --data set --out runs/two
  toonout instances drawings -o characters --refiner runs/fine/best.safetensors
"""
    + _SCENES
)

CHARACTERS_EXAMPLES = (
    """\
examples:
  toonout synthesize scenes --data art -o set --count 6000 --size 640 --single-share 0.27 \
--empty-share 0.03 --close-share 0.3 --attach-share 0.3 --flat-share 0.2 --least-visible 0.15
  toonout train characters --data set --init toonout-mini --out runs/who --epochs 4
  toonout weights convert runs/who/best.safetensors -o mini.safetensors --dtype fp16
  toonout instances drawings -o characters --detector mini.safetensors

The network's alpha stays as it is, bit by bit: only the head learns, on frozen features.
"""
    + _SCENES
)

DETAIL_EXAMPLES = """\
examples:
  toonout train detail --data art --init toonout-mini --out runs/edges
  toonout weights convert runs/edges/best.safetensors -o mini.safetensors --dtype fp16

The head learns from large pictures and from mattes of the same pictures made smaller. The network's
alpha stays as it is, bit by bit: only the head learns, on frozen features. DATA is as for `toonout
train unet`; only cutouts longer than --sizes-px show it sharp edges. OUT gets config.json,
curve.csv and curve.png, last.safetensors and best.safetensors, and state.safetensors (to go on
from).
"""

RECORDS: dict[str, type[Any]] = {
    "unet": UNetConfig,
    "birefnet": BiRefNetConfig,
    "rtmdet": RTMDetConfig,
    "refiner": RefinerConfig,
    "characters": CharactersConfig,
    "detail": DetailConfig,
}


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser("train", help="train a network", description="Train a network.")
    networks = parser.add_verbs("network")
    _add_network(
        networks,
        "unet",
        "a small network that predicts alpha (toonout-mini)",
        "Train the alpha-reconstruction U-Net, or the network of the built-in model. A run that is "
        "there already goes on.",
        EXAMPLES,
    )
    _add_network(
        networks,
        "birefnet",
        "fine-tune ToonOut or another BiRefNet",
        "Fine-tune BiRefNet by ToonOut's recipe. A run that is there already goes on after its "
        "last whole epoch.",
        BIREFNET_EXAMPLES,
    )
    _add_network(
        networks,
        "rtmdet",
        "RTMDet-Ins, which finds characters",
        "Train RTMDet-Ins on scenes of several characters. A run that is there already goes on "
        "after its last whole epoch.",
        RTMDET_EXAMPLES,
    )
    _add_network(
        networks,
        "refiner",
        "the IS-Net that refines characters' masks",
        "Train the refiner of masks on scenes of several characters. A run that is there already "
        "goes on after its last whole epoch.",
        REFINER_EXAMPLES,
    )
    _add_network(
        networks,
        "characters",
        "the head of toonout-mini that tells characters apart",
        "Train the head that tells characters apart, on the features of a matting network such as "
        "toonout-mini. A run that is there already goes on after its last whole epoch.",
        CHARACTERS_EXAMPLES,
    )
    _add_network(
        networks,
        "detail",
        "the head of toonout-mini that draws the edges of large pictures",
        "Train the head that draws the edges of coarse mattes anew, on the features of a matting "
        "network such as toonout-mini. A run that is there already goes on.",
        DETAIL_EXAMPLES,
    )


def _add_network(networks: Verbs, name: str, what: str, description: str, examples: str) -> None:
    parser = networks.add_parser(
        name,
        help=what,
        description=description,
        epilog=examples,
    )
    add(parser, data_sets.PICTURES, data_sets.RUN, data_sets.CONFIG)
    add_fields(parser, RECORDS[name])


def read_fields(arguments: argparse.Namespace) -> Any:
    """The record that the options and the file say; options win."""
    record = RECORDS[arguments.network]
    given = given_fields(arguments, record)
    given = {name: value for name, value in given.items() if value is not None}
    if arguments.config:
        from ..training.config import read_record

        return read_record(Path(arguments.config), record, **given)
    if missing := {"data", "out"} - set(given):
        raise BadInput(
            "--data and --out must be given", f"no --{' and no --'.join(sorted(missing))}"
        )
    return record(**given)


def run(arguments: argparse.Namespace) -> int:
    """Train until the last step."""
    best = _train(arguments.network, read_fields(arguments))
    say(f"The best weights by validation are {best}.")
    return 0


def _train(network: str, config: Any) -> Path:
    from ..host import LocalHost
    from ..training.birefnet.loop import train_birefnet
    from ..training.characters.loop import train_characters
    from ..training.detail.loop import train_detail
    from ..training.refiner.loop import train_refiner
    from ..training.rtmdet.loop import train_rtmdet
    from ..training.unet.loop import train_unet

    loops: dict[str, Callable[[Any, Any], Path]] = {
        "unet": train_unet,
        "birefnet": train_birefnet,
        "rtmdet": train_rtmdet,
        "refiner": train_refiner,
        "characters": train_characters,
        "detail": train_detail,
    }
    return loops[network](config, LocalHost(config.device, quiet=not sys.stderr.isatty()))
