"""Band names and value statistics per sensor, each with its source; which bands are colours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What is known about the values of one kind of image."""

    bands: tuple[str, ...]
    """Band names in file order."""

    scale: float
    """Factor from integer file values to the unit of *mean* and *std*."""

    mean: tuple[float, ...]
    """Per band, after scaling."""

    std: tuple[float, ...]
    """Per band, after scaling."""


# Statistics of ImageNet-1K in [0, 1], the convention of every torchvision and timm backbone:
# https://github.com/pytorch/vision/blob/v0.20.0/torchvision/transforms/_presets.py#L44
RGB = Sensor(
    bands=('red', 'green', 'blue'),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)

# Digital numbers are reflectance x 10,000:
# https://sentiwiki.copernicus.eu/web/s2-products (quantification value).
# Statistics of SSL4EO-S12, level 1C, divided by that value:
# https://github.com/zhu-xlab/SSL4EO-S12/blob/d2868adfada65e40910bfcedfc49bc3b20df2248/src/benchmark/transfer_classification/datasets/EuroSat/eurosat_dataset.py#L97
# fmt: off
SENTINEL2 = Sensor(
    bands=('B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A', 'B9', 'B10', 'B11', 'B12'),
    scale=1e-4,
    mean=(
        0.16129, 0.13976, 0.13223, 0.13731, 0.15610, 0.21084, 0.23907, 0.23187, 0.25810,
        0.08377, 0.00220, 0.21952, 0.15374,
    ),
    std=(
        0.07910, 0.08543, 0.08787, 0.11449, 0.11275, 0.11642, 0.12760, 0.12495, 0.13459,
        0.05775, 0.00475, 0.13400, 0.11429,
    ),
)
# fmt: on

# Names of red, green and blue, in lower case: plain, and those of Sentinel-2 and Landsat 8
COLORS = (('red', 'green', 'blue'), ('r', 'g', 'b'), ('b4', 'b3', 'b2'), ('b04', 'b03', 'b02'))

# Names in the same order that other sensors give to other bands: B4, B3, B2 of Landsat 7 are near
# infrared, red and green. These names beside them belong to Sentinel-2 or Landsat 8 and 9.
_DOUBTFUL = COLORS[2]
_MARKS = frozenset(('b8a', 'b9', 'b10', 'b11', 'b12'))

# Colour interpretations of GDAL that do not say what a band measures
_UNTOLD = frozenset(('undefined', 'gray', 'palette', 'alpha'))

# Those that do, in lower case, of which a band's name can be one:
# https://gdal.org/en/stable/api/raster_c_api.html (GDALColorInterp)
_MEANINGS = frozenset(
    ('red', 'green', 'blue', 'pan', 'coastal', 'rededge', 'nir', 'swir', 'mwir', 'lwir', 'tir')
)
_SYNONYMS = {'nearinfrared': 'nir', 'panchromatic': 'pan', 'thermal': 'tir'}

# what a file calls its bands if it does no more than count them
_COUNTED = re.compile(r'(?:band|layer|channel)[ _-]?0*(\d+)', re.IGNORECASE)

# Words of band names that mean something else than red, green or blue. Numbers mean it alike in
# Sentinel-2 and Landsat 8 and 9; b1 to b4 are left out, since older Landsats count from blue.
# fmt: off
OTHER_WORDS = frozenset((
    'vv', 'vh', 'hv', 'hh', 'sar', 'sigma0', 'gamma0', 'beta0', 'coherence', 'phase', 'amplitude',
    'dem', 'dsm', 'dtm', 'dhm', 'chm', 'ndsm', 'elevation', 'altitude', 'height', 'depth',
    'bathymetry', 'slope', 'aspect', 'hillshade',
    'ndvi', 'evi', 'savi', 'msavi', 'ndwi', 'mndwi', 'ndbi', 'nbr', 'ndsi', 'ndmi', 'lai',
    'nir', 'nir08', 'swir', 'swir1', 'swir2', 'swir16', 'swir22', 'edge', 'rededge',
    'tir', 'tirs', 'thermal', 'temperature', 'lst', 'cirrus', 'pan', 'panchromatic',
    'b5', 'b05', 'b6', 'b06', 'b7', 'b07', 'b8', 'b08', 'b8a', 'b9', 'b09', 'b10', 'b11', 'b12',
))
# fmt: on


