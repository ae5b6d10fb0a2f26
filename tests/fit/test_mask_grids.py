"""A mask lies on the pixels of its image, to a hundredth of a pixel, whatever the units."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pytest
import rasterio
from pyproj import CRS as PyprojCRS
from rasterio.transform import Affine

from gersp_geo.datamodules import GeoTIFFSegmentationDataModule

type Fit = Callable[..., Any]
type Put = Callable[..., Path]

# corners and pixels of drone images in degrees, of Sentinel-2 in metres, and of a plan in US feet
DEGREES = {'crs': 'EPSG:4326', 'corner': (10.0, 45.0), 'res': 4.5e-7}
METRES = {'crs': 'EPSG:32633', 'corner': (4e5, 5e6), 'res': 10.0}
LAMBERT = {'crs': 'EPSG:3035', 'corner': (4_321_000.0, 3_210_000.0), 'res': 10.0}
FEET = {'crs': 'EPSG:2263', 'corner': (980_000.0, 200_000.0), 'res': 0.25}


def moved(place: dict[str, Any], steps: list[float], *, skew: float = 0.0) -> Affine:
    """The grid of a place, its corner moved by pixels, its pixels scaled along x and y."""
    right, down, wide, high = steps
    (x, y), res = place['corner'], place['res']
    return Affine(wide * res, skew, x + right * res, skew, -high * res, y - down * res)


def open_module(options: dict[str, Any]) -> Any:
    """What the command opens, without a task."""
    sources: dict[str, Any] = {
        name.removeprefix('data.'): str(path) for name, path in options.items()
    }
    datamodule = GeoTIFFSegmentationDataModule(**sources, size=32, block_size=32)
    datamodule.setup('fit')
    return datamodule


def respell(mask: Path) -> Path:
    """A virtual raster of a mask, whose CRS is spelled as Esri does."""
    with rasterio.open(mask) as src:
        text = PyprojCRS.from_user_input(src.crs).to_wkt('WKT1_ESRI')
        vrt = mask.with_suffix('.vrt')
        numbers = ', '.join(map(repr, src.transform.to_gdal()))
        vrt.write_text(
            f'<VRTDataset rasterXSize="{src.width}" rasterYSize="{src.height}"><SRS>'
            f'{escape(text)}</SRS><GeoTransform>{numbers}</GeoTransform>'
            '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename '
            f'relativeToVRT="1">{mask.name}</SourceFilename></SimpleSource></VRTRasterBand>'
            '</VRTDataset>'
        )
    return vrt


def images_and_masks(put: Put, place: dict[str, Any], transform: Affine, **mask: Any) -> Any:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 255, (3, 64, 96)).astype(np.uint8)
    classes = np.tile(np.array([0, 1], dtype=np.uint8), (64, 48))
    image = put('images/a.tif', pixels, **place)
    labels = put('masks/a.tif', classes, **place | {'transform': transform} | mask)
    return {'data.images': image, 'data.masks': labels}


@pytest.mark.parametrize(
    ('place', 'steps', 'difference'),
    [
        (DEGREES, [20, 0, 1, 1], 'lies 20.0 pixels east and 0.0 south of '),
        (DEGREES, [0, 0, 2, 2], 'has pixels 2.0 times as wide and 2.0 times as high as '),
    ],
)
def test_a_mask_elsewhere_is_refused_with_the_pixels_between(
    fit_segmentation: Fit, put: Put, place: dict[str, Any], steps: list[float], difference: str
) -> None:
    run = fit_segmentation(images_and_masks(put, place, moved(place, steps)))
    assert f'masks/a.tif {difference}' in run.refusal
    assert run.refusal.count('images/a.tif') == 2
    assert '--like' in run.refusal


def test_rounding_is_no_difference(fit_segmentation: Fit, put: Put) -> None:
    # 0.005 pixels at the near corner, and nearly as much the other way at the far one
    transform = moved(METRES, [0.005, 2e-6, 0.9999, 1])
    run = fit_segmentation(images_and_masks(put, METRES, transform))
    assert len(run.record['class_names']) == 2


@pytest.mark.parametrize(
    ('place', 'steps', 'skew', 'difference'),
    [
        (DEGREES, [-0.02, 0.5, 1, 1], 0.0, 'lies 0.02 pixels west and 0.5 south of '),
        (METRES, [0, -0.025, 1, 1], 0.0, 'lies 0.0 pixels east and 0.025 north of '),
        (FEET, [1, 1, 1, 1], 0.0, 'lies 1.0 pixels east and 1.0 south of '),
        # a fifth of a thousandth of a pixel, 96 times
        (DEGREES, [0, 0, 1.0002, 1], 0.0, 'has pixels 1.0002 times as wide and 1.0 times as high'),
        (METRES, [0, 64, 1, -1], 0.0, 'counts its rows from the other side than '),
        # 96 columns of half a metre down
        (METRES, [0, 0, 1, 1], 0.5, 'is rotated against .*, with a corner 4.8 pixels off'),
    ],
)
def test_every_kind_of_difference_is_named(
    put: Put, place: dict[str, Any], steps: list[float], skew: float, difference: str
) -> None:
    options = images_and_masks(put, place, moved(place, steps, skew=skew))
    with pytest.raises(ValueError, match=rf'masks/a\.tif {difference}') as info:
        open_module(options)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('place', [DEGREES, METRES, FEET, LAMBERT])
def test_masks_of_other_programs_pass(put: Put, place: dict[str, Any]) -> None:
    options = images_and_masks(put, place, moved(place, [0, 0, 1, 1]))
    # other than a GeoTIFF, a virtual raster keeps the spelling of its CRS
    options['data.masks'] = respell(options['data.masks'])
    counts = np.sum([part.counts for part in open_module(options).train_patches.labels], axis=0)
    assert counts[0] == counts[1] > 0
    assert counts.sum() == counts[:2].sum()


def test_another_crs_or_none_is_refused(put: Put) -> None:
    transform = moved(METRES, [0, 0, 1, 1])
    with pytest.raises(ValueError, match=r'a\.tif is in EPSG:25833 and .*a\.tif in EPSG:32633'):
        open_module(images_and_masks(put, METRES, transform, crs='EPSG:25833'))
    with pytest.raises(ValueError, match=r'a\.tif names no CRS .*rio edit-info'):
        open_module(images_and_masks(put, METRES, transform, crs=None))
