"""Small odd rasters: how pixels are stored, by which driver, and under which name."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy
from rasterio.windows import Window

from tests.corpus.oracle import Scene
from tests.corpus.rasters import COLS, GRID, ROWS, Make, draw, holes, placed, tagged, write

TILED: dict[str, Any] = {'tiled': True, 'blockxsize': 16, 'blockysize': 16}


def written(
    dtype: str = 'u1', *, count: int = 3, shape: tuple[int, int] = (ROWS, COLS), **how: Any
) -> Make:
    """A GeoTIFF with options of its driver."""

    def make(folder: Path) -> Scene:
        pixels = draw(count, dtype, rows=shape[0], cols=shape[1])
        return placed(write(folder / 'a.tif', pixels, **how), pixels)

    return make


def few_bits(bits: int, dtype: str) -> Make:
    """Numbers of fewer bits than their type."""

    def make(folder: Path) -> Scene:
        pixels = draw(3, dtype) % (1 << bits)
        return placed(write(folder / 'a.tif', pixels, nbits=bits), pixels)

    return make


def lossy(**how: Any) -> Make:
    """What compression left of the pixels is the truth."""

    def make(folder: Path) -> Scene:
        path = write(folder / 'a.tif', draw(3), **how)
        return placed(path, _pixels(path))

    return make


def sparse(dtype: str = 'f4', *, interleave: str = 'pixel', nodata: float | None = None) -> Make:
    """A GeoTIFF in which one block alone is stored."""

    def make(folder: Path) -> Scene:
        pixels, hidden = np.zeros((3, 60, 70), dtype), np.ones((60, 70), dtype=bool)
        if nodata is not None:
            pixels[:] = nodata
        part = draw(3, dtype, rows=16, cols=32)
        pixels[:, 16:32, 16:48], hidden[16:32, 16:48] = part, False
        path, how = folder / 'a.tif', TILED | {'interleave': interleave, 'nodata': nodata}
        with rasterio.open(
            path, 'w', driver='GTiff', count=3, height=60, width=70, dtype=pixels.dtype, crs='EPSG:32632',
            transform=GRID, sparse_ok=True, **how,
        ) as dst:  # fmt: skip
            dst.write(part, window=Window(16, 16, 32, 16))
        return placed(path, pixels, hidden=hidden)

    return make


def with_overviews(folder: Path) -> Scene:
    """Overviews hold other values than the raster, and are not to be read."""
    pixels = draw(3, rows=130, cols=140)
    path = write(folder / 'a.tif', pixels, **TILED)
    with rasterio.open(path, 'r+') as dst:
        dst.build_overviews([2, 4, 8], Resampling.average)
    return placed(path, pixels)


def driven(
    driver: str,
    name: str,
    *,
    count: int = 3,
    dtype: str = 'u1',
    options: tuple[str, ...] = (),
    **how: Any,
) -> Make:
    """A copy by another driver."""

    def make(folder: Path) -> Scene:
        source = tagged(dtype, 0, count=count)(folder) if 'nodata' in how else None
        pixels = draw(count, dtype) if source is None else source.pixels
        path = folder / name
        plain = write(folder / 'plain.tif', pixels, nodata=how.pop('nodata', None))
        copy(plain, path, driver=driver, **how)
        truth = {}
        if source is not None:
            truth = {'missing': source.missing, 'rule': source.rule, 'filled': source.filled}
        found = _pixels(path)
        return placed(path, found, options=options, **(truth | _place(path)))

    return make


def _pixels(path: Path) -> Any:
    """Read all bands but transparency."""
    with rasterio.open(path) as src:
        bands = [b for b in src.indexes if src.colorinterp[b - 1] != ColorInterp.alpha]
        return src.read(bands)


def _place(path: Path) -> dict[str, Any]:
    """Read where a copy lies: not every format keeps everything."""
    with rasterio.open(path) as src:
        return {'crs': src.crs, 'transform': src.transform}


def virtual(folder: Path) -> Scene:
    """A mosaic of two files side by side, with one tag."""
    left, right = draw(3), draw(3, cols=COLS + 1)[..., :COLS]
    left[:, holes()] = 0
    moved = GRID * Affine.translation(COLS, 0)
    for name, pixels, transform in (('l.tif', left, GRID), ('r.tif', right, moved)):
        write(folder / name, pixels, nodata=0, transform=transform)
    document = _mosaic([('l.tif', 0), ('r.tif', COLS)], width=2 * COLS)
    (folder / 'a.vrt').write_text(document)
    pixels = np.concatenate([left, right], axis=2)
    return placed(folder / 'a.vrt', pixels, missing=pixels == 0, filled=False)


def _mosaic(parts: list[tuple[str, int]], *, width: int, dtype: str = 'Byte') -> str:
    """Describe a mosaic of three bands."""
    bands = ''
    for band, color in ((1, 'Red'), (2, 'Green'), (3, 'Blue')):
        sources = ''.join(
            f'<ComplexSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="{COLS}" '
            f'ySize="{ROWS}"/><DstRect xOff="{off}" yOff="0" xSize="{COLS}" ySize="{ROWS}"/>'
            '<NODATA>0</NODATA></ComplexSource>'
            for name, off in parts
        )
        bands += (
            f'<VRTRasterBand dataType="{dtype}" band="{band}"><NoDataValue>0</NoDataValue>'
            f'<ColorInterp>{color}</ColorInterp>{sources}</VRTRasterBand>'
        )
    return _dataset(bands, width=width)


def _dataset(bands: str, *, width: int = COLS) -> str:
    """Describe a virtual raster on the usual grid."""
    grid = ', '.join(map(repr, GRID.to_gdal()))
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{ROWS}"><SRS>EPSG:32632</SRS>'
        f'<GeoTransform>{grid}</GeoTransform>{bands}</VRTDataset>'
    )


def _band(band: int, content: str, *, dtype: str = 'Byte') -> str:
    """Describe a band."""
    return f'<VRTRasterBand dataType="{dtype}" band="{band}">{content}</VRTRasterBand>'


def _source(name: str, band: int, *, rows: int = ROWS, cols: int = COLS, off: int = 0) -> str:
    """Describe where pixels of a band come from."""
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"/>'
        f'<DstRect xOff="{off}" yOff="0" xSize="{cols}" ySize="{rows}"/></SimpleSource>'
    )


def masked_bands(dtype: str = 'u1', *, rule: str = '', tag: float | None = None) -> Make:
    """Bands with a mask each, two of three times another one."""

    def make(folder: Path) -> Scene:
        pixels, missing = draw(3, dtype), band_masks()
        write(folder / 'pixels.tif', pixels)
        write(folder / 'masks.tif', np.where(missing, 0, 255).astype('u1'))
        typename = {'u1': 'Byte', 'u2': 'UInt16', 'f4': 'Float32'}[dtype]
        bands = ''.join(
            _band(
                band,
                f'{_source("pixels.tif", band)}<MaskBand><VRTRasterBand dataType="Byte">'
                f'{_source("masks.tif", band)}</VRTRasterBand></MaskBand>',
                dtype=typename,
            )
            for band in (1, 2, 3)
        )
        (folder / 'a.vrt').write_text(_dataset(bands))
        options = ('--observed', rule) if rule else ()
        chosen: Any = rule or 'all'
        return placed(folder / 'a.vrt', pixels, missing=missing, rule=chosen, options=options)

    return make


def band_masks() -> Any:
    """Draw holes of three bands; the last has none of its own."""
    missing = np.stack([holes(seed=1), holes(seed=2), np.zeros((ROWS, COLS), dtype=bool)])
    missing[:, -9:, :20] = True
    return missing


def bands_of_other_extents(dtype: str = 'u2') -> Make:
    """One file per band, of which the second covers the left part alone."""

    def make(folder: Path) -> Scene:
        pixels, missing = draw(3, dtype), np.zeros((3, ROWS, COLS), dtype=bool)
        missing[1, :, 30:] = True
        pixels[missing] = 0
        for band, width in ((1, COLS), (2, 30), (3, COLS)):
            write(folder / f'{band}.tif', pixels[band - 1 : band, :, :width])
        typename = {'u1': 'Byte', 'u2': 'UInt16'}[dtype]
        bands = ''.join(
            _band(
                band,
                f'<NoDataValue>0</NoDataValue>{_source(f"{band}.tif", 1, cols=width)}',
                dtype=typename,
            )
            for band, width in ((1, COLS), (2, 30), (3, COLS))
        )
        (folder / 'a.vrt').write_text(_dataset(bands))
        return placed(
            folder / 'a.vrt', pixels, missing=missing, filled=dtype != 'u1',
            rule='any' if dtype == 'u1' else 'all',
        )  # fmt: skip

    return make


def different_tags(dtype: str = 'i2') -> Make:
    """Bands with a tag each, as a virtual raster may have."""

    def make(folder: Path) -> Scene:
        pixels, missing = draw(3, dtype), band_masks()
        tags = (0, 100, 101)
        for band, tag in enumerate(tags):
            pixels[band, missing[band]] = tag
        write(folder / 'pixels.tif', pixels)
        bands = ''.join(
            _band(
                band,
                f'<NoDataValue>{tags[band - 1]}</NoDataValue>{_source("pixels.tif", band)}',
                dtype={'i2': 'Int16', 'u1': 'Byte'}[dtype],
            )
            for band in (1, 2, 3)
        )
        (folder / 'a.vrt').write_text(_dataset(bands))
        return placed(
            folder / 'a.vrt', pixels, missing=missing, filled=dtype != 'u1',
            rule='any' if dtype == 'u1' else 'all',
        )  # fmt: skip

    return make


def subdataset(folder: Path) -> Scene:
    """One of two rasters in a container."""
    pixels = draw(2, 'f4')
    copy(write(folder / 'plain.tif', pixels), folder / 'a.nc', driver='netCDF')
    path = f'NETCDF:"{folder / "a.nc"}":Band2'
    with rasterio.open(path) as src:
        return placed(path, pixels[1:], crs=src.crs, transform=src.transform)


def sparse_band(folder: Path) -> Scene:
    """A planar GeoTIFF, in which a block of one band alone is not stored."""
    pixels = draw(3, 'i2', rows=48, cols=64)
    missing = np.zeros(pixels.shape, dtype=bool)
    missing[1, 16:32, 16:48] = True
    path = folder / 'a.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', count=3, height=48, width=64, dtype='int16', crs='EPSG:32632',
        transform=GRID, sparse_ok=True, interleave='band', nodata=-1, **TILED,
    ) as dst:  # fmt: skip
        for band in (1, 3):
            dst.write(pixels[band - 1], band)
        dst.write(pixels[1, :16], 2, window=Window(0, 0, 64, 16))
        dst.write(pixels[1, 16:, :16], 2, window=Window(0, 16, 16, 32))
        dst.write(pixels[1, 16:, 48:], 2, window=Window(48, 16, 16, 32))
        dst.write(pixels[1, 32:, 16:48], 2, window=Window(16, 32, 32, 16))
    return placed(path, pixels, missing=missing, rule='all')
