"""Samples that were drawn, judged by maps."""

from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
from affine import Affine
from numpy.typing import NDArray

from gersp_geo.accuracy import Accuracy, draw_sample
from gersp_geo.accuracy.assessing import assess_map
from gersp_geo.geoio.write import write_raster

NAMES = ('field', 'forest', 'water')
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
COLORS = ((200, 180, 90), (20, 120, 40), (30, 90, 200))


def write(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    settings: dict[str, object] = {'crs': 'EPSG:32632', 'transform': PLACE, 'block_size': 16}
    return write_raster(path, pixels, overwrite=True, **(settings | options))  # type: ignore[arg-type]


def named(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    return write(path, pixels, nodata=255, class_names=NAMES, class_colors=COLORS, **options)


def assess(source: Path, reference: Path, **options: object) -> Accuracy:
    found = assess_map(source, reference, progress=False, **options)  # type: ignore[arg-type]
    assert isinstance(found, Accuracy)
    return found


def noisy(truth: NDArray[np.uint8], share: float = 0.2, seed: int = 1) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    wrong = random.random(truth.shape) < share
    return np.where(wrong, random.integers(0, 3, truth.shape), truth).astype(np.uint8)


def fill(path: Path, truth: NDArray[np.uint8], *, skipped: int = 0) -> None:
    frame = geopandas.read_file(path)
    names = np.array(NAMES)[truth[frame['row'], frame['col']]].astype(object)
    names[:skipped] = None
    frame['reference'] = names
    frame.to_file(path)


def test_a_sample_keeps_its_strata_whatever_map_it_judges(
    tmp_path: Path, truth: NDArray[np.uint8]
) -> None:
    first, sample = named(tmp_path / 'first.tif', noisy(truth)), tmp_path / 'sample.gpkg'
    draw_sample(first, sample, count=300, minimum=40)
    fill(sample, truth, skipped=7)
    found = assess(first, sample)
    assert found.counts.design == 'stratified'
    # strata are the classes of this map, and so each is in one of them
    assert all(np.count_nonzero(rows.sum(axis=1)) == 1 for rows in found.counts.counts)
    assert abs(found.overall.value - (noisy(truth) == truth).mean()) < found.overall.half_width
    assert any('7 of 300 points have no class' in note for note in found.notes)
    geopandas.read_file(sample).to_file(tmp_path / 'lost.gpkg')
    with pytest.raises(ValueError, match=r'no design; put the lost\.design\.json'):
        assess(first, tmp_path / 'lost.gpkg')
    assert assess(first, tmp_path / 'lost.gpkg', design='none').counts.design == 'unknown'
    other = named(tmp_path / 'other.tif', np.pad(noisy(truth, seed=9), ((0, 0), (5, 0)))[:, :80])
    moved = assess(other, sample)
    assert moved.counts.strata == found.counts.strata
    assert any('another class than first.tif' in note for note in moved.notes)
    # a part of the map: strata stand for less
    half = assess(named(tmp_path / 'half.tif', noisy(truth)[:30]), sample)
    assert half.counts.stratum_areas.sum() == pytest.approx(100 * truth.size / 2, rel=0.2)


def test_what_is_ignored_is_no_part_of_what_is_judged(
    tmp_path: Path, truth: NDArray[np.uint8]
) -> None:
    ours = noisy(truth)
    source, sample = named(tmp_path / 'map.tif', ours), tmp_path / 'sample.gpkg'
    draw_sample(source, sample, count=1500)
    fill(sample, truth)
    expected = (ours == truth)[truth != 1].mean()
    census = 100 * (truth == 0).sum()
    frame = geopandas.read_file(sample)[['reference', 'geometry']]
    frame.to_file(tmp_path / 'points.gpkg')
    places = frame.to_crs('EPSG:4326').geometry
    table = pandas.DataFrame({'lon': places.x, 'lat': places.y, 'reference': frame['reference']})
    table.to_csv(tmp_path / 'points.csv', index=False)
    for reference, design in (
        (sample, 'auto'),
        (tmp_path / 'points.gpkg', 'stratified'),
        (tmp_path / 'points.csv', 'stratified'),
    ):
        found = assess(source, reference, design=design, ignore=[NAMES[1]])
        assert abs(found.overall.value - expected) < 0.04
        assert found.classes[0].area is not None
        assert found.classes[0].area.value == pytest.approx(census, rel=0.1)


def test_pixels_of_a_class_that_is_drawn_as_a_whole_count_by_their_area(tmp_path: Path) -> None:
    degrees = {'crs': 'EPSG:4326', 'transform': Affine(0.1, 0, 0, 0, -0.1, 88)}
    ours = np.zeros((600, 20), np.uint8)
    rare = np.linspace(2, 597, 40).astype(int)
    ours[rare, 5] = 2
    truth = ours.copy()
    truth[rare[20:], 5] = 0
    source, sample = named(tmp_path / 'map.tif', ours, **degrees), tmp_path / 'sample.gpkg'
    draw_sample(source, sample, count=120)
    fill(sample, truth)
    found = assess(source, sample).classes[-1]
    census = assess(source, named(tmp_path / 'truth.tif', truth, **degrees)).classes[-1]
    assert found.users.value == pytest.approx(census.users.value, rel=1e-9)
    assert found.users.value < 0.3
    assert found.area is not None
    assert census.area is not None
    assert found.area.value == pytest.approx(census.area.value, rel=1e-9)
