"""Images that are read by number and window."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from rasterio.transform import Affine

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.windows import Window

pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')


def draw(path: Path, *, side: int = 256, alpha: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 3 + alpha), dtype=np.uint8)
    if alpha:
        pixels[..., 3] = 255
        pixels[:10, :, 3] = 0
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ('name', 'pattern'),
    [
        ('map-75-41-7.png', '{x}-{y}-{z}'),
        ('7/75/41.png', '{z}/{x}/{y}'),
        ('t_7_41_75.png', '{z}_{y}_{x}'),
    ],
)
def test_tiles_of_a_web_map_lie_where_their_numbers_say(
    tmp_path: Path, name: str, pattern: str
) -> None:
    tiles = RasterTiles([str(draw(tmp_path / name))], tile_pattern=pattern)
    (header,) = tiles.tiles
    back = Transformer.from_crs(header.crs, 4326, always_xy=True)
    longitude, latitude = back.transform(*(header.transform @ (0, 0)))
    # longitude of x and latitude of y, as Web Mercator defines them
    assert longitude == pytest.approx(75 / 2**7 * 360 - 180)
    expected = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * 41 / 2**7))))
    assert latitude == pytest.approx(expected)
    assert header.transform.a == pytest.approx(40_075_016.6856 / 2**7 / 256)
    assert tiles.res_m == pytest.approx(header.transform.a)


@pytest.mark.parametrize(
    ('pattern', 'rule'),
    [
        ('{x}-{y}', r'must have \{x\}, \{y\} and \{z\} once each'),
        ('{z}-{x}-{y}', 'would be the tile x=41, y=7 of zoom 75'),
        ('{x}_{y}_{z}', 'is not named as tile_pattern'),
    ],
)
def test_names_that_are_no_tile_are_told(tmp_path: Path, pattern: str, rule: str) -> None:
    path = draw(tmp_path / 'map-75-41-7.png')
    with pytest.raises(ValueError, match=rule):
        RasterTiles([str(path)], tile_pattern=pattern)


def test_pictures_are_read_as_they_are_and_alpha_hides(tmp_path: Path) -> None:
    path = draw(tmp_path / 'images' / 'a.png', alpha=True)
    tiles = RasterTiles(str(tmp_path / 'images'))
    window = Window(row_off=5, col_off=3, height=20, width=30)
    expected = np.asarray(Image.open(path))[5:25, 3:33, :3].transpose(2, 0, 1)
    assert np.array_equal(tiles.read_patch(0, window).numpy(), expected)
    valid = tiles.read_valid(0, window)
    assert not valid[:5].any()
    assert valid[5:].all()
    assert (tiles.res_m, tiles.left_out) == (None, (4,))


def test_pictures_beside_rasters_are_left_out_with_a_word(tmp_path: Path) -> None:
    draw(tmp_path / 'a.png')
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', height=8, width=8, count=3, dtype='uint8',
        crs='EPSG:32633', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(np.ones((3, 8, 8), dtype=np.uint8))
    with pytest.warns(UserWarning, match=r'1 files such as .*a.tif, which are read, and 1 such as'):
        tiles = RasterTiles(str(tmp_path))
    assert [Path(file).name for file in tiles.files] == ['a.tif']
