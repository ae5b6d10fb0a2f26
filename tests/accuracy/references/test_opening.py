"""Which column of a reference says what is there."""

import geopandas
import pytest
import shapely

from gersp_geo.accuracy.references.opening import choose_attribute


def frame(*columns: str) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {name: ['oak'] for name in columns}, geometry=[shapely.Point(0, 0)]
    )


@pytest.mark.parametrize(
    ('columns', 'chosen'),
    [
        (('code',), 'code'),
        (('id', 'reference', 'class_name'), 'reference'),
        # as polygons of a map have them
        (('class', 'class_name', 'area_m2'), 'class_name'),
    ],
)
def test_the_column_is_known_by_its_name_or_is_the_only_one(
    columns: tuple[str, ...], chosen: str
) -> None:
    assert choose_attribute(frame(*columns), None, source='areas.gpkg') == chosen


def test_one_of_several_columns_is_not_guessed() -> None:
    with pytest.raises(ValueError, match=r'has several columns: code, kind; attribute'):
        choose_attribute(frame('code', 'kind'), None, source='areas.gpkg')
    assert choose_attribute(frame('code', 'kind'), 'kind', source='areas.gpkg') == 'kind'
