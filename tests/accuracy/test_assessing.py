"""Maps compared with references of all kinds, on files as people have them."""

from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from gersp_geo.accuracy import Accuracy
from gersp_geo.accuracy.assessing import assess_map
from gersp_geo.geoio.grids import place_points
from gersp_geo.geoio.write import write_raster
from gersp_geo.main import main

NAMES = ('field', 'forest', 'water')
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
COLORS = ((200, 180, 90), (20, 120, 40), (30, 90, 200))


def write(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    settings: dict[str, object] = {'crs': 'EPSG:32632', 'transform': PLACE, 'block_size': 16}
    return write_raster(path, pixels, overwrite=True, **(settings | options))  # type: ignore[arg-type]


def confusion_matrix(
    ours: NDArray[np.generic], theirs: NDArray[np.generic], labels: list[int]
) -> NDArray[np.int64]:
    found = pandas.crosstab(ours.ravel(), theirs.ravel())
    return np.asarray(found.reindex(index=labels, columns=labels, fill_value=0))


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


def centres(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.asarray(shapely.points(place_points(PLACE, np.stack([cols, rows], axis=1) + 0.5)))


def points(path: Path, rows: NDArray[np.int64], cols: NDArray[np.int64], **columns: object) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=centres(rows, cols), crs='EPSG:32632')
    frame.to_crs('EPSG:4326').to_file(path)
    return path


@given(st.sampled_from(['uint8', 'uint16', 'int32']), st.booleans(), st.integers(0, 2**32 - 1))
def test_all_pixels_of_a_raster_are_counted(
    tmp_path: Path, dtype: str, has_gaps: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    ours, theirs = random.integers(0, 4, (2, 21, 33)).astype(dtype)
    top = min(np.iinfo(dtype).max, 9999)
    if has_gaps:
        ours[random.random(ours.shape) < 0.2] = top
        theirs[random.random(ours.shape) < 0.2] = 77
    found = assess(
        write(tmp_path / 'map.tif', ours, nodata=top),
        write(tmp_path / 'reference.tif', theirs, nodata=77, block_size=32),
    )
    known = (ours != top) & (theirs != 77)
    values = [each.value for each in found.counts.classes]
    expected = confusion_matrix(ours[known], theirs[known], labels=values)
    assert found.counts.counts[0].tolist() == expected.tolist()
    assert found.counts.design == 'census'
    assert found.counts.mapped_areas.sum() == 100 * known.sum()
    assert any('says nothing of' in note for note in found.notes) == has_gaps


def test_counts_are_those_of_scikit_learn(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    metrics = pytest.importorskip('sklearn.metrics')
    found = assess(named(tmp_path / 'map.tif', noisy(truth)), write(tmp_path / 'true.tif', truth))
    expected = metrics.confusion_matrix(noisy(truth).ravel(), truth.ravel())
    assert found.counts.counts[0].tolist() == expected.tolist()


def test_pixels_in_degrees_count_by_their_area(tmp_path: Path) -> None:
    # two rows, one of them near a pole
    place = {'crs': 'EPSG:4326', 'transform': Affine(1, 0, 0, 0, -40, 80)}
    ours, theirs = np.array([[0, 0], [1, 1]], np.uint8), np.array([[1, 1], [1, 1]], np.uint8)
    found = assess(
        write(tmp_path / 'map.tif', ours, **place), write(tmp_path / 'true.tif', theirs, **place)
    )
    areas = found.counts.mapped_areas
    assert found.overall.value == pytest.approx(areas[1] / areas.sum())
    assert found.overall.value > 0.6


@pytest.mark.quick('EPSG:4326')
@pytest.mark.parametrize('crs', ['EPSG:4326', 'EPSG:3857'])
def test_another_grid_is_read_where_the_centres_of_pixels_lie(
    tmp_path: Path, truth: NDArray[np.uint8], crs: str
) -> None:
    source = named(tmp_path / 'map.tif', noisy(truth))
    left, top = Transformer.from_crs('EPSG:32632', crs, always_xy=True).transform(
        499_990, 5_000_010
    )
    step = 1e-4 if crs == 'EPSG:4326' else 7.0
    other = np.random.default_rng(3).integers(0, 3, (140, 170)).astype(np.uint8)
    place = Affine(step, 0, left, 0, -step * 0.7, top)
    reference = write(tmp_path / 'true.tif', other, crs=crs, transform=place)
    found = assess(source, reference)
    rows, cols = np.mgrid[:60, :80].reshape(2, -1)
    x, y = place_points(PLACE, np.stack([cols, rows], axis=1) + 0.5).T
    there = Transformer.from_crs('EPSG:32632', crs, always_xy=True).transform(x, y)
    with rasterio.open(reference) as src:
        read = np.ma.stack(list(src.sample(np.stack(there, axis=1), masked=True)))[:, 0]
        inside = [
            0 <= c < 170 and 0 <= r < 140
            for c, r in zip(*place_points(~place, np.stack(there, axis=1)).T, strict=True)
        ]
    expected = confusion_matrix(noisy(truth).ravel()[inside], read[inside], labels=[0, 1, 2])
    assert found.counts.counts[0].tolist() == expected.tolist()
    assert any('another grid' in note for note in found.notes)


def test_points_are_compared_with_the_pixels_that_hold_them(
    tmp_path: Path, truth: NDArray[np.uint8]
) -> None:
    ours = noisy(truth)
    ours[:5] = 255
    source, random = named(tmp_path / 'map.tif', ours), np.random.default_rng(5)
    places = random.permutation(60 * 80)[:200]
    rows, cols = np.divmod(places, 80)
    # names, the same in other letters, numbers, and nothing
    words = ('field', ' Forest', '2')
    cover: list[str | None] = [words[value] for value in truth[rows, cols].tolist()]
    cover[:20] = [None] * 20
    reference = points(tmp_path / 'points.gpkg', rows, cols, cover=cover)
    with rasterio.open(source) as src:
        read = np.stack(list(src.sample(shapely.get_coordinates(centres(rows, cols)))))[:, 0]
    known = (read != 255) & (np.arange(200) >= 20)
    expected = confusion_matrix(read[known], truth[rows, cols][known], labels=[0, 1, 2])
    for design, kind in (('auto', 'unknown'), ('simple', 'simple'), ('stratified', 'stratified')):
        found = assess(source, reference, design=design)
        assert found.counts.design == kind
        assert found.counts.counts.sum(0).tolist() == expected.tolist()
    assert found.counts.strata == NAMES
    assert found.counts.stratum_areas.tolist() == [
        100 * (ours == value).sum() for value in range(3)
    ]
    assert any('matched by name, and 2 by number' in note for note in found.notes)
    wrong = {(each.row, each.col) for each in found.disagreements}
    assert wrong
    assert all(ours[place] != truth[place] for place in wrong)


def test_polygons_say_what_their_pixels_are(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    source, left, top = named(tmp_path / 'map.tif', noisy(truth)), 500_000, 5_000_000
    boxes = [
        shapely.box(left, top - 300, left + 400, top),
        shapely.box(left + 300, top - 300, left + 800, top),
    ]
    frame = geopandas.GeoDataFrame({'reference': [1, 2]}, geometry=boxes, crs='EPSG:32632')
    frame.to_file(tmp_path / 'areas.gpkg')
    found = assess(source, tmp_path / 'areas.gpkg')
    said = np.full(truth.shape, 255, np.uint8)
    said[:30, :30], said[:30, 40:] = 1, 2
    known = said != 255
    expected = confusion_matrix(noisy(truth)[known], said[known], labels=[0, 1, 2])
    assert found.counts.counts[0].tolist() == expected.tolist()
    assert found.counts.design == 'unknown'
    assert found.counts.mapped_areas.sum() == 100 * truth.size
    assert any('different things of 300 pixels' in note for note in found.notes)
    # two ways to write one class
    frame.assign(reference=['water', '2']).to_file(tmp_path / 'areas.gpkg')
    alike = assess(source, tmp_path / 'areas.gpkg')
    assert alike.counts.counts.sum(axis=(0, 1)).tolist() == [0, 0, 30 * 80]
    frame[:1].to_file(tmp_path / 'one.gpkg')
    whole = assess(source, tmp_path / 'one.gpkg', design='census', area=tmp_path / 'one.gpkg')
    assert whole.counts.design == 'census'
    assert whole.counts.mapped_areas.sum() == 100 * 30 * 40


@pytest.mark.filterwarnings('ignore:The given matrix')
def test_a_picture_of_the_size_of_the_map_is_taken_pixel_by_pixel(
    tmp_path: Path, truth: NDArray[np.uint8]
) -> None:
    place = {'crs': None, 'transform': Affine.identity()}
    reference = write(tmp_path / 'true.tif', truth + 1, **place)
    classes = {'field': [1], 'forest': ['2'], 'water': [3]}
    for source in (
        named(tmp_path / 'map.tif', truth),
        named(tmp_path / 'plain.tif', truth, **place),
    ):
        found = assess(source, reference, classes=classes)
        assert found.overall.value == 1
    assert found.counts.unit == 'pixels'


def test_changes_are_classes_like_others(tmp_path: Path) -> None:
    names = ('no change', 'forest to field', 'field to town')
    ours, theirs = np.array([[0, 0, 1, 2]], np.uint8), np.array([[1, 2, 3, 3]], np.uint8)
    source = write(tmp_path / 'change.tif', ours, class_names=names, class_colors=COLORS)
    legend = ('', *names)
    reference = write(
        tmp_path / 'true.tif', theirs, class_names=legend, class_colors=((0, 0, 0), *COLORS)
    )
    found = assess(source, reference)
    assert [each.name for each in found.counts.classes] == list(names)
    assert found.counts.counts[0].tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert any('matched by name' in note for note in found.notes)


FAR = Affine(10, 0, 900_000, 0, -10, 5_000_000)


@pytest.mark.parametrize(
    ('reference', 'options', 'message'),
    [
        ('far.tif', {}, 'have no ground in common'),
        ('far.gpkg', {}, 'no feature of .* lies on'),
        ('seven.tif', {}, r'classes that the map lacks: 7 \('),
        ('snow.gpkg', {}, r"holds 'snow' \(2\), and the map has no such class"),
        ('empty.gpkg', {}, "has no value in 'reference'"),
        ('twice.gpkg', {}, 'features 1 and 2 of .* lie in one pixel and say field and water'),
        ('good.gpkg', {'design': 'census'}, 'is of references that cover everything'),
        ('good.gpkg', {'attribute': 'cover'}, "has no column 'cover', only reference"),
        ('good.gpkg', {'classes': {'snow': [1]}}, "the map has no class 'snow'"),
        ('good.gpkg', {'ignore': ['field']}, 'has a class; fill the column'),
        ('good.tif', {'design': 'simple'}, 'whose pixels are alike'),
        ('good.tif', {'attribute': 'cover'}, 'are of vector files'),
        ('part.tif', {'design': 'census'}, 'a census covers all'),
        ('absent.gpkg', {}, 'does not exist'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(
    tmp_path: Path,
    truth: NDArray[np.uint8],
    reference: str,
    options: dict[str, object],
    message: str,
) -> None:
    source, path = named(tmp_path / 'map.tif', truth), tmp_path / reference
    rows, cols = np.array([1, 1]), np.array([2, 2 if reference == 'twice.gpkg' else 3])
    part = truth.copy()
    part[:20] = 9
    rasters: dict[str, tuple[NDArray[np.generic], dict[str, object]]] = {
        'far.tif': (truth, {'transform': FAR}), 'seven.tif': (np.where(truth, truth, 7), {}),
        'good.tif': (truth, {}), 'part.tif': (part, {'nodata': 9}),
    }  # fmt: skip
    texts = {'snow': ['snow', 'snow'], 'empty': [None, ' '], 'twice': ['field', 'water']}
    if reference in rasters:
        pixels, settings = rasters[reference]
        write(path, pixels.astype(np.uint8), **settings)
    elif reference != 'absent.gpkg':
        points(
            path,
            rows + 10**4 * (path.stem == 'far'),
            cols,
            reference=texts.get(path.stem, ['field'] * 2),
        )
    with pytest.raises((ValueError, FileNotFoundError), match=message) as raised:
        assess(source, path, **options)
    assert '\n' not in str(raised.value)


def test_a_reference_class_that_no_pixel_is_mapped_as_is_told(tmp_path: Path) -> None:
    ours, theirs = np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 5]], np.uint8)
    found = assess(write(tmp_path / 'map.tif', ours), write(tmp_path / 'true.tif', theirs))
    assert any('no pixel of class 5 (25.0%)' in note for note in found.notes)
    assert found.overall.value == 0.75


def test_the_command_prints_and_writes_what_was_found(
    tmp_path: Path, truth: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    source = named(tmp_path / 'map.tif', noisy(truth))
    reference = write(tmp_path / 'true.tif', truth + 1)
    words = ['assess', str(source), '--reference', str(reference), '--no-progress']
    made = [word for kind in ('json', 'csv') for word in (f'--{kind}', str(tmp_path / f'a.{kind}'))]
    assert main([*words, '--classes', 'field=1', 'forest=2', 'water=3', *made]) == 0
    assert 'Overall accuracy 0.8' in capsys.readouterr().out
    assert '"census"' in (tmp_path / 'a.json').read_text()
    assert main([*words, *made]) == 1
    assert 'a.json exists' in capsys.readouterr().err
    assert main([*words, '--layers', str(tmp_path / 'a.gpkg')]) == 1
    assert 'is of objects' in capsys.readouterr().err
