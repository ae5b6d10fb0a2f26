"""Exchange between training processes; with one process, nothing is exchanged."""

import os
from collections.abc import Callable, MutableMapping

import torch
from torch import Tensor, distributed, nn
from torch.distributed.elastic.rendezvous import RendezvousStoreInfo


def process_count() -> int:
    """Number of training processes; 1 without ``torch.distributed``."""
    is_running = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_running else 1


def meet_anew(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let processes that torchrun has restarted find each other, and not those of before.

    torch 2.15 keeps the addresses of processes in the store of torchrun, which lives on, under
    names that are the same in every attempt: some processes would wait for dead ones. Each attempt
    gets a store of its own, in its first process, as torchrun makes it where it does not share its
    own (``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1``).

    Args:
        environment: Variables of torchrun; the place of the new store is put there.
    """
    attempt = environment.get('TORCHELASTIC_RESTART_COUNT', '0')
    if attempt == '0' or environment.get('TORCHELASTIC_USE_AGENT_STORE') != 'True':
        return
    host, port = environment['MASTER_ADDR'], int(environment['MASTER_PORT'])
    shared = distributed.TCPStore(host, port, is_master=False)  # type: ignore[attr-defined]
    mine = distributed.PrefixStore(f'gersp-geo/{attempt}', shared)  # type: ignore[attr-defined]
    place = RendezvousStoreInfo.build(int(environment['RANK']), mine, local_addr=host)
    environment['MASTER_PORT'] = str(place.master_port)
    environment['TORCHELASTIC_USE_AGENT_STORE'] = 'False'


def gather_rows(rows: Tensor) -> Tensor:
    """Collect the rows of all processes, in their order, without gradients.

    Every process has as many, (B, ...) of (processes * B, ...). With one it is *rows* itself.
    """
    if process_count() == 1:
        return rows
    gathered = [
        torch.empty_like(rows, memory_format=torch.contiguous_format)
        for _ in range(process_count())
    ]
    distributed.all_gather(gathered, rows.contiguous())
    return torch.cat(gathered)


def share_first(values: Tensor) -> None:
    """Overwrite *values* by those of the first process, in place."""
    if process_count() > 1:
        distributed.broadcast(values, src=0)


def take_share(rows: Tensor) -> Tensor:
    """Pick the part of rows of all processes, in their order, that belongs to this one.

    With one process it is *rows* itself.
    """
    if process_count() == 1:
        return rows
    return rows.chunk(process_count())[distributed.get_rank()]


def embed_shuffled(embed: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Embed the images of all processes, each in a batch drawn from all of them.

    Shuffling BN of MoCo (section 3.3 of https://arxiv.org/abs/1911.05722): batch statistics are
    those of images that query and key do not share, so that they do not give the pair away.

    Args:
        embed: From images (B, C, H, W) to embeddings (B, D).
        images: Those of this process, shape (B, C, H, W), B the same in every process.

    Returns:
        Embeddings of the images of all processes in their own order, shape (processes * B, D).
    """
    everything = gather_rows(images)
    order = torch.randperm(len(everything), device=images.device)
    share_first(order)
    shuffled = gather_rows(embed(everything[take_share(order)]))
    return shuffled[order.argsort()]


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether a forward pass normalises by the statistics of its own process's batch.

    SyncBatchNorm does not count: its statistics are those of all processes.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(child, kinds) and child.training for child in module.modules())
