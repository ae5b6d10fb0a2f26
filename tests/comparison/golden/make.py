"""Write torchgeo_bench.safetensors: features, and what torchgeo-bench makes of them.

Needs torchgeo-bench (requirements/torchgeo_bench.txt). Without words it compares what is there with
what the package gives now; with --write it replaces it.
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GOLDEN = Path(__file__).with_name('torchgeo_bench.safetensors')
NEIGHBOURS = (1, 5, 1000)
COSTS = np.logspace(-6, 4, 40)
SIZES = {'train': 240, 'val': 120, 'test': 160}


def main() -> None:
    """Compare, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--write', action='store_true')
    tensors = make_features()
    for name in ('clusters', 'ties', 'wide'):
        tensors |= judge(name, tensors)
    if parser.parse_args().write:
        save_file(tensors, GOLDEN)
        return
    known = load_file(GOLDEN)
    wrong = [name for name in tensors if not torch.equal(tensors[name], known[name])]
    if wrong or set(known) != set(tensors):
        raise SystemExit(f'torchgeo-bench gives something else than {GOLDEN.name}: {wrong}')


def make_features() -> dict[str, Tensor]:
    """Draw clusters, whose classes have gaps and of which the last is in the test split alone."""
    rng = np.random.default_rng(23)
    classes = np.array([0, 2, 3, 7, 9])
    made: dict[str, Any] = {}
    for name, width, spread in (('clusters', 12, 1.6), ('ties', 3, 1.2), ('wide', 100, 3.0)):
        centres = rng.normal(size=(len(classes), width))
        for split, size in SIZES.items():
            known = len(classes) - (split != 'test')
            drawn = rng.integers(0, known, size)
            features = centres[drawn] + spread * rng.normal(size=(size, width))
            made[f'{name}.{split}'] = features.round() if name == 'ties' else features
            made[f'{name}.{split}_labels'] = classes[drawn]
    return {
        name: torch.from_numpy(values.astype('int64' if name.endswith('labels') else 'float32'))
        for name, values in made.items()
    }


def judge(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let torchgeo-bench classify the test images of a set of features."""
    knn, linear = (import_module(f'torchgeo_bench.{part}') for part in ('knn', 'linear'))
    splits = {split: tensors[f'{name}.{split}'] for split in SIZES}
    labels = {split: tensors[f'{name}.{split}_labels'] for split in SIZES}
    found: dict[str, Tensor] = {}
    for k in NEIGHBOURS:
        fitted = knn.KNNClassifier(k).fit(splits['train'].numpy(), labels['train'].numpy())
        found[f'{name}.knn{k}'] = torch.from_numpy(fitted.predict(splits['test'].numpy()))
    best, most = 0.0, -1
    for cost in COSTS:
        model = linear.LogisticRegression(C=cost, max_iter=2000, tol=1e-6, random_state=0)
        model.fit(splits['train'], labels['train'])
        right = int((model.predict(splits['val']) == labels['val'].numpy()).sum())
        if right > most:
            best, most = float(cost), right
    whole = (torch.cat([some['train'], some['val']]) for some in (splits, labels))
    model = linear.LogisticRegression(C=best, max_iter=4000, tol=1e-6, random_state=0).fit(*whole)
    found[f'{name}.linear'] = torch.from_numpy(model.predict(splits['test']))
    found[f'{name}.cost'] = torch.tensor(best, dtype=torch.float64)
    return found


if __name__ == '__main__':
    main()
