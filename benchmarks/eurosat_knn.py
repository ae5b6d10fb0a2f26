"""k-NN accuracy of a frozen backbone on EuroSAT's held-out split, beside two floors.

    python benchmarks/eurosat_knn.py --backbone backbone.safetensors --eurosat FOLDER --split CSV

FOLDER holds one sub-folder of JPEGs per class; CSV has the columns filename, label and split. The
bank is the split 'train', the features to classify are those of 'test'; k = 20, cosine.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gersp_geo import load_backbone
from gersp_geo.bands import RGB
from gersp_geo.datasets.decoding import decode_image
from gersp_geo.evaluation import knn_accuracy

Features = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--backbone', type=Path, required=True)
    parser.add_argument('--model', default='resnet18')
    parser.add_argument('--eurosat', type=Path, required=True)
    parser.add_argument('--split', type=Path, required=True)
    parser.add_argument('--size', type=int, default=64)
    options = parser.parse_args()
    torch.manual_seed(0)
    bank, bank_labels = read_split(options.eurosat, options.split, 'train', size=options.size)
    test, labels = read_split(options.eurosat, options.split, 'test', size=options.size)
    trained = timm.create_model(options.model, num_classes=0)
    print(load_backbone(trained, options.backbone))
    random = timm.create_model(options.model, num_classes=0)
    reestimate_batchnorm(random, bank)
    candidates: dict[str, Features] = {
        'pre-trained backbone': trained.eval(),
        'random initialisation, BatchNorm re-estimated': random.eval(),
        '4 x 4 mean colours': lambda x: F.adaptive_avg_pool2d(unnormalise(x), 4).flatten(1),
        '4 x 4 mean colours, centred': lambda x: F.adaptive_avg_pool2d(x, 4).flatten(1),
    }
    print(f'{len(bank)} images in the bank, {len(test)} to classify, k = 20, cosine')
    for name, features in candidates.items():
        accuracy = knn_accuracy(
            extract(features, test), labels, bank=extract(features, bank), bank_labels=bank_labels
        )
        print(f'{accuracy:8.2%}  {name}')


def read_split(folder: Path, table: Path, split: str, *, size: int) -> tuple[Tensor, Tensor]:
    with table.open(newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == split]
    classes = sorted({row['label'] for row in rows})
    images = torch.stack([decode_image(folder / row['filename'], size=size) for row in rows])
    labels = torch.tensor([classes.index(row['label']) for row in rows])
    mean, std = torch.tensor(RGB.mean)[:, None, None], torch.tensor(RGB.std)[:, None, None]
    return (images / 255 - mean) / std, labels


def unnormalise(images: Tensor) -> Tensor:
    return images * torch.tensor(RGB.std)[:, None, None] + torch.tensor(RGB.mean)[:, None, None]


@torch.inference_mode()
def extract(features: Features, images: Tensor) -> Tensor:
    return torch.cat([features(batch) for batch in images.split(256)])


@torch.no_grad()
def reestimate_batchnorm(model: nn.Module, images: Tensor) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain average over all batches
    model.train()
    for batch in images.split(256):
        model(batch)


if __name__ == '__main__':
    main()
