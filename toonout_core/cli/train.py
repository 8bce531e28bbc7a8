"""`toonout train`: the training loops of this package, every field of their records an option."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import BadInput
from ..training.config import UNetConfig
from .fields import Verbs, add_fields, given_fields
from .terminal import say

EXAMPLES = """\
examples:
  toonout train unet --data art --out runs/first --steps 4000
  toonout train unet --data art --out runs/first --steps 8000      goes on where the first ended
  toonout train unet --config runs/first/config.json --out runs/second --lr 1e-4
  torchrun --nproc-per-node 2 -m toonout_core train unet --data art --out runs/two-gpus

DATA holds fg/train, fg/val (cutouts with alpha) and bg (backgrounds); OUT gets config.json,
curve.csv, last.pt (to go on from) and best.safetensors (usable as --model).
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser("train", help="train a network", description="Train a network.")
    networks = parser.add_subparsers(dest="network", metavar="NETWORK", required=True)
    unet = networks.add_parser(
        "unet",
        help="the alpha-reconstruction U-Net (toonout-mini)",
        description="Train the alpha-reconstruction U-Net. A run that is there already goes on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    unet.add_argument("--data", metavar="DIR", default=argparse.SUPPRESS, help="the art")
    unet.add_argument("--out", metavar="DIR", default=argparse.SUPPRESS, help="the run")
    unet.add_argument("--config", metavar="FILE", help="start from the fields of a config.json")
    add_fields(unet, UNetConfig)


def read_fields(arguments: argparse.Namespace) -> UNetConfig:
    """The record that the options and the file say; options win."""
    given = given_fields(arguments, UNetConfig)
    if arguments.config:
        from ..training.config import read_config

        return read_config(Path(arguments.config), **given)
    if missing := {"data", "out"} - set(given):
        raise BadInput(
            "--data and --out must be given", f"no --{' and no --'.join(sorted(missing))}"
        )
    return UNetConfig(**given)


def run(arguments: argparse.Namespace) -> int:
    """Train until the last step."""
    config = read_fields(arguments)
    from ..training.unet import train_unet

    best = train_unet(config)
    say(f"The best weights by validation are {best}.")
    return 0
