"""The same objects in every format are the same objects."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from gersp_geo.labels.objects import ObjectSource

type Box = tuple[float, float, float, float]
type Named = Sequence[tuple[str, Box]]

HEIGHT, WIDTH = 64, 96
NAMES = ('big ship', 'oil & gas', 'car')


def write_coco(folder: Path, found: Named, *, polygons: bool = False) -> Path:
    numbers = {name: 7 * place + 3 for place, name in enumerate(NAMES)}
    annotations: list[dict[str, Any]] = []
    for number, (name, (left, top, right, bottom)) in enumerate(found):
        shape = {'bbox': [left, top, right - left, bottom - top]}
        ring = [left, top, right, top, right, bottom, left, bottom]
        annotations.append(
            {'id': number, 'image_id': 5, 'category_id': numbers[name], 'iscrowd': 0}
            | ({'segmentation': [ring]} if polygons else shape)
        )
    content = {
        'images': [
            {'id': 5, 'file_name': 'somewhere/else/a.jpg', 'width': WIDTH, 'height': HEIGHT}
        ],
        'annotations': annotations,
        'categories': [{'id': number, 'name': name} for name, number in numbers.items()],
    }
    path = folder / 'a.json'
    path.write_text(json.dumps(content))
    return path


def write_voc(folder: Path, found: Named) -> Path:
    def entry(name: str, corners: Box) -> str:
        keys = ('xmin', 'ymin', 'xmax', 'ymax')
        sides = ''.join(f'<{k}>{v!r}</{k}>' for k, v in zip(keys, corners, strict=True))
        return f'<object><name>{escape(name)}</name><bndbox>{sides}</bndbox></object>'

    (folder / 'a.xml').write_text(f'<annotation>{"".join(entry(*o) for o in found)}</annotation>')
    return folder


def corner_points(corners: Box) -> list[float]:
    left, top, right, bottom = corners
    return [left, top, right, top, right, bottom, left, bottom]


def write_yolo(folder: Path, found: Named, *, polygons: bool = False) -> Path:
    lines = []
    for name, (left, top, right, bottom) in found:
        shares = [
            (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT, (right - left) / WIDTH,
            (bottom - top) / HEIGHT,
        ]  # fmt: skip
        if polygons:
            points = corner_points((left, top, right, bottom))
            shares = [value / (HEIGHT if i % 2 else WIDTH) for i, value in enumerate(points)]
        lines.append(' '.join([str(NAMES.index(name)), *map(repr, shares)]))
    (folder / 'a.txt').write_text('\n'.join(lines))
    (folder / 'classes.txt').write_text('\n'.join(NAMES))
    return folder


def write_dota(folder: Path, found: Named) -> Path:
    lines = ['imagesource:GoogleEarth', 'gsd:0.15']
    for name, corners in found:
        words = map(repr, corner_points(corners))
        lines.append(' '.join([*words, name.replace(' ', '-'), '0']))
    (folder / 'a.txt').write_text('\n'.join(lines))
    return folder


def write_csv(folder: Path, found: Named) -> Path:
    rows = [f'images/a.tif,{",".join(map(repr, corners))},{name}' for name, corners in found]
    path = folder / 'a.csv'
    path.write_text('\n'.join(['image_path,xmin,ymin,xmax,ymax,label', *rows]))
    return path


def write_bounds(folder: Path, found: Named) -> Path:
    rows = [f'a,{name},"({", ".join(map(repr, corners))})"' for name, corners in found]
    path = folder / 'a.csv'
    path.write_text('\n'.join(['image_id,class,bounds', *rows]))
    return path


def write_vector(folder: Path, found: Named, *, suffix: str = '.gpkg') -> Path:
    outlines = [box(*corners) for _, corners in found]
    ground = shapely.transform(
        np.array(outlines), lambda xy: np.array([4e5, 5e6]) + xy * np.array([10, -10])
    )
    frame = geopandas.GeoDataFrame(
        {'kind': [name for name, _ in found]}, geometry=ground, crs=32633
    )
    path = folder / f'a{suffix}'
    frame.to_parquet(path) if suffix == '.parquet' else frame.to_file(path)
    return path


WRITERS: dict[str, Callable[[Path, Named], Path]] = {
    'coco': write_coco,
    'coco-polygons': lambda folder, found: write_coco(folder, found, polygons=True),
    'voc': write_voc,
    'yolo': write_yolo,
    'yolo-polygons': lambda folder, found: write_yolo(folder, found, polygons=True),
    'dota': write_dota,
    'csv': write_csv,
    'csv-bounds': write_bounds,
    'gpkg': write_vector,
    'parquet': lambda folder, found: write_vector(folder, found, suffix='.parquet'),
    'shp': lambda folder, found: write_vector(folder, found, suffix='.shp'),
    'geojson': lambda folder, found: write_vector(folder, found, suffix='.json'),
}


@st.composite
def drawn_boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.floats(0, WIDTH - 2)), draw(st.floats(0, HEIGHT - 2))
    right, bottom = draw(st.floats(left + 1, WIDTH)), draw(st.floats(top + 1, HEIGHT))
    return left, top, right, bottom


@pytest.mark.quick('coco', 'voc', 'yolo', 'dota', 'csv', 'geojson')
@pytest.mark.parametrize('kind', WRITERS)
@settings(max_examples=5)
@given(
    found=st.lists(st.tuples(st.sampled_from(NAMES), drawn_boxes()), min_size=2, max_size=8).filter(
        lambda found: max(max(corners) for _, corners in found) > 1
    )
)
def test_the_same_objects_are_read_from_every_format(
    kind: str,
    found: Named,
    scene: Callable[..., Path],
    open_labels: Callable[..., ObjectSource],
    tmp_path: Path,
) -> None:
    scene('a.tif')
    folder = tmp_path / 'labels'
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    is_vector = kind in ('gpkg', 'parquet', 'shp', 'geojson')
    source = open_labels(WRITERS[kind](folder, found), attribute='kind' if is_vector else None)
    objects = source.of(0)
    assert objects is not None
    # degrees with few decimals, and metres of UTM
    exact = 1e-2 if kind == 'geojson' else 1e-6
    np.testing.assert_allclose(
        objects.bounds, [corners for _, corners in found], atol=exact, rtol=0
    )
    names = [source.class_names[code].replace('-', ' ') for code in objects.classes]
    assert names == [name for name, _ in found]
    if kind in ('coco', 'coco-polygons', 'yolo', 'yolo-polygons'):
        assert source.class_names == NAMES
    else:
        assert list(source.class_names) == sorted(source.class_names)
    assert not objects.ignored.any()
