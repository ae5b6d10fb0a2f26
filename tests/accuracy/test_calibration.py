"""Reliability curves, compared with torchmetrics."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_calibration_error

from gersp_geo.accuracy.assessing import assess_map
from gersp_geo.accuracy.figures import Accuracy, Calibration
from gersp_geo.geoio.grids import place_points
from gersp_geo.geoio.write import write_raster

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
NAMES = ('field', 'forest', 'water')
COLORS = ((0, 0, 0), (1, 1, 1), (2, 2, 2))


def write(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    settings: dict[str, object] = {'crs': 'EPSG:32632', 'transform': PLACE, 'block_size': 16}
    return write_raster(path, pixels, overwrite=True, **(settings | options))  # type: ignore[arg-type]


@pytest.fixture
def scores() -> NDArray[np.float32]:
    found = np.random.default_rng(0).dirichlet((1, 1, 2), (20, 30)).transpose(2, 0, 1)
    return found.astype(np.float32)


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 3, (20, 30)).astype(np.uint8)


def calibrate(source: Path, reference: Path, probabilities: Path) -> Calibration:
    found = assess_map(source, reference, probabilities=probabilities, progress=False)
    assert isinstance(found, Accuracy)
    assert found.calibration is not None
    return found.calibration


def test_the_error_is_that_of_torchmetrics(
    tmp_path: Path, scores: NDArray[np.float32], truth: NDArray[np.uint8]
) -> None:
    legend = {'class_names': NAMES, 'class_colors': COLORS}
    source = write(tmp_path / 'map.tif', scores.argmax(axis=0).astype(np.uint8), **legend)
    # the order of bands is that of their names
    order = [2, 0, 1]
    stored = write(tmp_path / 'p.tif', scores[order], bands=[NAMES[place] for place in order])
    found = calibrate(source, write(tmp_path / 'true.tif', truth), stored)
    given, target = torch.tensor(scores).reshape(3, -1).T, torch.tensor(truth.ravel()).long()
    expected = multiclass_calibration_error(given, target, num_classes=3, n_bins=10)
    assert found.errors[0] == pytest.approx(float(expected), abs=1e-6)
    for row, place in enumerate(order, 1):
        apart = np.nan_to_num(np.abs(found.probabilities[row] - found.frequencies[row]))
        assert found.errors[row] == pytest.approx((found.shares[row] * apart).sum())
        assert (found.shares[row] * np.nan_to_num(found.frequencies[row])).sum() == pytest.approx(
            (truth == place).mean()
        )
    assert found.count == 600


def test_bytes_are_scaled_and_one_band_is_of_the_second_class(tmp_path: Path) -> None:
    stored = np.array([[254, 254, 127, 255]], np.uint8)
    source = write(tmp_path / 'map.tif', np.array([[1, 1, 0, 0]], np.uint8))
    reference = write(tmp_path / 'true.tif', np.array([[1, 0, 0, 1]], np.uint8))
    scaled = write(tmp_path / 'p.tif', stored, nodata=255)
    with rasterio.open(scaled, 'r+') as dst:
        dst.scales = (1 / 254,)
    found = calibrate(source, reference, scaled)
    assert found.count == 3
    # two that are sure, of which one is right, and one that is right at even odds
    assert found.errors[0] == pytest.approx(2 / 3 * 0.5 + 1 / 3 * 0.5)
    plain = write(tmp_path / 'plain.tif', stored)
    with pytest.raises(ValueError, match=r'in \[0, 1\], .* holds 255; tag the scale'):
        assess_map(source, reference, probabilities=plain, progress=False)


def test_points_count_by_the_area_that_they_stand_for(
    tmp_path: Path, scores: NDArray[np.float32], truth: NDArray[np.uint8]
) -> None:
    source = write(tmp_path / 'map.tif', scores.argmax(axis=0).astype(np.uint8))
    stored = write(tmp_path / 'p.tif', scores)
    rows, cols = np.divmod(np.arange(600), 30)
    places = shapely.points(place_points(PLACE, np.stack([cols, rows], axis=1) + 0.5))
    frame = geopandas.GeoDataFrame({'reference': truth.ravel()}, geometry=places, crs='EPSG:32632')
    frame.to_file(tmp_path / 'points.gpkg')
    by_points = calibrate(source, tmp_path / 'points.gpkg', stored)
    by_pixels = calibrate(source, write(tmp_path / 'true.tif', truth), stored)
    np.testing.assert_allclose(by_points.errors, by_pixels.errors)


def test_bands_by_place_are_not_taken_for_classes_of_other_numbers(tmp_path: Path) -> None:
    numbers = np.array([[3, 300], [300, 3]], np.uint16)
    source = write(tmp_path / 'map.tif', numbers)
    reference = write(tmp_path / 'truth.tif', numbers.T.copy())
    for bands in (1, 2):
        scores = np.full((bands, 2, 2), 0.5, np.float32)
        with pytest.raises(ValueError, match=r'those of the classes 0, 1, .* 3;'):
            calibrate(source, reference, write(tmp_path / f'{bands}.tif', scores))


def test_one_band_is_of_the_second_class_whatever_its_number(tmp_path: Path) -> None:
    numbers = np.array([[1, 2], [2, 2]], np.uint8)
    legend = {'class_names': ('', 'no', 'yes'), 'class_colors': COLORS}
    source = write(tmp_path / 'map.tif', numbers, **legend)
    reference = write(tmp_path / 'truth.tif', numbers)
    found = calibrate(
        source, reference, write(tmp_path / 'p.tif', (numbers == 2).astype(np.float32))
    )
    assert found.errors[0] == 0
