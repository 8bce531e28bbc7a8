"""Fine-tune BiRefNet with ToonOut's recipe (arXiv:2509.06839): one loop, one page."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from ...errors import BadInput
from ...host import Host, LocalHost
from ...models.birefnet import ARCHITECTURE
from ..checkpoints import average
from ..config import BiRefNetConfig
from ..data import batches, steps_per_epoch
from ..examples import find_examples
from ..processes import join_processes
from ..run_folder import RunFolder, shown
from .batches import MatteBatches, read_backgrounds
from .losses import PAIR, LossWeights, birefnet_losses
from .network import check_config, configure, set_training, start_network
from .validating import Statistics, validate

PARTS = ("ssim", "mae", "iou", "bce", "gradient")
PUBLISHED_VALIDATION_STEPS = 15
_PANELS = {
    "training loss, and most of it": ("loss", "mae"),
    "its smaller parts": ("ssim", "iou", "bce", "gradient"),
    "validation": ("PA", "BIoU", "BIoU_soft"),
    "validation error": ("MAE",),
}
_SHOWN = ("epoch", "loss", "gradient_norm", "PA", "BIoU_soft", "MAE", "seconds")


def _quality(row: Mapping[str, float]) -> tuple[float, ...]:
    return row["PA"], -row["MAE"]


def learning_rate(config: BiRefNetConfig, epoch: int) -> float:
    """Halved after each milestone that has passed; `epoch` counts from 0."""
    return config.lr * 0.5 ** sum(epoch >= milestone for milestone in config.milestones)


def train_birefnet(config: BiRefNetConfig, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by validation PA.

    Under `torchrun` every process takes its own pictures and gradients are averaged.
    """
    here = join_processes(config.device)
    check_config(config, here.device)
    folder = RunFolder(Path(config.out), ARCHITECTURE.id, _PANELS, _SHOWN, _quality)
    host = host if host is not None and here.first else LocalHost(str(here.device), quiet=True)
    training, validation = (find_examples(Path(config.data), s) for s in ("train", "val"))
    loaded = start_network(config, host)
    colours = Statistics(loaded.input.mean, loaded.input.std)
    averaged = deepcopy(loaded.network).to(here.device) if config.ema_decay else None
    network = configure(loaded.network.to(here.device), config, here.joined)
    optimizer = torch.optim.AdamW(
        network.parameters(), config.lr, config.betas, weight_decay=config.weight_decay
    )
    kept = {"network": network} | ({"averaged": averaged} if averaged is not None else {})
    rows = folder.resume(kept, optimizer)
    backgrounds = read_backgrounds(Path(config.data))
    per_epoch = steps_per_epoch(len(training), config.batch, here.world)
    first, last = len(rows) * per_epoch, config.epochs * per_epoch
    places = {"rank": here.rank, "world": here.world}
    data = MatteBatches(training, backgrounds, config, first=first, last=last, **places)
    if here.first:
        folder.begin(config)

    model = here.share(network)
    weights = LossWeights(config.ssim, config.mae, config.iou, config.bce, config.gradient)
    pictures = config.batch if config.as_published else PAIR
    sums, started = torch.zeros(len(PARTS) + 1, device=here.device), time.monotonic()
    stream = shown(batches(data, config.workers), host, len(data))
    for step, (image, alpha) in enumerate(stream, first):
        epoch = step // per_epoch
        set_training(network, config)
        torch.manual_seed(((config.seed * 1_000_003 + step) << 12) + here.rank)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, epoch)
        with torch.autocast(here.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            output = model(colours.apply(image.to(here.device)))
        parts = birefnet_losses(output, alpha.to(here.device), weights, iou_pictures=pictures)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        if averaged is not None:
            average(averaged, network, min(config.ema_decay, (step + 1) / (step + 10)))
        values = [parts[name].detach() if name in parts else norm.new_zeros(()) for name in PARTS]
        sums += torch.stack((*values, norm))
        if config.as_published and (step + 1) % PUBLISHED_VALIDATION_STEPS == 0:
            leaked = MatteBatches(validation, backgrounds, config, first=0, last=step, **places)
            _leak(network, leaked, colours)

        if (step + 1) % per_epoch == 0:
            means = (here.mean(sums) / per_epoch).tolist()
            sums.zero_()
            row = _row(epoch + 1, learning_rate(config, epoch), means)
            if not math.isfinite(row["loss"]):
                raise BadInput("the loss must stay finite", f"{row['loss']} in epoch {epoch + 1}")
            if here.first:
                result = averaged if averaged is not None else network
                scores, sheet = validate(result, validation, backgrounds, config, colours)
                rows.append(row | scores | {"seconds": round(time.monotonic() - started, 1)})
                folder.record(rows, result, sheet)
                folder.keep(kept, optimizer, rows)
    here.leave()
    return folder.out / "best.safetensors"


@torch.no_grad()
def _leak(network: nn.Module, data: MatteBatches, colours: Statistics) -> None:
    """As published: BatchNorm's running statistics see the validation pictures, augmented."""
    device = next(network.parameters()).device
    for index in range(data.steps_per_epoch):
        image, _ = data[index]
        with torch.autocast(device.type, torch.bfloat16, enabled=data.config.precision == "bf16"):
            network(colours.apply(image.to(device)))


def _row(epoch: int, lr: float, means: Sequence[float]) -> dict[str, float]:
    *parts, norm = means
    named = dict(zip(PARTS, parts, strict=True))
    return {"epoch": epoch, "lr": lr, "loss": sum(parts), **named, "gradient_norm": norm}
