"""Train a small network that predicts alpha: one loop, one page."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict
from math import cos, pi
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ToonOutError
from ..evaluation.alpha_metrics import AlphaScores, mean_scores, score_alpha
from ..evaluation.composites import KINDS, Kind, composites
from ..models import Architecture
from ..synthesis.cutouts import Library, read_library
from .checkpoints import average, other_run, save_weights
from .config import UNetConfig, read_shares
from .data import CompositeBatches, batches, normalise
from .losses import weighted_sum
from .processes import join_processes
from .small_networks import parameter_groups, set_training, start_network

log = logging.getLogger("toonout")


def learning_rate(config: UNetConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to 1 % of `lr`."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.schedule == "constant":
        return config.lr * warm
    done = min(1.0, step / max(config.steps, 1))
    return config.lr * warm * (0.01 + 0.99 * (1 + cos(pi * done)) / 2)


@torch.inference_mode()
def validate(
    network: nn.Module, architecture: Architecture, library: Library, size_px: int
) -> dict[Kind, AlphaScores]:
    """Scores on the fixed composites of a split, network at the composites' own size."""
    device = next(network.parameters()).device
    network.train(False)
    result: dict[Kind, AlphaScores] = {}
    for kind in KINDS:
        scores: list[AlphaScores] = []
        for item in composites(library, kind, size_px, per_figure=1):
            image = normalise(
                item.image.to(device), architecture.input.mean, architecture.input.std
            )
            scores.append(score_alpha(network(image).sigmoid().cpu(), item.alpha))
        result[kind] = mean_scores(scores)
    return result


def train_unet(config: UNetConfig) -> Path:
    """Train, resume if `config.out` holds a run, and return the best weights by validation IoU.

    Under `torchrun` every process takes its own batches and gradients are averaged.
    """
    here = join_processes(config.device)
    device = here.device
    torch.manual_seed(config.seed)

    further = [Path(folder) for folder in config.more_data]
    longest_px = max(640, *config.sizes_px)
    training = read_library(Path(config.data), "train", longest_px, more=further)
    validation = {"": read_library(Path(config.data), "val")}
    for folder in further:
        if (folder / "fg" / "val").is_dir():  # before the same scenes as the others
            figures = read_library(folder, "val").cutouts
            validation[f"{folder.name}_"] = Library(figures, validation[""].backgrounds)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    network, architecture = start_network(config)
    network = network.to(device).to(memory_format=torch.channels_last)
    averaged = deepcopy(network)
    optimizer = torch.optim.AdamW(parameter_groups(network, config), config.lr, config.betas)
    first, best = _resume(out, network, averaged, optimizer, device)
    if here.first:
        config.write(out / "config.json")

    data = CompositeBatches(
        training,
        config.sizes_px,
        config.batch,
        config.flat_share,
        config.seed * here.world + here.rank,
        first,
        config.steps,
        even_pixels=config.even_pixels,
        hard_share=config.hard_share,
        style_shares=read_shares(config.style_shares),
    )
    model = here.share(network)
    weights = {name: getattr(config, name) for name in ("mse", "edge_l1", "bce", "iou", "solid")}
    started, running = time.monotonic(), 0.0
    stream: Iterator[tuple[Tensor, Tensor]] = batches(data, config.workers)
    for step, (image, alpha) in enumerate(stream, first):
        set_training(model)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step) * group["rate"]
        image = normalise(
            image.to(device), architecture.input.mean, architecture.input.std
        ).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            logits = model(image)
        loss = weighted_sum(logits.float(), alpha.to(device), weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average(averaged, network, min(config.ema_decay, (step + 1) / (step + 10)))
        running = (
            float(loss.detach()) if step == first else 0.98 * running + 0.02 * float(loss.detach())
        )

        done = step + 1
        if here.first and (done % config.validate_every == 0 or done == config.steps):
            scores = {
                start: validate(
                    averaged, architecture, art, config.validate_px or max(config.sizes_px)
                )
                for start, art in validation.items()
            }
            seconds = time.monotonic() - started
            _record(out, done, running, seconds, scores)
            quality = sum(score.iou for score in scores[""].values())
            save_weights(averaged, out / "last.safetensors", architecture.id)
            if quality > best:
                best = quality
                save_weights(averaged, out / "best.safetensors", architecture.id)
        if here.first and (done % config.checkpoint_every == 0 or done == config.steps):
            _checkpoint(out, done, best, network, averaged, optimizer)
    here.leave()
    return out / "best.safetensors"


def _record(
    out: Path,
    step: int,
    loss: float,
    seconds: float,
    scores: Mapping[str, Mapping[Kind, AlphaScores]],
) -> None:
    row: dict[str, Any] = {"step": step, "loss": round(loss, 5), "seconds": round(seconds, 1)}
    for start, kinds in scores.items():
        for kind, score in kinds.items():
            row |= {f"{start}{kind}_{name}": round(v, 5) for name, v in asdict(score).items()}
    path = out / "curve.csv"
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    log.info("%s", ", ".join(f"{name} {value:.5g}" for name, value in row.items()))


def _checkpoint(
    out: Path,
    step: int,
    best: float,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    state = {
        "step": step,
        "best": best,
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    partial = out / "last.partial"
    try:
        torch.save(state, partial)
        partial.replace(out / "last.pt")
    except (OSError, RuntimeError) as error:  # RuntimeError: the disk is full
        partial.unlink(missing_ok=True)
        reason = str(error).splitlines()[0]
        raise ToonOutError(
            f"{out / 'last.pt'} must be writable and have room left, but: {reason}."
        ) from error


def _resume(
    out: Path,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> tuple[int, float]:
    path = out / "last.pt"
    if not path.is_file():
        return 0, -1.0
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, UnpicklingError, KeyError, ValueError) as error:
        raise other_run(path) from error
    log.info("resumed at step %d", state["step"])
    return int(state["step"]), float(state["best"])
