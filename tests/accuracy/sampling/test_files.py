"""Sample files: what people do to them, and what is still a sample then."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from gersp_geo.accuracy.sampling.drawing import draw_sample
from gersp_geo.accuracy.sampling.files import design_path, has_design, read_sample
from gersp_geo.accuracy.sampling.samples import SampleDesign

type Frame = geopandas.GeoDataFrame


@pytest.fixture(scope='module')
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of 60 points of three classes; read only."""
    folder = tmp_path_factory.mktemp('sample')
    pixels = np.random.default_rng(0).choice(3, (90, 80), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    with rasterio.open(
        folder / 'map.tif', 'w', driver='GTiff', height=90, width=80, count=1, dtype='uint8',
        crs=32633, transform=from_origin(5e5, 5e6, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
        dst.update_tags(1, CLASS_NAMES=json.dumps(['land', 'water & ice', 'Wald <jung>']))
    draw_sample(folder / 'map.tif', folder / 'a.gpkg', count=60, minimum=10)
    return folder / 'a.gpkg'


@pytest.fixture
def saved(drawn: Path, tmp_path: Path) -> Callable[..., Path]:
    """Save the sample again after something was done to it."""

    def save(change: Callable[[Frame], Frame | None], suffix: str = '.gpkg') -> Path:
        frame = geopandas.read_file(drawn)
        found = change(frame)
        path = tmp_path / f'a{suffix}'
        (frame if found is None else found).to_file(path)
        design_path(path).write_text(design_path(drawn).read_text())
        return path

    return save


def interpret(frame: Frame) -> Frame:
    """Do what people and their programs do."""
    frame['reference'] = 'land'
    frame.loc[3, 'reference'] = None
    frame.loc[4, 'reference'] = ' 2 '
    frame.loc[5, 'reference'] = ''
    frame['id'] = frame['id'].astype(float)
    frame['row'] = frame['row'].astype(str)
    frame['seen by'] = 'me'
    return frame[[*sorted(frame.columns.drop('geometry')), 'geometry']]


# a Shapefile shortens names, which is what is tried
@pytest.mark.filterwarnings('ignore:Column names longer', 'ignore:Normalized/laundered')
@pytest.mark.parametrize(
    ('suffix', 'crs'), [('.gpkg', 32633), ('.gpkg', 3857), ('.geojson', 4326), ('.shp', 25833)]
)
def test_an_interpreted_sample_is_read_whatever_saved_it(
    drawn: Path, saved: Callable[..., Path], suffix: str, crs: int
) -> None:
    path = saved(lambda frame: interpret(frame).to_crs(crs).iloc[::-1], suffix)
    before, after = read_sample(drawn), read_sample(path)
    assert after.design == before.design
    for name in ('ids', 'rows', 'cols', 'map_classes', 'strata', 'probabilities', 'weights'):
        np.testing.assert_allclose(getattr(after, name)[::-1], getattr(before, name), err_msg=name)
    assert after.references[::-1][:6] == ('land', 'land', 'land', None, '2', None)


@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson'])
def test_points_that_became_collections_of_one_are_those(
    drawn: Path, saved: Callable[..., Path], suffix: str
) -> None:
    def collect(frame: Frame) -> Frame:
        return frame.set_geometry([shapely.MultiPoint([point]) for point in frame.geometry])

    assert read_sample(saved(collect, suffix)).ids.tolist() == read_sample(drawn).ids.tolist()


def test_probabilities_and_weights_that_were_dropped_are_computed_again(tmp_path: Path) -> None:
    pixels = np.zeros((300, 20), np.uint8)
    # of a class that is taken as a whole, pixels stand for their own areas
    pixels[::10, 3] = 1
    with rasterio.open(
        tmp_path / 'map.tif', 'w', driver='GTiff', height=300, width=20, count=1, dtype='uint8',
        crs=4326, transform=from_origin(10, 85, 0.1, 0.2),
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    draw_sample(tmp_path / 'map.tif', tmp_path / 'a.gpkg', count=100, minimum=40)
    told = read_sample(tmp_path / 'a.gpkg')
    assert np.ptp(told.weights) > 0
    columns = ['inclusion_probability', 'weight_m2']
    geopandas.read_file(tmp_path / 'a.gpkg').drop(columns=columns).to_file(tmp_path / 'a.gpkg')
    found = read_sample(tmp_path / 'a.gpkg')
    np.testing.assert_allclose(found.weights, told.weights, rtol=1e-9)
    np.testing.assert_allclose(found.probabilities, told.probabilities, rtol=1e-9)


def test_numbers_are_references_too(saved: Callable[..., Path]) -> None:
    def change(frame: Frame) -> None:
        frame['reference'] = pandas.Series([1.0, np.nan, *[2.0] * 58])

    assert read_sample(saved(change)).references[:3] == ('1', None, '2')


def test_a_sample_without_some_of_its_points_is_one(saved: Callable[..., Path]) -> None:
    assert len(read_sample(saved(lambda frame: frame.iloc[5:]))) == 55


@pytest.mark.parametrize('suffix', ['.gpkg', '.parquet', '.geojson'])
def test_the_design_is_in_the_file_where_there_is_room(
    drawn: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f'a{suffix}'
    draw_sample(drawn.with_name('map.tif'), path, count=60, minimum=10)
    sample = read_sample(path)
    design_path(path).unlink()
    assert has_design(path) == (suffix != '.geojson')
    if suffix == '.geojson':
        with pytest.raises(ValueError, match=r'put the a\.design\.json that draw-sample wrote'):
            read_sample(path)
    else:
        assert read_sample(path).design == sample.design


def add_point(frame: Frame) -> Frame:
    """Add a point by hand."""
    more = frame.iloc[[0]].assign(id=None, row=None)
    return pandas.concat([frame, more], ignore_index=True)


def double(frame: Frame) -> Frame:
    """Have one point twice."""
    return pandas.concat([frame, frame.iloc[[7]]], ignore_index=True)


def add_drawn(frame: Frame) -> Frame:
    """Add a point as if it had been drawn."""
    more = frame.iloc[[0]].assign(id=99, col=(frame['col'][0] + 1) % 80)
    more.geometry = more.geometry.translate((more['col'] - frame['col'][0]) * 10.0, 0)
    return pandas.concat([frame, more], ignore_index=True)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda frame: frame.drop(columns='reference'), 'lacks the column reference'),
        (lambda frame: frame.assign(stratum='sea'), 'strata that its design lacks: id 1, 2'),
        (add_point, "1 points without a whole number as 'id', the first is feature 61"),
        (double, '1 duplicated points: id 8 is there'),
        (add_drawn, 'of which .* were drawn; remove those that were added'),
        (lambda frame: frame.assign(col=frame['col'] + 80), 'outside of its map of 90 x 80 px'),
        (
            lambda frame: frame.set_geometry(frame.geometry.translate(25, 0)),
            '60 points that lie elsewhere than they were drawn: id 1, .* by up to 2.5 pixels',
        ),
        (lambda frame: frame.set_geometry(frame.buffer(1)), 'features that are no points'),
        (lambda frame: frame.assign(weight_m2=frame['weight_m2'] * 2), 'do not sum'),
        (lambda frame: frame.assign(inclusion_probability=1.5), 'are in .0, 1.'),
    ],
)  # fmt: skip
def test_what_is_no_longer_the_sample_is_refused_in_one_line(
    saved: Callable[..., Path], change: Callable[[Frame], Frame], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_sample(saved(change))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"sample_design": 2}'])
def test_what_is_no_design_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='no design of a sample'):
        SampleDesign.from_json(text)


def test_an_empty_stratum_is_refused(drawn: Path) -> None:
    found = json.loads(design_path(drawn).read_text())
    found['strata'][1]['count'] = 0
    with pytest.raises(ValueError, match="the stratum 'water & ice' is empty"):
        SampleDesign.from_json(json.dumps(found))


def test_qgis_finds_a_drop_down_of_the_classes(drawn: Path) -> None:
    root = ElementTree.parse(drawn.with_suffix('.qml')).getroot()
    renderer = root.find('renderer-v2')
    assert renderer is not None
    assert renderer.get('attr') == 'reference'
    fields = {str(field.get('name')): field for field in root.iter('field') if len(field)}
    entries = fields['reference'].iterfind('.//Option[@name="map"]/Option/Option')
    names = [entry.get('value') for entry in entries][1:]
    assert names == ['land', 'water & ice', 'Wald <jung>']
    assert [each.get('value') for each in renderer.iter('category')] == [*names, '']
    widget = fields['map_class'].find('editWidget')
    # who knows what the map says is swayed by it
    assert widget is not None
    assert widget.get('type') == 'Hidden'
    columns = set(geopandas.read_file(drawn).columns) - {'geometry'}
    assert {each.get('name') for each in root.iterfind('editable/field')} == columns
    assert root.findtext('layerGeometryType') == '0'


def test_classes_that_no_name_tells_apart_are_written_as_numbers(tmp_path: Path) -> None:
    pixels = np.arange(400, dtype=np.uint8).reshape(20, 20) % 4
    with rasterio.open(
        tmp_path / 'map.tif', 'w', driver='GTiff', height=20, width=20, count=1, dtype='uint8',
        crs=32633, transform=from_origin(5e5, 5e6, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
        dst.update_tags(1, CLASS_NAMES=json.dumps(['crop', 'crop', 'sea']))
    summary = draw_sample(tmp_path / 'map.tif', tmp_path / 'a.gpkg', count=40, minimum=5)
    assert [each.name for each in summary.design.strata] == [
        'crop (0)', 'crop (1)', 'sea', 'class 3'
    ]  # fmt: skip
    root = ElementTree.parse(tmp_path / 'a.qml').getroot()
    told = [(each.get('value'), each.get('label')) for each in root.iter('category')]
    assert told[:4] == [
        ('0', 'crop (0)'), ('1', 'crop (1)'), ('sea', 'sea'), ('3', 'class 3')
    ]  # fmt: skip
    assert len(read_sample(tmp_path / 'a.gpkg')) == 40


@pytest.mark.filterwarnings('error:More than one layer')
def test_a_further_layer_hides_no_design(drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / 'a.gpkg'
    path.write_bytes(drawn.read_bytes())
    geopandas.read_file(drawn)[:0].to_file(path, layer='further', mode='a')
    assert has_design(path)
