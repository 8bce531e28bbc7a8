"""Train the head that tells characters apart, on the frozen features of a matting network."""

from __future__ import annotations

import math
import time
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn

from ...errors import BadInput
from ...host import Host, LocalHost
from ...models.lite_unet import ARCHITECTURE
from ...models.lite_unet.characters import CharacterHead
from ...weight_files.reading import CONFIG_KEY
from ..checkpoints import average
from ..data import batches, normalise, steps_per_epoch
from ..instance_config import CharactersConfig
from ..labelled_scenes import read_scenes
from ..norms import require_cuda, set_mode, share_statistics
from ..processes import join_processes
from ..rtmdet.network import parameter_groups
from ..rtmdet.validating import SCORES, require_metrics
from ..run_folder import RunFolder, is_due, shown, validated_first
from .batches import CharacterScenes
from .losses import PARTS, centre_losses, centre_truth
from .network import check_config, start_network, with_head
from .validating import validate

_PANELS = {"training loss": PARTS, "validation AP": SCORES, "gradient norm": ("gradient_norm",)}
_SHOWN = ("epoch", *PARTS, "gradient_norm", "mask_AP", "box_AP", "seconds")
_LAST_RATE = 0.02  # of the highest, after the last step


def learning_rate(config: CharactersConfig, step: int, steps: int) -> float:
    """Warm-up in a line, then half a cosine down to 2 %."""
    warm = min(1.0, (step + 1) / max(min(config.warmup_steps, steps // 10), 1))
    done = min(step / max(steps, 1), 1.0)
    return config.lr * warm * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2)


def train_characters(config: CharactersConfig, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by mask AP.

    The weights hold the matting network too, as it was. Under `torchrun` every process takes its
    own pictures and gradients are averaged.
    """
    here = join_processes(config.device)
    check_config(config)
    require_metrics(config.validate_every)
    if here.joined:
        require_cuda(config.norms, here.device)
    notes: dict[str, str] = {}
    quality = partial(validated_first, "mask_AP", "box_AP")
    folder = RunFolder(Path(config.out), ARCHITECTURE.id, _PANELS, _SHOWN, quality, notes)
    plain = LocalHost(str(here.device), quiet=True)
    host = host if host is not None and here.first else plain
    training = read_scenes(Path(config.data), "train")
    validation = read_scenes(Path(config.data), "val") if config.validate_every else []
    network = start_network(config, host).to(here.device)
    head = cast("CharacterHead", network.characters)
    averaged = deepcopy(head).requires_grad_(False)
    share_statistics(head, config.norms, joined=here.joined)
    optimizer = torch.optim.AdamW(
        parameter_groups(head, config.weight_decay), config.lr, config.betas
    )
    kept: dict[str, nn.Module] = {"head": head, "averaged": averaged}
    rows = folder.resume(kept, optimizer)
    per_epoch = steps_per_epoch(len(training), config.batch, here.world)
    first, last = len(rows) * per_epoch, config.epochs * per_epoch
    places = {"rank": here.rank, "world": here.world}
    data = CharacterScenes(training, config, first=first, last=last, **places)
    if here.first:
        folder.begin(config)

    model = here.share(head)
    weights = {"heat": config.heat, "way": config.way, "size": config.size}
    sums, started = torch.zeros(len(PARTS) + 1, device=here.device), time.monotonic()
    stream = shown(batches(data, config.workers), host, len(data))
    for step, (image, owners) in enumerate(stream, first):
        network.train(False)
        set_mode(head, config.norms)
        rate = learning_rate(config, step, last)
        for group in optimizer.param_groups:
            group["lr"] = rate
        image = normalise(image.to(here.device), ARCHITECTURE.input.mean, ARCHITECTURE.input.std)
        with torch.autocast(here.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            with torch.no_grad():
                encoded, decoded = network.deep_features(image)
            found = model(encoded, decoded)
        parts = centre_losses(found, centre_truth(owners.to(here.device)), weights)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(head.parameters(), config.clip)
        optimizer.step()
        average(averaged, head, min(config.ema_decay, (step + 1) / (step + 10)))
        sums += torch.stack([*(parts[name].detach() for name in PARTS), norm])

        if (step + 1) % per_epoch == 0:
            means: list[float] = (here.mean(sums) / per_epoch).tolist()
            sums.zero_()
            epoch = (step + 1) // per_epoch
            if not all(math.isfinite(mean) for mean in means):
                raise BadInput("the loss must stay finite", f"{means} in epoch {epoch}")
            if here.first:
                result, sheet = with_head(network, averaged), None
                scores = dict.fromkeys(SCORES, math.nan)
                if is_due(config.validate_every, epoch, config.epochs):
                    scores, sheet = validate(result, validation, plain, config.samples)
                certainty = cast("CharacterHead", result.characters).certainty
                notes[CONFIG_KEY] = certainty.write()
                figures = dict(zip((*PARTS, "gradient_norm"), means, strict=True)) | scores
                figures["seconds"] = round(time.monotonic() - started, 1)
                rows.append({"epoch": epoch, "lr": rate} | figures)
                folder.record(rows, result, sheet)
                folder.keep(kept, optimizer, rows)
    here.leave()
    return folder.out / "best.safetensors"
