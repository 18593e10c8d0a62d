"""One process or several: who computes which part of a batch, and how their results come together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dfd_train.errors import UserError
from ffpp_prep.text.units import counted

Item = TypeVar("Item")


class Wish(IntEnum):
    """What a process wants to happen after a step; of several processes the greatest counts."""

    GO_ON = 0
    SAVE = 1
    STOP = 2


@dataclass(frozen=True)
class Processes:
    """This process among its peers; alone by default."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Returns this process's part of a batch: pairs side by side stay balanced over the processes."""
        return [item for index in self._indices(len(items), self.rank) for item in items[index : index + 1]]

    def join(self, values: Tensor, total: int, wish: Wish = Wish.GO_ON) -> tuple[Tensor, Wish]:
        """Returns the values of a whole batch of `total` items from every process's share, and what is wished.

        `values` is 1-D on the CPU, in the order of `share`; the result is in the order of the batch.
        """
        if self.count == 1:
            return values, wish
        longest = max(len(self._indices(total, rank)) for rank in range(self.count))
        mine = torch.zeros(longest + 1)
        mine[: len(values)], mine[-1] = values, float(wish)
        gathered = [torch.zeros_like(mine) for _ in range(self.count)]
        dist.all_gather(gathered, mine)
        joined = torch.zeros(total)
        for rank, part in enumerate(gathered):
            indices = self._indices(total, rank)
            joined[indices] = part[: len(indices)]
        return joined, Wish(max(int(part[-1]) for part in gathered))

    def align(self, network: nn.Module) -> None:
        """Gives every process the main process's buffers: on CPUs each one's batch norm has seen its own crops."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def agree(self, value: Item) -> Item:
        """Returns the main process's value, in every process."""
        if self.count == 1:
            return value
        holder: list[Item] = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def _indices(self, total: int, rank: int) -> list[int]:
        """Deals out the pairs (0, 1), (2, 3), … in turn."""
        return [index for index in range(total) if index // 2 % self.count == rank]


def own_processes() -> Processes:
    """Returns this process among those of `torchrun`, as it says in the environment; alone where there is none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    return Processes(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))


def join_processes(processes: Processes, device: torch.device) -> None:
    """Joins the others; nothing to do where there are none.

    Raises: UserError where this machine has more processes than GPUs; RuntimeError where the others cannot be reached.
    """
    if processes.count == 1:
        return
    if device.type == "cuda":
        here = int(os.environ.get("LOCAL_WORLD_SIZE", processes.local_rank + 1))
        gpus = torch.cuda.device_count()
        if here > gpus:
            raise UserError(
                f"torchrun started {counted(here, 'process')} here, of which each takes a GPU, but torch sees {gpus}; "
                f"allowed: --nproc-per-node {gpus}, or --device cpu"
            )
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")


def lost_another(error: RuntimeError) -> bool:
    """Returns whether an error says that another process is gone; gloo has no type of its own for that."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def stop_processes() -> None:
    """Leaves the group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
