from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from gersp_geo.accuracy.references.legends import IGNORED, Legend
from gersp_geo.geoio.polygons import ClassMap, describe_map
from gersp_geo.geoio.read import open_reader
from gersp_geo.geoio.write import write_raster

NAMES = ('open water', '2', '', 'Straße', 'field', 'FIELD')


@pytest.fixture
def described(tmp_path: Path) -> ClassMap:
    path = write_raster(
        tmp_path / 'map.tif', np.zeros((1, 1), np.uint8), crs='EPSG:32632',
        transform=Affine(2, 0, 0, 0, -2, 0), class_names=NAMES, class_colors=((0, 0, 0),) * 6,
    )  # fmt: skip
    with open_reader(path) as src:
        return describe_map(src)


def match(described: ClassMap, value: str, **options: object) -> int:
    settings: dict[str, object] = {'classes': None, 'ignore': ()}
    legend = Legend.of(described, **(settings | options))  # type: ignore[arg-type]
    return legend.match({value: 1}, where='points.gpkg')[value]


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('open water', 0), (' Open  WATER ', 0), ('STRASSE', 3), ('0', 0), ('007', 7), ('3.0', 3),
        # the name of a class goes before the number of another one
        ('2', 1), ('02', 1),
        # what is spelt exactly is meant
        ('field', 4), ('FIELD', 5),
    ],
)  # fmt: skip
def test_names_go_before_numbers_and_are_read_as_people_do(
    described: ClassMap, value: str, expected: int
) -> None:
    assert match(described, value) == expected


def test_values_are_what_a_user_says(described: ClassMap) -> None:
    classes = {'open water': [1, '2'], '3': ['Wald']}
    assert match(described, '2', classes=classes) == 0
    assert match(described, 'wald ', classes=classes) == 3
    assert match(described, '9', classes=classes, ignore=[9.0, 9]) == IGNORED
    with pytest.raises(ValueError, match=r'classes \(--classes\) names only 1, 2, wald; name all'):
        match(described, 'field', classes=classes)


@pytest.mark.parametrize(
    ('value', 'options', 'message'),
    [
        ('Field', {}, "the map calls 2 classes 'Field'"),
        ('snow', {}, r"holds 'snow' \(1\), and the map has no such class, only 0 open water"),
        ('-1', {}, 'no such class'),
        ('1.5', {}, 'no such class'),
        ('1', {'classes': {'0': [1], '3': [1]}}, "got '1' for several"),
        ('1', {'classes': {'0': [1]}, 'ignore': ['1']}, "got '1' for several"),
    ],
)
def test_what_could_be_several_classes_or_none_is_refused(
    described: ClassMap, value: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        match(described, value, **options)
