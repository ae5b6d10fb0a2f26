"""Networks of torchgeo's tasks, built without the tasks.

A task imports data sets, augmentations, metrics and Lightning, which takes longer than a small
scene; its network needs none of them.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

from ..lazy import without_collector

# the releases whose tasks build their networks as is done here; a test compares
_RELEASES = ('0.10.1',)

# task of torchgeo to it and its bases
_TASKS = {
    'Classification': ('Classification',),
    'PixelwiseRegression': ('PixelwiseRegression', 'Regression'),
    'Regression': ('Regression',),
    'SemanticSegmentation': ('SemanticSegmentation',),
}

# what torchgeo calls networks of segmentation_models_pytorch
_PIXEL_NETWORKS = {
    'deeplabv3+': 'DeepLabV3Plus',
    'dpt': 'DPT',
    'segformer': 'Segformer',
    'unet': 'Unet',
    'upernet': 'UPerNet',
}

# weights of classes, which losses keep beside the network
_OF_LOSSES = ('criterion.weight', 'criterion.pos_weight')


class TaskNetwork(nn.Module):
    """The network of a task of torchgeo, under the names that its tensors have there."""

    def __init__(self, model: nn.Module, *, task: str, hparams: Mapping[str, Any]) -> None:
        """Take the network.

        Args:
            model: From images (B, C, H, W) to logits or values.
            task: Name of the class of the task.
            hparams: Its arguments.
        """
        super().__init__()
        self.model = model
        self.tasks = _TASKS[task]
        self.hparams = dict(hparams)

    def forward(self, images: Tensor) -> Tensor:
        """Run the network, as the task does."""
        scores: Tensor = self.model(images)
        return scores


def known_tasks(named: object) -> tuple[str, ...]:
    """List the name of a task of torchgeo and those of its bases, and import nothing.

    Args:
        named: Import path of a class, or anything else.

    Returns:
        The names; none if it is no task that can be built here.
    """
    package, _, name = named.rpartition('.') if isinstance(named, str) else ('', '', '')
    is_torchgeo = package == 'torchgeo.tasks' or package.startswith('torchgeo.tasks.')
    return _TASKS.get(name, ()) if is_torchgeo and version('torchgeo') in _RELEASES else ()


def build_network(
    named: object, hparams: Mapping[str, Any], state_dict: Mapping[str, Tensor]
) -> TaskNetwork | None:
    """Build the network of a task and fill it.

    Args:
        named: Import path of the task.
        hparams: Arguments of the task, those that were left out included.
        state_dict: Of the task.

    Returns:
        The network; None if only the task itself knows how it is built. Whatever does not fit
        raises an error of the library that finds it.
    """
    tasks = known_tasks(named)
    if not tasks:
        return None
    with without_collector():
        network = _build(tasks[0], hparams)
    if network is None:
        return None
    filled = TaskNetwork(network, task=tasks[0], hparams=hparams)
    tensors = {name: each for name, each in state_dict.items() if name not in _OF_LOSSES}
    filled.load_state_dict(tensors, strict=True)
    return filled


def _build(task: str, hparams: Mapping[str, Any]) -> nn.Module | None:
    """Build what ``configure_models`` of a task does, with random weights."""
    name, channels = hparams['model'], hparams['in_channels']
    if task in ('Classification', 'Regression'):
        import timm

        count = hparams['num_outputs'] if task == 'Regression' else _count_classes(hparams)
        # other names would make timm read a folder or a server
        is_known = isinstance(name, str) and timm.is_model(name)
        return timm.create_model(name, num_classes=count, in_chans=channels) if is_known else None
    if name not in _PIXEL_NETWORKS:
        return None
    import segmentation_models_pytorch as smp

    network: nn.Module = getattr(smp, _PIXEL_NETWORKS[name])(
        encoder_name=hparams['backbone'],
        encoder_weights=None,
        in_channels=channels,
        classes=1 if task == 'PixelwiseRegression' else _count_classes(hparams),
    )
    return network


def _count_classes(hparams: Mapping[str, Any]) -> int:
    """Count the logits of a task; one means two classes."""
    return hparams['num_classes'] or hparams['num_labels'] or 1
