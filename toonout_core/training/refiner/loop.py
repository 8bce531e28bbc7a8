"""Train the refiner of masks on scenes of several characters: one loop, one page.

The recipe is that of arXiv:2312.01943, section 4.2, with the supervision of arXiv:2203.03041: first
an encoder learns to describe true masks, then the refiner learns to say and to describe them.
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...host import Host, LocalHost
from ...models.isnet import ARCHITECTURE_REFINER
from ..checkpoints import average
from ..data import batches, steps_per_epoch
from ..instance_config import RefinerConfig
from ..norms import require_cuda, set_mode, share_statistics
from ..processes import join_processes
from ..run_folder import RunFolder, is_due, shown, validated_first
from .batches import CharacterBatches, read_characters
from .losses import feature_loss, side_loss
from .network import check_config, start_network
from .true_mask_encoder import Described, DescribingRefiner, TrueMaskEncoder, in_float
from .validating import SCORES, validate

PARTS: tuple[str, ...] = ("encoder", "maps", "features")
_PANELS = {
    "training loss": ("maps",),
    "distance of features": ("features",),
    "encoder of true masks": ("encoder",),
    "validation": SCORES,
}
_SHOWN = ("epoch", *PARTS, "gradient_norm", "IoU", "BIoU", "seconds")


_quality = partial(validated_first, "IoU", "BIoU")


def learning_rate(config: RefinerConfig, step: int, steps: int) -> float:
    """Constant, or half a cosine down to 1 %."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2)


def train_refiner(config: RefinerConfig, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by validation IoU.

    Under `torchrun` every process takes its own pictures and gradients are averaged.
    """
    here = join_processes(config.device)
    check_config(config)
    if here.joined:
        require_cuda(config.norms, here.device)
    folder = RunFolder(Path(config.out), ARCHITECTURE_REFINER.id, _PANELS, _SHOWN, _quality)
    host = host if host is not None and here.first else LocalHost(str(here.device), quiet=True)
    training = read_characters(Path(config.data), "train")
    validation = read_characters(Path(config.data), "val") if config.validate_every else []
    network = start_network(config, host).to(here.device)
    averaged = deepcopy(network) if config.ema_decay else None
    encoder = TrueMaskEncoder(width=network.conv_in.out_channels).to(here.device)
    kept: dict[str, nn.Module] = {"network": network, "encoder": encoder}
    for part in kept.values():
        share_statistics(part, config.norms, joined=here.joined)
    kept |= {"averaged": averaged} if averaged is not None else {}
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *encoder.parameters()],
        config.lr,
        config.betas,
        weight_decay=config.weight_decay,
    )
    rows = folder.resume(kept, optimizer)
    per_epoch = steps_per_epoch(len(training), config.batch, here.world)
    epochs = config.encoder_epochs + config.epochs
    first, last = len(rows) * per_epoch, epochs * per_epoch
    places = {"rank": here.rank, "world": here.world}
    data = CharacterBatches(training, config, first=first, last=last, **places)
    if here.first:
        folder.begin(config)

    refining, encoding = here.share(DescribingRefiner(network)), here.share(encoder)
    sums, started = torch.zeros(len(PARTS) + 1, device=here.device), time.monotonic()
    stream = shown(batches(data, config.workers), host, len(data))
    for step, (image, mask) in enumerate(stream, first):
        encodes = step // per_epoch < config.encoder_epochs
        rate = learning_rate(config, step, last)
        for group in optimizer.param_groups:
            group["lr"] = rate
        set_mode(network, config.norms)
        encoder.train(False)
        if encodes:
            set_mode(encoder, config.norms)
        image, mask = image.to(here.device), mask.to(here.device)
        with torch.autocast(here.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            described = None if encodes else refining(image)
            with torch.set_grad_enabled(encodes):
                encoded = (
                    (encoding if encodes else encoder)(mask) if config.encoder_epochs else None
                )
        parts = losses(described, encoded, mask, config)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        learning = encoder if encodes else network
        norm = nn.utils.clip_grad_norm_(learning.parameters(), config.clip)
        optimizer.step()
        if averaged is not None and not encodes:
            average(averaged, network, min(config.ema_decay, (step + 1) / (step + 10)))
        absent = norm.new_full((), math.nan)
        sums += torch.stack([*(parts.get(name, absent).detach() for name in PARTS), norm])

        if (step + 1) % per_epoch == 0:
            means: list[float] = (here.mean(sums) / per_epoch).tolist()
            sums.zero_()
            epoch = (step + 1) // per_epoch
            if not all(math.isfinite(means[PARTS.index(name)]) for name in parts):
                raise BadInput("the loss must stay finite", f"{means} in epoch {epoch}")
            if here.first:
                result, sheet = averaged if averaged is not None else network, None
                scores = dict.fromkeys(SCORES, math.nan)
                if not encodes and is_due(config.validate_every, epoch, epochs):
                    scores, sheet = validate(result, validation, config)
                figures = dict(zip((*PARTS, "gradient_norm"), means, strict=True)) | scores
                figures["seconds"] = round(time.monotonic() - started, 1)
                rows.append({"epoch": epoch, "lr": rate} | figures)
                folder.record(rows, result, sheet)
                folder.keep(kept, optimizer, rows)
    here.leave()
    return folder.out / "best.safetensors"


def losses(
    described: Described | None, encoded: Described | None, mask: Tensor, config: RefinerConfig
) -> dict[str, Tensor]:
    """Of the encoder of true masks while nothing is `described`, then of the refiner."""
    if described is None:
        assert encoded is not None
        return {"encoder": side_loss(in_float(encoded)[0], mask, finest_weight=1)}
    logits, features = in_float(described)
    parts = {"maps": side_loss(logits, mask, finest_weight=config.finest)}
    if encoded is not None:
        parts["features"] = config.features * feature_loss(features, in_float(encoded)[1])
    return parts
