"""Two real processes (gloo) against one that is fed both batches."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from gersp_geo import GeRSPTask
from gersp_geo.batch_types import JointBatch
from gersp_geo.distributed import embed_shuffled, gather_rows, has_batch_statistics, take_share

PROCESSES, PAIRS, STEPS, CLASSES, SIDE = 2, 3, 5, 4, 32

CONTEXT = multiprocessing.get_context('forkserver')


def run_in_processes(work: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """Call work(rank, *arguments) in processes that know each other; what each returned."""
    meeting = folder / f'{work.__name__}-{len(list(folder.iterdir()))}'
    started = [
        CONTEXT.Process(target=join_and_work, args=(rank, meeting, work, arguments))
        for rank in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=120)
        process.kill()
    assert [process.exitcode for process in started] == [0] * PROCESSES
    return [torch.load(f'{meeting}-{rank}.pt', weights_only=True) for rank in range(PROCESSES)]


def join_and_work(rank: int, meeting: Path, work: Callable[..., Any], arguments: Any) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=PROCESSES
    )
    torch.save(work(rank, *arguments), f'{meeting}-{rank}.pt')
    distributed.barrier()
    distributed.destroy_process_group()


def make_task(model: str, *, frozen_statistics: bool, **arguments: Any) -> GeRSPTask:
    torch.manual_seed(0)
    task = GeRSPTask(
        model=model,
        hidden_dim=16,
        output_dim=8,
        memory_bank_size=10,  # which 2 x 3 keys do not divide
        num_classes=CLASSES,
        size=SIDE,
        augmentation1=nn.Identity(),
        augmentation2=nn.Identity(),
        augmentation_natural=nn.Identity(),
        **arguments,
    ).double()
    if frozen_statistics:
        for module in task.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    return task


def make_batch(step: int, ranks: list[int]) -> JointBatch:
    """The batches of some ranks at a step, one after the other."""
    images, natural, labels = [], [], []
    for rank in ranks:
        generator = torch.Generator().manual_seed(100 * step + rank)
        shape = (PAIRS, 3, SIDE, SIDE)
        images.append(torch.rand(PAIRS, 6, SIDE, SIDE, generator=generator, dtype=torch.float64))
        natural.append(torch.rand(shape, generator=generator, dtype=torch.float64))
        labels.append(torch.randint(CLASSES, (PAIRS,), generator=generator))
    return {
        'remote_sensing': {'image': torch.cat(images)},
        'natural': {'image': torch.cat(natural), 'label': torch.cat(labels)},
    }


class Step(nn.Module):
    """Lets DistributedDataParallel call the training step, as Lightning does."""

    def __init__(self, task: GeRSPTask) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: JointBatch, step: int) -> Tensor:
        return self.task.training_step(batch, step)


def train(task: GeRSPTask, ranks: list[int]) -> dict[str, Any]:
    model: nn.Module = Step(task)
    device = task.queue.device
    if len(ranks) < PROCESSES:
        model = DistributedDataParallel(model, broadcast_buffers=False)
    parameters = [p for p in task.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(move_data_to_device(make_batch(step, ranks), device), step)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    state = {name: value.cpu() for name, value in task.state_dict().items()}
    return {'loss': torch.stack(losses).cpu(), 'state': state}


def train_one_rank(rank: int, model: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return train(make_task(model, **arguments), [rank])


@pytest.mark.quick('arguments0', 'arguments2')
@pytest.mark.parametrize(
    ('model', 'arguments'),
    [
        ('test_resnet', {'frozen_statistics': True}),
        ('convnext_atto', {'frozen_statistics': False}),
        # no natural images: the head gets no gradient, which must not stop the others
        ('convnext_atto', {'frozen_statistics': False, 'supervised_weight': 0.0}),
    ],
)
def test_two_processes_train_like_one_that_is_fed_both_batches(
    model: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    shares = run_in_processes(train_one_rank, tmp_path, model, arguments)
    alone = train(make_task(model, **arguments), list(range(PROCESSES)))
    mean_loss = torch.stack([share['loss'] for share in shares]).mean(dim=0)
    torch.testing.assert_close(mean_loss, alone['loss'], rtol=1e-9, atol=0)
    for share in shares:
        torch.testing.assert_close(share['state'], alone['state'], rtol=1e-9, atol=1e-9)


def send_buffers_around(rank: int) -> dict[str, Tensor]:
    task = make_task('resnet18', frozen_statistics=True)
    statistics = task.backbone.get_buffer('bn1.running_mean')
    model = DistributedDataParallel(task)
    for buffer in (task.queue, task.queue_ptr, statistics):
        buffer.fill_(rank)
    model(torch.zeros(2, 3, SIDE, SIDE, dtype=torch.float64))
    return {'queue': task.queue, 'queue_ptr': task.queue_ptr, 'statistics': statistics}


@pytest.mark.slow
def test_the_queue_is_not_sent_around_in_every_step(tmp_path: Path) -> None:
    for rank, share in enumerate(run_in_processes(send_buffers_around, tmp_path)):
        assert (share['queue'] == rank).all()
        assert (share['queue_ptr'] == rank).all()
        # other buffers are
        assert (share['statistics'] == 0).all()


def test_other_buffers_are_sent_around(tmp_path: Path) -> None:
    task = make_task('resnet18', frozen_statistics=True)
    store = distributed.FileStore(str(tmp_path / 'store'), 1)  # type: ignore[attr-defined]
    distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        sent = DistributedDataParallel(task).named_module_buffers
    finally:
        distributed.destroy_process_group()
    names = {name for name, _ in task.named_buffers()}
    assert names - sent.keys() == {'queue', 'queue_ptr'}


def mix_batches(rank: int) -> dict[str, Tensor]:
    torch.manual_seed(rank)  # processes that draw apart must still agree on one order
    images = torch.arange(4.0).view(4, 1) + 10 * rank
    seen = []

    def embed(batch: Tensor) -> Tensor:
        seen.append(batch.clone())
        return batch * 2

    keys = embed_shuffled(embed, images)
    return {'images': images, 'seen': seen[0], 'keys': keys, 'own': take_share(keys)}


def test_shuffling_returns_every_key_to_its_process_and_row(tmp_path: Path) -> None:
    shares = run_in_processes(mix_batches, tmp_path)
    everything = torch.cat([share['images'] for share in shares])
    for share in shares:
        assert torch.equal(share['own'], share['images'] * 2)
        assert torch.equal(share['keys'], everything * 2)
        # images of both processes in each batch, and each image in one batch
        assert 0 < (share['seen'] < 10).sum() < 4
    seen = torch.cat([share['seen'] for share in shares])
    assert torch.equal(seen.sort(dim=0).values, everything)


def statistics_of_the_teacher(rank: int) -> dict[str, Tensor]:
    task = make_task('resnet18', frozen_statistics=False)
    torch.manual_seed(7)
    _, key_view = task.two_views(make_batch(0, [rank])['remote_sensing']['image'])
    keys = task.embed_with_teacher(key_view)
    everything = gather_rows(key_view)
    torch.manual_seed(7)
    order = torch.randperm(len(everything))
    shuffled = everything[order].chunk(PROCESSES)
    reference = make_task('resnet18', frozen_statistics=False)
    expected = torch.cat([reference.teacher(batch) for batch in shuffled])[order.argsort()]
    return {'keys': keys, 'expected': expected.detach()}


def test_the_teacher_normalises_by_batches_mixed_from_all_processes(tmp_path: Path) -> None:
    for share in run_in_processes(statistics_of_the_teacher, tmp_path):
        torch.testing.assert_close(share['keys'], share['expected'], rtol=1e-9, atol=1e-12)


def test_one_process_exchanges_nothing() -> None:
    rows = torch.rand(3, 2)
    assert gather_rows(rows) is rows
    assert take_share(rows) is rows


def test_only_the_statistics_of_a_training_batch_call_for_shuffling() -> None:
    resnet, convnext = (timm.create_model(name) for name in ('resnet18', 'convnext_atto'))
    assert has_batch_statistics(resnet)
    assert not has_batch_statistics(convnext)
    assert not has_batch_statistics(nn.SyncBatchNorm.convert_sync_batchnorm(resnet))
    assert not has_batch_statistics(timm.create_model('resnet18').eval())


def train_with_synchronised_statistics(rank: int) -> dict[str, Any]:
    task = make_task('resnet18', frozen_statistics=False).cuda()
    return train(nn.SyncBatchNorm.convert_sync_batchnorm(task), [rank])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='SyncBatchNorm has no CPU kernel')
def test_synchronised_statistics_are_those_of_one_process_with_both_batches(tmp_path: Path) -> None:
    shares = run_in_processes(train_with_synchronised_statistics, tmp_path)
    task = make_task('resnet18', frozen_statistics=False)
    alone = train(task.cuda(), list(range(PROCESSES)))
    mean_loss = torch.stack([share['loss'] for share in shares]).mean(dim=0)
    torch.testing.assert_close(mean_loss, alone['loss'], rtol=1e-6, atol=0)
    for share in shares:
        torch.testing.assert_close(share['state'], alone['state'], rtol=1e-6, atol=1e-6)
