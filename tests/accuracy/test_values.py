"""Maps of measurements, compared with scikit-learn."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gersp_geo.accuracy.assessing import assess_map
from gersp_geo.accuracy.value_figures import BandAccuracy, Differences, ValueAccuracy
from gersp_geo.geoio.grids import place_points
from gersp_geo.geoio.write import write_raster
from gersp_geo.main import main

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    settings: dict[str, object] = {'crs': 'EPSG:32632', 'transform': PLACE, 'block_size': 16}
    return write_raster(path, pixels, overwrite=True, **(settings | options))  # type: ignore[arg-type]


def assess(source: Path, reference: Path, **options: object) -> ValueAccuracy:
    found = assess_map(source, reference, progress=False, **options)  # type: ignore[arg-type]
    assert isinstance(found, ValueAccuracy)
    return found


def check(found: BandAccuracy, ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> None:
    """Compare with the formulas over all pairs at once."""
    apart = ours.astype(np.float64) - theirs
    assert found.count == len(apart)
    assert found.bias == pytest.approx(apart.mean())
    assert found.mae == pytest.approx(np.abs(apart).mean())
    assert found.rmse == pytest.approx(np.sqrt((apart**2).mean()))
    spread = ((theirs - theirs.astype(np.float64).mean()) ** 2).sum()
    assert found.r2 == pytest.approx(1 - (apart**2).sum() / spread, rel=1e-6)
    assert found.scatter.sum() == len(apart)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_parts_add_up_to_the_whole_far_from_zero_too(seed: int, sizes: list[int]) -> None:
    random = np.random.default_rng(seed)
    theirs = 1e6 + random.normal(size=sum(sizes) + 2)
    ours = theirs + random.normal(0.5, 1, theirs.shape)
    sums = Differences(1e6 - 5, 1e6 + 5)
    for part in np.split(np.arange(len(theirs)), np.cumsum(sizes)):
        sums.add(ours[part], theirs[part], np.ones(len(part)))
        # what has no area adds nothing
        sums.add(theirs[part], ours[part], np.zeros(len(part)))
    check(sums.result(name='height', unit='m'), ours, theirs)


def test_figures_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip('sklearn.metrics')
    theirs = np.random.default_rng(0).normal(size=100)
    ours, weights = theirs + 0.3, np.random.default_rng(1).random(100)
    ours[::3] -= 1
    sums = Differences(-3, 3)
    sums.add(ours, theirs, weights)
    found = sums.result(name='height', unit='m')
    for name, value in (('r2_score', found.r2), ('mean_absolute_error', found.mae)):
        expected = getattr(metrics, name)(theirs, ours, sample_weight=weights)
        assert value == pytest.approx(expected, abs=1e-9)


def test_rasters_are_compared_band_by_band_where_both_have_observations(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ours = random.normal(10, 3, (2, 40, 50)).astype(np.float32)
    theirs = np.round(ours * 10 + random.normal(0, 5, ours.shape)).astype(np.int16)
    ours[:, :4], theirs[:, :, :3] = np.nan, -9999
    source = write(tmp_path / 'map.tif', ours, bands=('height', 'mass'))
    reference = write(tmp_path / 'true.tif', theirs, nodata=-9999)
    with rasterio.open(reference, 'r+') as dst:
        dst.scales = (0.1, 0.1)
    found = assess(source, reference)
    for band, one, other in zip(found.bands, ours, theirs, strict=True):
        check(band, one[4:, 3:].ravel(), 0.1 * other[4:, 3:].ravel())
    assert [band.name for band in found.bands] == ['height', 'mass']
    assert any('nothing of 6.00% of the map' in note for note in found.notes)
    assert any('scaled as the files are tagged' in note for note in found.notes)


def test_points_hold_numbers_in_columns_called_as_the_bands(tmp_path: Path) -> None:
    ours = np.arange(600, dtype=np.float32).reshape(20, 30)
    source = write(tmp_path / 'map.tif', ours, bands=('height',))
    rows, cols = np.arange(12), np.arange(12) * 2
    theirs: list[str | None] = [f'{value:.1f}' for value in ours[rows, cols] + 2]
    theirs[0] = None
    frame = geopandas.GeoDataFrame(
        {'height': theirs, 'other': 'oak'}, crs='EPSG:32632',
        geometry=shapely.points(place_points(PLACE, np.stack([cols, rows], axis=1) + 0.5)),
    )  # fmt: skip
    frame.to_file(tmp_path / 'points.gpkg')
    (band,) = assess(source, tmp_path / 'points.gpkg').bands
    check(band, ours[rows, cols][1:], ours[rows, cols][1:] + 2)
    with pytest.raises(ValueError, match=r"measurements are numbers, .* holds 'oak'"):
        assess(source, tmp_path / 'points.gpkg', attribute='other')
    with pytest.raises(ValueError, match='whose figures have no intervals'):
        assess(source, tmp_path / 'points.gpkg', design='simple')


def test_the_command_writes_files_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    source, reference = write(tmp_path / 'map.tif', ours), write(tmp_path / 'true.tif', ours * 2)
    made = [tmp_path / f'a.{kind}' for kind in ('json', 'csv', 'html')]
    options = ['--json', str(made[0]), '--csv', str(made[1]), '--report', str(made[2])]
    assert main(['assess', str(source), '--reference', str(reference), *options]) == 0
    assert 'RMSE' in capsys.readouterr().out
    assert all(path.stat().st_size for path in made)
    assert main(['assess', str(source), '--reference', str(reference), '--ignore', '3']) == 1
    assert 'is of maps of classes' in capsys.readouterr().err
