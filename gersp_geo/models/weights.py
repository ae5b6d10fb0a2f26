"""The published GeRSP weights, as torchgeo expects weights to be.

This is the only file that touches torchvision's ``WeightsEnum`` and torchgeo's registry of models:
both are private and may change upstream.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, SupportsIndex
from warnings import warn

from torch import Tensor
from torchgeo.models import api, get_weight
from torchvision.models import ResNet50_Weights
from torchvision.models._api import Weights, WeightsEnum

from ..bands import RGB
from .architectures import architecture
from .backbone_weights import read_checkpoint
from .backbones import gersp_resnet50
from .downloads import download_from_drive, find_file, refuse_changed, remember_checksum

# tasks take the type of weights from here, and what finds weights by name, once ours have one
__all__ = ('GeRSP_Weights', 'WeightsEnum', 'gersp_resnet50', 'get_weight', 'register')

_META = {
    'model': 'resnet50',
    'in_chans': 3,
    'bands': list(RGB.bands),
    'scale': [RGB.scale] * 3,
    'mean': list(RGB.mean),
    'std': list(RGB.std),
    'size': 224,
    'dataset': 'ImageNet-1K (labelled) and Million-AID (unlabelled)',
    'publication': 'https://arxiv.org/abs/2401.04614',
    'repo': 'https://github.com/floatingstarZ/GeRSP',
    'license': 'unknown: the authors state none',
}
_DRIVE = 'https://drive.google.com/uc?id='

# Resize, crop and normalise as every ImageNet network; built on use, and picklable.
_TRANSFORMS = ResNet50_Weights.IMAGENET1K_V1.transforms


class GeRSP_Weights(WeightsEnum):
    """ResNet-50 pre-trained with GeRSP by its authors.

    The file is looked for in the folder that the environment variable GERSP_WEIGHTS_DIR names,
    then in torch hub's folder ``checkpoints``, under the names in ``meta['files']``; the authors'
    raw and converted checkpoints will do. If it is not there, it is downloaded from their Google
    Drive (extra ``drive``). The authors publish no checksum: that of the first file used is
    remembered beside it, and a file that changes later is refused.

    ``meta['results']`` are the paper's figures: top-1 accuracy in % on EuroSAT and RESISC45, AP50
    in % on DIOR and DOTA, mean IoU in % on LoveDA.
    """

    RESNET50 = Weights(
        url=f'{_DRIVE}1IQ6wHL5MiPZt9_cecRd8gkFNsf-0snIH',
        transforms=_TRANSFORMS,
        meta={
            **_META,
            'epochs': 100,
            'files': ['GeRSP.pth', 'CVT_epoch_100.pth', 'GeRSP.safetensors'],
            'results': {
                'EuroSAT': 97.87,
                'RESISC45': 92.67,
                'DIOR Faster R-CNN': 67.1,
                'DIOR RetinaNet': 67.5,
                'DIOR DyHead': 71.2,
                'DOTA Faster R-CNN': 65.9,
                'DOTA RetinaNet': 62.4,
                'DOTA DyHead': 66.1,
                'LoveDA PSANet': 49.53,
                'LoveDA DeepLabV3+': 49.06,
            },
        },
    )
    RESNET50_200 = Weights(
        url=f'{_DRIVE}1qGkPG0j4jwItcGztX-_rLR4sS2W_Pxun',
        transforms=_TRANSFORMS,
        meta={
            **_META,
            'epochs': 200,
            'files': ['GeRSP_200.pth', 'CVT_epoch_200.pth', 'GeRSP_200.safetensors'],
            'results': {
                'EuroSAT': 97.87,
                'RESISC45': 92.74,
                'DIOR Faster R-CNN': 67.8,
                'DIOR RetinaNet': 68.7,
                'DIOR DyHead': 72.2,
                'DOTA Faster R-CNN': 66.1,
                'DOTA RetinaNet': 63.0,
                'DOTA DyHead': 67.4,
                'LoveDA PSANet': 49.56,
                'LoveDA DeepLabV3+': 50.56,
            },
        },
    )

    def get_state_dict(
        self,
        progress: bool = True,
        check_hash: bool = False,
        weights_only: bool = True,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Find or download the file, check it, and load its backbone.

        Args:
            progress: Show the progress of a download.
            check_hash: Accepted for torchvision's sake: what can be checked always is.
            weights_only: Accepted for torchvision's sake: code in the file never runs.
            **kwargs: Other arguments of ``torch.hub.load_state_dict_from_url``, without effect.

        Returns:
            The 318 tensors of a ResNet-50 without classifier, under torchvision's names.

        Raises:
            FileNotFoundError: If the file is not here and cannot be downloaded; says what to do.
            ValueError: If it is no complete ResNet-50, or has changed since it was first used.
        """
        names = self.meta['files']
        path = find_file(names)
        if path is None:
            file_id = self.url.removeprefix(_DRIVE)
            path = download_from_drive(file_id, names[0], check=read_resnet50, progress=progress)
        refuse_changed(path)
        state_dict = read_resnet50(path)
        remember_checksum(path)
        return state_dict

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Pickle by name, so that worker processes may be spawned."""
        return getattr, (type(self), self.name)


def read_resnet50(path: Path) -> dict[str, Tensor]:
    """Read a complete ResNet-50 without classifier, for three bands, from any known format.

    Returns:
        318 tensors under torchvision's names, in its order.

    Raises:
        ValueError: If a tensor is missing, has another shape or is not finite.
    """
    wanted = architecture('resnet50')
    tensors = read_checkpoint(path).state_dict
    shapes = wanted.shapes if wanted else {}
    wrong = [name for name in shapes if name not in tensors or tensors[name].shape != shapes[name]]
    wrong += [name for name in tensors if name not in shapes]
    if wrong:
        right = sum(name in shapes for name in tensors.keys() - set(wrong))
        raise ValueError(
            f'{path} is no complete ResNet-50: {right} of {len(shapes)} tensors are right, '
            f'{wrong[0]} is not'
        )
    return tensors


def register() -> None:
    """Make torchgeo find the weights and their builder by name, or warn that it cannot."""
    # torchgeo has no public way to add a model; both dictionaries are read by get_model, get_weight
    # and therefore by every task and configuration file
    try:
        models, weights = api._model, api._model_weights  # noqa: SLF001
    except AttributeError as error:
        warn(
            f'torchgeo {version("torchgeo")} lists its models elsewhere ({error}): get_model and '
            'get_weight do not know gersp_resnet50, and tasks take GeRSP_Weights or a file instead '
            'of its name',
            stacklevel=2,
        )
        return
    models[gersp_resnet50.__name__] = gersp_resnet50
    weights[gersp_resnet50.__name__] = weights[gersp_resnet50] = GeRSP_Weights


register()
