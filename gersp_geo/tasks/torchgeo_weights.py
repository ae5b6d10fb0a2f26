"""Files of weights that torchgeo's own tasks can read."""

from collections.abc import Mapping
from pathlib import Path

from ..models.architectures import architecture
from ..models.checkpoint_files import load_pickle


def check_torchgeo_weights(class_path: str, weights: object) -> None:
    """Refuse a file that a task of torchgeo 0.10 would trip over.

    Its tasks read checkpoints of torchgeo's tasks alone; what they do not find there keeps its
    random start without a word.

    Args:
        class_path: Full name of the task; ours read any known format, and nothing is checked.
        weights: Its option; what names no file is not checked.

    Raises:
        ValueError: If it is no such checkpoint, or does not load safely.
    """
    theirs = class_path.startswith('torchgeo.tasks.')
    if not theirs or not isinstance(weights, str) or not (file := Path(weights)).exists():
        return
    if file.is_dir() or file.suffix == '.safetensors' or not _is_of_task(file):
        raise ValueError(
            f'weights of {class_path} must be a checkpoint of a task of torchgeo, got {weights}; '
            f'`gersp-geo export {weights} backbone.ckpt --format torchgeo` writes one'
        )


def _is_of_task(file: Path) -> bool:
    """Look for the name of the model and its tensors where torchgeo does."""
    loaded = load_pickle(file)
    named, tensors = loaded.get('hyper_parameters'), loaded.get('state_dict')
    if not isinstance(named, Mapping) or not isinstance(tensors, Mapping):
        return False
    # torchgeo asks in this order
    for key, prefix in (('model', 'model.'), ('backbone', 'model.backbone.model.')):
        if key in named:
            # of a segmentation task, 'model' is not that of the encoder
            known = architecture(str(named[key]))
            found = {name.replace(prefix, '') for name in tensors if prefix in name}
            return known is not None and known.stem in found
    return False
