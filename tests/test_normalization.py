import torch

from gersp_geo.normalization import Normalize
from gersp_geo.preprocessing import Preprocessing


def record(bands: int) -> Preprocessing:
    return Preprocessing(
        bands=tuple(map(str, range(bands))),
        scale=tuple(0.1 * (i + 1) for i in range(bands)),
        mean=tuple(float(i) for i in range(bands)),
        std=tuple(0.5 + i for i in range(bands)),
    )


def test_normalize_is_the_affine_map_of_the_record() -> None:
    raw = torch.rand(2, 4, 5, 6) * 255
    plan = record(4)
    scale, mean, std = (
        torch.tensor(getattr(plan, k)).view(-1, 1, 1) for k in ('scale', 'mean', 'std')
    )
    batch = {'image': raw, 'mask': torch.ones(2, 5, 6)}
    result = Normalize(plan)(batch)
    torch.testing.assert_close(result['image'], (raw * scale - mean) / std)
    assert result['mask'] is batch['mask']
    assert batch['image'] is raw


def test_nan_becomes_the_mean() -> None:
    raw = torch.full((1, 2, 3, 3), float('nan'))
    assert (Normalize(record(2))({'image': raw})['image'] == 0).all()
