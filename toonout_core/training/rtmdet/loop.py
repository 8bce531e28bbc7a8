"""Train RTMDet-Ins on scenes of several characters: one loop, one page.

The recipe is that of arXiv:2312.01943, section 4.2, and of RTMDet, arXiv:2212.07784.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import BadInput
from ...host import Host, LocalHost
from ...models.rtmdet_ins import ARCHITECTURE
from ...weight_files.reading import CONFIG_KEY
from ..checkpoints import average
from ..data import batches, normalise, steps_per_epoch
from ..instance_config import RTMDetConfig
from ..labelled_scenes import read_scenes
from ..norms import require_cuda, set_mode, share_statistics
from ..processes import join_processes
from ..run_folder import RunFolder, is_due, shown, validated_first
from .batches import SceneBatches
from .losses import InstanceLossWeights, instance_losses
from .network import check_config, configuration_text, parameter_groups, start_network
from .validating import SCORES, require_metrics, validate

PARTS = ("score", "box", "mask")
_PANELS = {
    "training loss": ("loss",),
    "its parts": PARTS,
    "validation AP": SCORES,
    "gradient norm": ("gradient_norm",),
}
_SHOWN = ("epoch", "loss", "gradient_norm", "mask_AP", "box_AP", "seconds")
_LAST_RATE = 0.05  # of the highest, after the last step


_quality = partial(validated_first, "mask_AP", "box_AP")


def learning_rate(config: RTMDetConfig, step: int, steps: int, pictures: int) -> float:
    """Warm-up in a line, constant to the middle of `steps`, then half a cosine down to 5 %.

    In proportion to the `pictures` of a step.
    """
    highest = config.lr * (pictures / config.lr_pictures if config.lr_pictures else 1.0)
    warm = min(1.0, (step + 1) / max(min(config.warmup_steps, steps // 10), 1))
    late = min(max(2 * step / steps - 1, 0.0), 1.0)
    return highest * warm * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * late)) / 2)


def ema_decay(config: RTMDetConfig, step: int) -> float:
    """Rises from 0 to the one asked for."""
    return config.ema_decay * (1 - math.exp(-(step + 1) / max(config.ema_steps, 1)))


def train_rtmdet(config: RTMDetConfig, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by mask AP.

    Under `torchrun` every process takes its own pictures and gradients are averaged.
    """
    here = join_processes(config.device)
    check_config(config)
    require_metrics(config.validate_every)
    if here.joined:
        require_cuda(config.norms, here.device)
    notes = {CONFIG_KEY: configuration_text(config.size_px)}
    folder = RunFolder(Path(config.out), ARCHITECTURE.id, _PANELS, _SHOWN, _quality, notes)
    plain = LocalHost(str(here.device), quiet=True)
    host = host if host is not None and here.first else plain
    training = read_scenes(Path(config.data), "train")
    validation = read_scenes(Path(config.data), "val") if config.validate_every else []
    network = start_network(config, host).to(here.device)
    averaged = deepcopy(network) if config.ema_decay else None
    network = share_statistics(network, config.norms, joined=here.joined)
    optimizer = torch.optim.AdamW(
        parameter_groups(network, config.weight_decay), config.lr, config.betas
    )
    kept = {"network": network} | ({"averaged": averaged} if averaged is not None else {})
    rows = folder.resume(kept, optimizer)
    per_epoch = steps_per_epoch(len(training), config.batch, here.world)
    first, last = len(rows) * per_epoch, config.epochs * per_epoch
    places = {"rank": here.rank, "world": here.world}
    data = SceneBatches(training, config, first=first, last=last, **places)
    if here.first:
        folder.begin(config)

    model = here.share(network)
    weights = InstanceLossWeights(config.score, config.box, config.mask, config.mask_stride)
    sums, started = torch.zeros(len(PARTS) + 1, device=here.device), time.monotonic()
    stream = shown(batches(data, config.workers), host, len(data))
    for step, (image, truths) in enumerate(stream, first):
        set_mode(network, config.norms)
        rate = learning_rate(config, step, last, config.batch * here.world)
        for group in optimizer.param_groups:
            group["lr"] = rate
        image = normalise(image.to(here.device), ARCHITECTURE.input.mean, ARCHITECTURE.input.std)
        with torch.autocast(here.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            raw = model(image)
        truths = [truth.to(here.device) for truth in truths]
        parts = instance_losses(raw, truths, weights, here.mean)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        if averaged is not None:
            average(averaged, network, ema_decay(config, step))
        sums += torch.stack([*(parts[name].detach() for name in PARTS), norm])

        if (step + 1) % per_epoch == 0:
            row = _row((step + 1) // per_epoch, rate, (here.mean(sums) / per_epoch).tolist())
            sums.zero_()
            if not math.isfinite(row["loss"]):
                at = f"{row['loss']} in epoch {row['epoch']}"
                raise BadInput("the loss must stay finite", at, "Try a lower --lr.")
            if here.first:
                result, sheet = averaged if averaged is not None else network, None
                scores = dict.fromkeys(SCORES, math.nan)
                if is_due(config.validate_every, int(row["epoch"]), config.epochs):
                    scores, sheet = validate(
                        result, validation, plain, side_px=config.size_px, samples=config.samples
                    )
                rows.append(row | scores | {"seconds": round(time.monotonic() - started, 1)})
                folder.record(rows, result, sheet)
                folder.keep(kept, optimizer, rows)
    here.leave()
    return folder.out / "best.safetensors"


def _row(epoch: int, lr: float, means: Sequence[float]) -> dict[str, Any]:
    *parts, norm = means
    named = dict(zip(PARTS, parts, strict=True))
    return {"epoch": epoch, "lr": lr, "loss": sum(parts), **named, "gradient_norm": norm}
