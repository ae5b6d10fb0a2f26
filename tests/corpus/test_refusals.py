"""What cannot be read rightly ends in one line that says why, from every command, before any work."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from tests.corpus.command import Command, Models
from tests.corpus.comparing import CUT, PATCHES
from tests.corpus.rasters import GRID, draw, write

type Odd = Callable[[Path], tuple[str, tuple[str, ...]]]
"""Writes a scene; gives its name and words for the command."""


def palette(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Numbers of colours."""
    path = write(folder / 'a.tif', draw(1), photometric='PALETTE')
    with rasterio.open(path, 'r+') as dst:
        dst.write_colormap(1, {value: (value, 255 - value, 0, 255) for value in range(256)})
    return str(path), ()


def palette_png(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The same by another driver."""
    from PIL import Image

    picture = Image.fromarray(draw(1)[0], mode='P')
    picture.putpalette(list(range(256)) * 3)
    picture.save(folder / 'a.png')
    return str(folder / 'a.png'), ()


def complex_numbers(dtype: str) -> Odd:
    """Amplitude and phase."""

    def make(folder: Path) -> tuple[str, tuple[str, ...]]:
        path, pixels = folder / 'a.tif', draw(3).astype('complex64')
        with rasterio.open(
            path, 'w', driver='GTiff', count=3, height=43, width=57, dtype=dtype, transform=GRID
        ) as dst:
            dst.write(pixels)
        return str(path), ()

    return make


def cut_off(share: float) -> Odd:
    """An interrupted download."""

    def make(folder: Path) -> tuple[str, tuple[str, ...]]:
        path = write(folder / 'a.tif', draw(3, rows=150, cols=170), tiled=True, blockxsize=64,
                     blockysize=64)  # fmt: skip
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return str(path), ()

    return make


def few_bands(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Fewer bands than the model wants."""
    return str(write(folder / 'a.tif', draw(2))), ()


def no_such_band(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A band that is not there."""
    return str(write(folder / 'a.tif', draw(3))), ('--bands', '1,2,4')


def unclear_bands(folder: Path) -> tuple[str, tuple[str, ...]]:
    """More bands than wanted, without names."""
    pixels = draw(5)
    colors = (ColorInterp.undefined,) * 5
    return str(write(folder / 'a.tif', pixels, colors=colors, photometric='MINISBLACK')), ()


def same_names(folder: Path) -> tuple[str, tuple[str, ...]]:
    """One name for two bands."""
    return str(write(folder / 'a.tif', draw(3), names=('red', 'red', 'blue'))), ()


def no_raster(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A text."""
    (folder / 'a.tif').write_text('II* of another kind')
    return str(folder / 'a.tif'), ()


def no_bands_of_its_own(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A container of several rasters."""
    from rasterio.shutil import copy

    copy(write(folder / 'plain.tif', draw(2, 'f4')), folder / 'a.nc', driver='netCDF')
    (folder / 'plain.tif').unlink()
    return str(folder / 'a.nc'), ()


def lost_part(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A virtual raster without the file that it refers to."""
    from rasterio.shutil import copy

    copy(write(folder / 'part.tif', draw(3)), folder / 'a.vrt', driver='VRT')
    (folder / 'part.tif').unlink()
    return str(folder / 'a.vrt'), ()


def no_place_but_a_crs_is_asked_for(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A scene that lies nowhere."""
    path = write(folder / 'a.tif', draw(3), transform=None, crs=None)
    return str(path), ('--crs', 'EPSG:4326')


def ordinary(*words: str) -> Odd:
    """A scene that is right, and options that are not."""
    return lambda folder: (str(write(folder / 'a.tif', draw(3), transform=GRID)), words)


def flat(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Pixels without a width."""
    pixels = np.zeros((3, 20, 20), dtype='uint8')
    path = write(folder / 'a.tif', pixels, transform=Affine(0, 0, 4e5, 0, -10, 5e6))
    return str(path), ('--res', '10')


# name: scene, what the line says
CASES: dict[str, tuple[Odd, str]] = {
    'palette': (palette, 'expand'),
    'palette in PNG': (palette_png, 'expand'),
    'complex_int16': (complex_numbers('complex_int16'), 'complex'),
    'complex64': (complex_numbers('complex64'), 'complex'),
    'cut off early': (cut_off(0.01), 'cut off'),
    'cut off late': (cut_off(0.9), 'cut off'),
    'few bands': (few_bands, 'bands'),
    'no such band': (no_such_band, 'bands'),
    'unclear bands': (unclear_bands, '--bands'),
    'one name for two': (same_names, '--bands'),
    'no raster': (no_raster, 'not a raster'),
    'several rasters': (no_bands_of_its_own, 'sub-dataset'),
    'a part is lost': (lost_part, 'part.tif'),
    'no place': (no_place_but_a_crs_is_asked_for, 'CRS'),
    'no such CRS': (ordinary('--crs', 'EPSG:999999'), '999999'),
    'a local CRS': (ordinary('--crs', 'LOCAL_CS["local",UNIT["metre",1]]'), 'local'),
    'too fine': (ordinary('--res', '1e-7'), ''),
    'no resolution': (ordinary('--res', '0'), 'res'),
    'pixels without a width': (flat, ''),
}


@pytest.mark.parametrize(('odd', 'said'), CASES.values(), ids=CASES)
def test_one_line_says_why(
    odd: Odd, said: str, command: Command, models: Models, tmp_path: Path
) -> None:
    name, words = odd(tmp_path)
    for verb, model, cut in (
        ('plan', models[3, 'values'], CUT),
        ('predict', models[3, 'values'], CUT),
        ('predict', models[3, 'vectors'], PATCHES),
    ):
        assert said in command.refuse(verb, model, name, '-o', tmp_path / 'map.tif', *cut, *words)
