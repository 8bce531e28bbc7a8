"""The processes that train together, started by `torchrun`; or the only one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..host import Host, LocalHost, choose_device

_PATIENCE = timedelta(hours=2)  # while the first process validates, the others wait
_MOMENT_S = 0.5


@dataclass(frozen=True)
class Processes:
    """One process among those: its device, its number and how many there are."""

    device: torch.device
    rank: int = 0
    world: int = 1
    joined: bool = False  # a group was formed, be it of one

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    @property
    def quiet_host(self) -> Host:
        """Where validation runs."""
        return LocalHost(str(self.device), quiet=True)

    def share(self, network: nn.Module) -> nn.Module:
        """`network`, with gradients averaged over all processes."""
        return DistributedDataParallel(network) if self.joined else network

    def mean(self, values: Tensor) -> Tensor:
        """Of a tensor over all processes."""
        if not self.joined:
            return values
        values = values.clone()
        torch.distributed.all_reduce(values)
        return values / self.world

    def leave(self) -> None:
        """At the end of training, all together.

        Gloo's threads want Python's lock to let go of the last tensors that they averaged, and its
        end waits for them with that lock held: they get a moment without anybody who holds it.
        """
        if self.joined:
            torch.distributed.barrier()
            time.sleep(_MOMENT_S)
            torch.distributed.destroy_process_group()


def join_processes(device: str) -> Processes:
    """Find the others. "cuda" takes one GPU each; `device` as in `choose_device`."""
    chosen = choose_device(device)
    if not torch.distributed.is_torchelastic_launched():
        return Processes(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, timeout=_PATIENCE)
    rank = torch.distributed.get_rank()
    if chosen.type == "cuda":
        chosen = torch.device("cuda", rank % torch.cuda.device_count())
        torch.cuda.set_device(chosen)
    return Processes(chosen, rank, torch.distributed.get_world_size(), joined=True)
