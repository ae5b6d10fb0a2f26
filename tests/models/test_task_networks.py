"""Laws of networks without tasks: they are those of torchgeo, or none is built."""

from importlib.metadata import version
from typing import Any

import pytest
import torch
from torchgeo import tasks

from gersp_geo.inference.model.task_bases import is_lightning, is_plain, tasks_of
from gersp_geo.models import task_networks
from gersp_geo.models.task_networks import TaskNetwork, build_network, known_tasks

CASES = [
    ('SemanticSegmentation', {'model': 'unet', 'backbone': 'resnet18', 'num_classes': 3}),
    ('SemanticSegmentation', {'model': 'deeplabv3+', 'backbone': 'resnet18', 'num_classes': 3}),
    ('SemanticSegmentation', {'model': 'upernet', 'backbone': 'resnet18', 'num_classes': 3}),
    ('SemanticSegmentation', {'model': 'segformer', 'backbone': 'mit_b0', 'num_classes': 3}),
    (
        'SemanticSegmentation',
        {'backbone': 'resnet18', 'task': 'multilabel', 'num_labels': 2, 'loss': 'bce'},
    ),
    ('SemanticSegmentation', {'backbone': 'resnet18', 'task': 'binary', 'loss': 'bce'}),
    (
        'SemanticSegmentation',
        {'backbone': 'resnet18', 'num_classes': 2, 'class_weights': [0.2, 0.8]},
    ),
    ('PixelwiseRegression', {'model': 'unet', 'backbone': 'resnet18'}),
    ('PixelwiseRegression', {'model': 'deeplabv3+', 'backbone': 'resnet18'}),
    ('Regression', {'model': 'resnet18', 'num_outputs': 2}),
    ('Classification', {'model': 'resnet18', 'num_classes': 5}),
    ('Classification', {'model': 'vit_tiny_patch16_224', 'num_classes': 5}),
]
QUICK = pytest.mark.quick('case0', 'case10')


@QUICK
@pytest.mark.parametrize('case', CASES, ids=[f'case{i}' for i in range(len(CASES))])
def test_a_network_without_its_task_is_that_of_the_task(case: tuple[str, dict[str, Any]]) -> None:
    name, arguments = case
    torch.manual_seed(0)
    task = getattr(tasks, name)(in_channels=4, **arguments).eval()
    found = build_network(f'torchgeo.tasks.{name}', task.hparams, task.state_dict())
    assert found is not None
    assert tasks_of(task)[: len(tasks_of(found))] == tasks_of(found)
    assert is_lightning(found)
    assert is_plain(found, name)
    assert repr(found.model) == repr(task.model)
    side = 224 if 'vit' in arguments.get('model', '') else 64
    images = torch.rand(2, 4, side, side)
    with torch.inference_mode():
        assert torch.equal(found.eval()(images), task(images))


@pytest.mark.parametrize(
    'named',
    [
        'torchgeo.tasks.MoCo', 'torchgeo.models.SemanticSegmentation', 'SemanticSegmentation',
        'evil.torchgeo.tasks.Classification', 'torchgeo.tasksx.Classification', '', None, 3,
    ],
)  # fmt: skip
def test_what_is_no_such_task_is_left_to_the_task(named: object) -> None:
    assert known_tasks(named) == ()
    assert build_network(named, {}, {}) is None


def test_a_network_of_torchgeo_itself_is_left_to_the_task() -> None:
    hparams = tasks.SemanticSegmentation(model='fcn', num_classes=2).hparams
    assert build_network('torchgeo.tasks.SemanticSegmentation', hparams, {}) is None


def test_a_release_that_was_not_compared_is_left_to_its_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert version('torchgeo') in task_networks._RELEASES  # noqa: SLF001
    monkeypatch.setattr(task_networks, 'version', lambda _: '0.99')
    assert known_tasks('torchgeo.tasks.Classification') == ()


def test_tasks_are_told_from_others_as_isinstance_does() -> None:
    class Own(tasks.Classification):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs)

    own = Own(model='resnet18', num_classes=2)
    assert tasks_of(own)[0] == 'Classification'
    assert tasks_of(Own)[0] == 'Classification'
    assert not is_plain(own, 'Classification')
    assert is_plain(tasks.Classification(model='resnet18', num_classes=2), 'Classification')
    assert tasks_of(torch.nn.Identity()) == tasks_of(len) == ()
    assert not is_lightning(torch.nn.Identity())
    assert not issubclass(TaskNetwork, tasks.BaseTask)