def find_colors(bands: Sequence[str]) -> tuple[int, int, int] | None:
    """Find red, green and blue among band names in any order and case.

    Returns:
        Their places in *bands*, 0-based; None where no set of names is complete.
    """
    names = [name.strip().lower() for name in bands]
    for red, green, blue in COLORS:
        if {red, green, blue} <= set(names):
            return names.index(red), names.index(green), names.index(blue)
    return None


def color_order(bands: Sequence[str]) -> tuple[int, int, int]:
    """Say where red, green and blue are among three bands, 0-based; without names, in order."""
    return (find_colors(bands) if len(bands) == 3 else None) or (0, 1, 2)


def name_by_file(
    descriptions: Sequence[str | None], interpretations: Sequence[str]
) -> tuple[str | None, ...]:
    """Name bands as their file does: by descriptions, and where there are none, by colour.

    Args:
        descriptions: Per band; one that only counts ('Band 2', 'Layer_2') is none.
        interpretations: Per band, the name of GDAL's colour interpretation; may be empty.

    Returns:
        Per band its name; None where neither tells.
    """
    told = interpretations or ('undefined',) * len(descriptions)
    pairs = enumerate(zip(descriptions, told, strict=True), start=1)
    return tuple(
        text if text and not _counts(text, band) else None if color in _UNTOLD else color
        for band, (text, color) in pairs
    )


def _counts(description: str, band: int) -> bool:
    """Say whether a description is no more than the number of its band, from 1."""
    found = _COUNTED.fullmatch(description.strip())
    return found is not None and int(found[1]) == band


def tell_meanings(names: Sequence[str | None], *, sure: bool = True) -> tuple[str | None, ...]:
    """Say what bands measure, as far as their names, in any case, tell.

    Args:
        names: None where a band has none.
        sure: Leave out what another sensor means otherwise: B4, B3 and B2 are red, green and blue
            beside names that only Sentinel-2 and Landsat 8 and 9 have.

    Returns:
        Per band a word that colour interpretation has too, such as 'red' or 'nir', or None.
    """
    words = [re.sub('[^a-z0-9]', '', (name or '').lower()) for name in names]
    known = {word: word for word in _MEANINGS} | _SYNONYMS
    for letters in COLORS[1:]:
        is_doubtful = letters == _DOUBTFUL and sure and not _MARKS & set(words)
        if set(letters) <= set(words) and not is_doubtful:
            known |= dict(zip(letters, COLORS[0], strict=True))
    return tuple(known.get(word) for word in words)


def shown_bands(
    names: Sequence[str | None], interpretations: Sequence[str] = ()
) -> tuple[int, int, int] | tuple[int]:
    """Choose which bands a picture shows.

    Args:
        names: Of the bands in any case; None where a band has none.
        interpretations: Per band, the name of GDAL's colour interpretation; may be empty.

    Returns:
        The places, 0-based, of red, green and blue by name or interpretation; else of the first
        three bands; else of the first.
    """
    told = interpretations or ('undefined',) * len(names)
    meanings = tell_meanings(names, sure=False)
    colors = find_colors([word or color for word, color in zip(meanings, told, strict=True)])
    return colors or ((0, 1, 2) if len(names) >= 3 else (0,))


def describe_scaling(scales: Sequence[float], offsets: Sequence[float]) -> str | None:
    """Say in one line that values are taken as stored, where bands have a tagged scale or offset.

    Returns:
        None where nothing is tagged.
    """
    tagged = []
    for name, values, usual in (('scale', scales, 1), ('offset', offsets, 0)):
        if any(value != usual for value in values):
            texts = [f'{value:.10g}' for value in values]
            one = texts[0] if len(set(texts)) == 1 else f'{texts[0]}, ... per band'
            tagged.append(f'{name} {one}')
    return f'taken as stored; the file tags {" and ".join(tagged)}' if tagged else None


def are_colors(bands: Sequence[str]) -> bool | None:
    """Say whether bands are red, green and blue, as far as their names tell, in any order and case.

    Returns:
        True where they are these three; False where they are not three, or a name means something
        else (near infrared, a polarisation, an elevation, an index); None where names do not tell.
    """
    split = [set(re.split(r'[^a-z0-9]+', name.lower())) for name in bands]
    # 'Red (pan-sharpened)' is a colour, and 'red edge' none
    colored = [words & {'red', 'green', 'blue'} and 'edge' not in words for words in split]
    others = [
        words & OTHER_WORDS for words, is_color in zip(split, colored, strict=True) if not is_color
    ]
    if len(bands) != 3 or any(others):
        return False
    return None if find_colors(bands) is None else True
