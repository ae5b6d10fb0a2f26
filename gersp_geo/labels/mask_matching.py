"""Which mask belongs to which image, and how the pixels of both lie to each other."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from affine import Affine
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from ..datasets.scene_names import Paths, find_rasters
from ..geoio.crs import name_crs, same_crs
from ..geoio.formats import IMAGE_SUFFIXES
from ..geoio.grids import Grid, describe_shift
from ..geoio.read import RasterHeader
from ..geoio.warp import describe_lack, find_nearest
from ..windows import Window

type Masks = Paths | Mapping[str, str]
"""Files, or folders of them; or which parts of the path of an image make that of its mask."""

NEAREST = 'from the nearest one'
"""What is done with a mask on another grid, as a rule."""

type Pair = tuple[Grid, Grid]
"""Where the pixels of a mask lie, and those of its image."""

# images are tried at so many places per side for whether a mask reaches them
PROBES = 256

EXAMPLE = "{'/images/': '/masks/', '.jpg': '.png'}"


def match_masks(
    images: Sequence[str], masks: Masks, *, word: str = 'mask', option: str = 'masks'
) -> list[str]:
    """Find the mask of each image, or another raster that goes with it.

    Args:
        images: Files.
        masks: Files and folders hold masks with the file names of the images without suffix; one
            file of another name is the mask of all images. A mapping replaces parts of the path of
            each image: of each part, the last occurrence.
        word: What such a raster is called in messages.
        option: What the user passes it with.

    Raises:
        FileNotFoundError: If an image has no mask.
        ValueError: If two images or two masks share a name, a mask is an image too, or a path lacks
            a part.

    Warns:
        UserWarning: If a mask has no image.
    """
    if isinstance(masks, Mapping):
        return [_rename(image, masks, word=word, option=option) for image in images]
    found = find_rasters(masks)
    # a link to a file may stand for any file of the same content
    own = {(os.path.realpath(Path(image).parent), Path(image).name) for image in images}
    both = [m for m in found if (os.path.realpath(Path(m).parent), Path(m).name) in own]
    if both:
        raise ValueError(
            f'{both[0]} is an image too, and cannot be a {word}; name files or folders that hold '
            f'{option} alone, or say which parts of a path differ: {option}={EXAMPLE}'
        )
    named = {Path(image).stem for image in images}
    if len(found) == 1 and (len(images) == 1 or Path(found[0]).stem not in named):
        return found * len(images)
    for files in (images, found):
        stems = [Path(file).stem for file in files]
        for file, stem in zip(files, stems, strict=True):
            if stems.count(stem) > 1:
                raise ValueError(
                    f'two files are named {stem}, one is {file}; rename them, or say which parts '
                    f'of a path differ: {option}={EXAMPLE}'
                )
    by_stem = {Path(mask).stem: mask for mask in found}
    for image in images:
        if Path(image).stem not in by_stem:
            raise FileNotFoundError(
                f'no {word} named {Path(image).stem} for {image}; add one, or say which parts of '
                f'a path differ: {option}={EXAMPLE}'
            )
    matched = [by_stem[Path(image).stem] for image in images]
    if unused := sorted(set(found) - set(matched)):
        warnings.warn(f'{len(unused)} of {option} have no image, one is {unused[0]}', stacklevel=4)
    return matched


def _rename(image: str, parts: Mapping[str, str], *, word: str, option: str) -> str:
    """Make the path of a mask out of that of its image."""
    mask = image
    for old, new in parts.items():
        before, found, after = mask.rpartition(old) if old else ('', '', mask)
        if not found:
            raise ValueError(
                f'{option} replaces {old!r}, which is no part of {mask} (for {image}); name a part '
                f'of the paths of all images, as in {option}={EXAMPLE}, or the images by a pattern '
                "such as 'train/*_sat.jpg'"
            )
        mask = f'{before}{new}{after}'
    if mask == image:
        raise ValueError(
            f'{option} must change the path of each image, got {dict(parts)} for {image}'
        )
    if not Path(mask).is_file():
        raise FileNotFoundError(f'no {word} {mask} for {image}; add it, or correct {dict(parts)}')
    return mask


def place_mask(
    file: str,
    header: RasterHeader,
    *,
    image: str,
    expected: RasterHeader,
    is_mosaic: bool,
    word: str = 'mask',
) -> bool:
    """Say whether a mask has to be resampled for its image, or lies on the same pixels.

    A mask of as many rows and columns as its image claims to be on its pixels: then, a corner may
    lie up to 0.01 pixels off. Where one of both has no place, pixels are counted.

    Args:
        file: The mask.
        header: Its header.
        image: The image.
        expected: Its header.
        is_mosaic: Whether it is the mask of other images too, where its place alone counts.
        word: What it is called.

    Raises:
        ValueError: If the mask is on no grid, or on another one although it has as many pixels.
    """
    fix = f'a {word} lies on the grid of its image: rio warp {file} OUT.tif --like {image}'
    is_sized = (header.height, header.width) == (expected.height, expected.width)
    if header.crs is not None and expected.crs is not None and (is_mosaic or not is_sized):
        return True
    if expected.crs is not None and header.georeference.is_place:
        raise ValueError(f'{file} {describe_lack(header)}; {fix}')
    for side in ('height', 'width'):
        here, there = getattr(header, side), getattr(expected, side)
        if here != there:
            raise ValueError(
                f'{file} and {image} differ in {side}: {here} and {there}, and not both have a '
                'place, so that their pixels cannot be matched; make one of them anew'
            )
    if expected.crs is None or _is_plain(file, header):
        return False
    if header.crs is None:
        raise ValueError(
            f'{file} names no CRS and {image} {name_crs(expected.crs)}; if their pixels lie at the '
            f'same places: rio edit-info {file} --like {image} --crs like --transform like'
        )
    if not same_crs(header.crs, expected.crs):
        names = [name_crs(grid.crs) for grid in (header, expected)]
        raise ValueError(f'{file} is in {names[0]} and {image} in {names[1]}; {fix}')
    if shift := describe_shift(expected, header, name=image):
        raise ValueError(f'{file} {shift}; {fix}')
    return False


def _is_plain(file: str, header: RasterHeader) -> bool:
    """Whether a mask is a picture without any place, as those beside tiles of a map are."""
    has_place = header.crs is not None or header.georeference.is_place
    is_moved = not header.transform.is_identity
    return Path(file).suffix.lower() in IMAGE_SUFFIXES and not (has_place or is_moved)


def reaches(mask: Grid, image: Grid) -> bool:
    """Whether a mask lies under an image, at one of many places."""
    height, width = min(PROBES, image.height), min(PROBES, image.width)
    scale = Affine.scale(image.width / width, image.height / height)
    coarse = Grid(height=height, width=width, crs=image.crs, transform=image.transform @ scale)
    whole = Window(row_off=0, col_off=0, height=height, width=width)
    return find_nearest(mask, coarse, whole) is not None


def describe_pixels(grid: Grid) -> str:
    """Write how many pixels a raster has, and of what size."""
    sides = np.hypot(*np.array(grid.transform[:6]).reshape(2, 3)[:, :2])
    wide, high = sides.tolist()
    return f'{grid.width} x {grid.height} pixels of {wide:.6g} x {high:.6g}, {name_crs(grid.crs)}'


def report_other_pixels(
    masks: Sequence[str],
    images: Sequence[str],
    pairs: Sequence[Pair | None],
    *,
    word: str = 'mask',
    how: str = NEAREST,
) -> None:
    """Say which masks are resampled, and which images they do not reach.

    Args:
        masks: One per image.
        images: The images.
        pairs: Per image the grids of both; None where they are the same.
        word: What a mask is called.
        how: What is done with those on another grid.

    Raises:
        ValueError: If no mask reaches its image.

    Warns:
        UserWarning: If one does not.
    """
    others = [(tile, pair) for tile, pair in enumerate(pairs) if pair is not None]
    if not others:
        return
    lost = [(tile, pair) for tile, pair in others if not reaches(*pair)]
    if len(lost) == len(images):
        tile, (mask, image) = lost[0]
        raise ValueError(
            f'no {word} reaches its image: {masks[tile]} has {describe_pixels(mask)} and bounds '
            f'{_bounds(mask)}, {images[tile]} has {describe_pixels(image)} and bounds '
            f'{_bounds(image)}; check the CRS and the place of both'
        )
    if lost:
        tile = lost[0][0]
        rank_zero_warn(
            f'{len(lost)} of {len(images)} images lie beyond their {word} and have no label, one is '
            f'{images[tile]}, beyond {masks[tile]}'
        )
    tile, (mask, image) = others[0]
    rank_zero_info(
        f'{len(others)} of {len(images)} images take each pixel {how} of a {word} on '
        f'another grid: {images[tile]} ({describe_pixels(image)}) from {masks[tile]} '
        f'({describe_pixels(mask)})'
    )


def _bounds(grid: Grid) -> str:
    """Write the bounds of a raster."""
    return '(' + ', '.join(f'{bound:.9g}' for bound in grid.bounds()) + ')'
