from dataclasses import replace

import pytest

from gersp_geo.inference.exporting.deepness import find_obstacle
from gersp_geo.preprocessing import Preprocessing

BYTES = Preprocessing(
    bands=('red',), scale=(1 / 255,), mean=(0.5,), std=(0.2,), dtype='uint8', size=64
)


@pytest.mark.parametrize(
    ('record', 'obstacle'),
    [
        (BYTES, None),
        (replace(BYTES, nodata=0.0), 'knows no missing values, and 0 was one'),
        (replace(BYTES, dtype='uint16'), 'for bytes'),
    ],
)
def test_what_the_plugin_would_map_otherwise_is_kept_from_it(
    record: Preprocessing, obstacle: str | None
) -> None:
    found = find_obstacle(record, scores='classes', dates=1, axes=4, is_included=True)
    assert (found is None) == (obstacle is None)
    assert obstacle is None or obstacle in str(found)
