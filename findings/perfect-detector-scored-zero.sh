#!/bin/sh
# torchgeo: val_map of ObjectDetection, which the task names as what to monitor, is not the mean average precision of the
# validation images but the mean over batches of what each batch gives, and a batch without any object gives -1. Patches
# of large scenes are often empty, so that a detector without a single mistake gets 0, and the best checkpoint is the
# one whose order of batches was lucky. The same metric over all images together is 1.
# Seen with torchgeo 0.10.1, torchmetrics 1.9.0, lightning 2.6.6: val_map 0.0 for a perfect detector.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYENV_VERSION=3.12  # torchgeo 0.10 needs it; a word to pyenv, where there is one
python3.12 -m venv venv
venv/bin/python -m pip install --quiet torchgeo==0.10.1 torchmetrics==1.9.0 pycocotools==2.0.11 lightning==2.6.6 \
    torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import lightning
import torch
from torch.utils.data import DataLoader
from torchgeo.datamodules.utils import collate_fn_detection
from torchgeo.tasks import ObjectDetection
from torchmetrics.detection import MeanAveragePrecision

print(*(f'{name} {version(name)}' for name in ('torchgeo', 'torchmetrics', 'lightning', 'torch')))


def objects(image):
    """The only object of a white image; a black one has none."""
    count = int(image.max() > 0)
    return torch.tensor([[8.0, 8, 24, 24]])[:count], torch.ones(count, dtype=torch.long)


class Perfect(torch.nn.Module):
    """Finds each object where it is."""

    def forward(self, images, targets=None):
        found = [objects(image) for image in images]
        return [{'boxes': boxes, 'labels': labels, 'scores': labels.float()} for boxes, labels in found]


images = [torch.ones(3, 32, 32), torch.zeros(3, 32, 32)]
samples = [dict(zip(('image', 'bbox_xyxy', 'label'), (image, *objects(image)))) for image in images]
loader = DataLoader(samples, batch_size=1, collate_fn=collate_fn_detection)
task = ObjectDetection(backbone='resnet18', num_classes=2)
task.model = Perfect()
quiet = {'logger': False, 'enable_progress_bar': False, 'enable_model_summary': False}
trainer = lightning.Trainer(accelerator='cpu', **quiet)
seen = trainer.validate(task, loader, verbose=False)[0]['val_map']

whole = MeanAveragePrecision()
truth = [{'boxes': boxes, 'labels': labels} for boxes, labels in map(objects, images)]
whole.update(Perfect()(torch.stack(images)), truth)
expected = whole.compute()['map'].item()
print(f'val_map of a perfect detector: {seen} (expected: {expected}, as over all images)')
if (seen, expected) != (0.0, 1.0):
    raise SystemExit('The behaviour has changed.')
PYTHON
