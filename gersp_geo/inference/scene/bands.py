"""Match the values of a scene with those that a model was trained on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...bands import name_by_file, tell_meanings
from ...geoio.read import RasterHeader
from ...geoio.warp import on_one_grid
from ...preprocessing import CHANGE_CLASSES, Preprocessing


def select_bands(
    header: RasterHeader,
    preprocessing: Preprocessing,
    *,
    bands: tuple[int, ...] | None,
    source: str,
) -> tuple[int, ...]:
    """Find the bands that a model wants in a scene.

    Args:
        header: Header of the scene.
        preprocessing: Names the bands that the model was trained on.
        bands: 1-based indices in the model's order. None selects by name where the scene names
            its bands, by description or else by colour interpretation, each with a name of its own;
            other spellings of colours count. It takes them in order where names do not tell and
            their number is right, unless colour interpretation speaks against it. A record that
            numbers its bands (band_1, band_2, ...) takes all bands of a scene that describes none
            and has as many, alpha too.
        source: Name of the scene, for messages.

    Returns:
        1-based indices in the model's order.

    Raises:
        ValueError: If the bands given do not exist or are too few or many, or none were given and
            names and numbers do not decide, or a palette would be taken for colours.
    """
    wanted = preprocessing.bands
    if bands is not None:
        if len(bands) != len(wanted) or not all(1 <= band <= header.count for band in bands):
            raise ValueError(
                f'bands must be {len(wanted)} indices in [1, {header.count}] for '
                f'{", ".join(wanted)}, got {tuple(bands)}'
            )
        return tuple(bands)
    # near infrared is often tagged as alpha; its name says what it is
    if all(header.descriptions.count(name) == 1 for name in wanted):
        return tuple(header.descriptions.index(name) + 1 for name in wanted)
    if len(wanted) > 1 and set(header.data_bands) & set(palettes(header)):
        given = ','.join('1' * len(wanted))
        raise ValueError(
            f'{source} holds indices into a table of colours (a palette), and the model wants '
            f'{", ".join(wanted)}; expand it (gdal_translate -expand rgb), or pass bands (--bands '
            f'{given}) to take the indices for values'
        )
    chosen = _by_number(header, wanted) or _by_name(header, wanted) or _in_order(header, wanted)
    if chosen is not None:
        return chosen
    advice = (
        'pass bands (--bands 1,2,3) with the 1-based indices in the order of the model'
        if header.count >= len(wanted)
        else f'it has {header.count} bands, the model needs {len(wanted)}'
    )
    raise ValueError(
        f'the model wants the bands {", ".join(wanted)}, but {source} has {_present(header)}; '
        f'{advice}'
    )


def _numbers(count: int) -> tuple[str, ...]:
    """Name bands by their numbers, as training does where a file does not name them."""
    return tuple(f'band_{band}' for band in range(1, count + 1))


def _is_described(header: RasterHeader, bands: Sequence[int]) -> bool:
    """Say whether any of some bands has a description that names it."""
    return any(name_by_file(header.descriptions, ())[band - 1] for band in bands)


def _by_number(header: RasterHeader, wanted: tuple[str, ...]) -> tuple[int, ...] | None:
    """Take the bands of a scene as they are numbered, for a model that numbers its own."""
    if wanted != _numbers(len(wanted)):
        return None
    usable, every = tuple(header.data_bands), tuple(range(1, header.count + 1))
    if len(usable) == len(wanted) and not _is_described(header, usable):
        return usable
    # trained on all bands of such files by number, so that one tagged as alpha was data there too
    return every if len(every) == len(wanted) and not _is_described(header, every) else None


def _by_name(header: RasterHeader, wanted: tuple[str, ...]) -> tuple[int, ...] | None:
    """Match each band by its name, or else by what it means; none may be matched twice."""
    names: tuple[str | None, ...] = header.names
    if header.count == len(wanted):
        # as training names them
        pairs = zip(names, _numbers(header.count), strict=True)
        names = tuple(name or number for name, number in pairs)
    meanings = tell_meanings(header.names)
    found = []
    for name, meaning in zip(wanted, tell_meanings(wanted), strict=True):
        if names.count(name) == 1:
            found.append(names.index(name) + 1)
        elif name not in names and meaning is not None and meanings.count(meaning) == 1:
            found.append(meanings.index(meaning) + 1)
        else:
            return None
    return tuple(found) if len(set(found)) == len(found) else None


def _in_order(header: RasterHeader, wanted: tuple[str, ...]) -> tuple[int, ...] | None:
    """Take the bands in order, if their number is right and nothing speaks against it."""
    usable = tuple(header.data_bands)
    if len(usable) != len(wanted) or _is_described(header, usable):
        return None
    told = tell_meanings([header.names[band - 1] for band in usable])
    meant = tell_meanings(wanted, sure=False)
    for there, here in zip(told, meant, strict=True):
        if here is not None and here != there and (there is not None or here in told):
            return None
    return usable


def _present(header: RasterHeader) -> str:
    """List the bands of a scene."""
    described = name_by_file(header.descriptions, ())
    texts = []
    for band, name in enumerate(header.names, start=1):
        text = name or header.descriptions[band - 1] or f'{band} (unnamed)'
        if name and not described[band - 1]:
            text += ' (by colour interpretation)'
        texts.append(text + (' (tagged as alpha)' if band in header.alpha else ''))
    return ', '.join(texts)


def palettes(header: RasterHeader) -> tuple[int, ...]:
    """List the 1-based bands that hold indices into a table of colours."""
    pairs = enumerate(header.interpretations, start=1)
    return tuple(band for band, meaning in pairs if meaning == 'palette')


def check_blending(
    own: RasterHeader, seen: RasterHeader, bands: Sequence[int], *, source: str
) -> None:
    """Refuse to blend indices into a table of colours, between which no other index lies.

    Args:
        own: Header of the file.
        seen: Header of the scene as it is read.
        bands: 1-based bands that are read.
        source: Name of the scene, for messages.

    Raises:
        ValueError: If it is resampled, and one of these bands holds indices.
    """
    blended = sorted(set(palettes(own)) & set(bands))
    if blended and not on_one_grid(own, seen):
        raise ValueError(
            f'band {blended[0]} of {source} holds indices into a table of colours (a palette), '
            'which resampling would blend; expand it first (gdal_translate -expand rgb), or '
            'resample it with gdalwarp -r near'
        )


def describe_bands(bands: tuple[int, ...], names: tuple[str, ...], header: RasterHeader) -> str:
    """Say which band of a scene stands for which of the model.

    Args:
        bands: 1-based indices in the model's order.
        names: What the model calls them.
        header: Header of the scene.

    Returns:
        Such as ``3 red, 2 green``; with a note where not a description but something else says so,
        and where colour interpretation says otherwise.
    """
    pairs = ', '.join(f'{band} {name}' for band, name in zip(bands, names, strict=True))
    note = _how(bands, names, header)
    return f'{pairs} ({note})' if note else pairs


def _how(bands: tuple[int, ...], names: tuple[str, ...], header: RasterHeader) -> str | None:
    """Say by what bands were chosen, where that is not plain."""
    seen = header.interpretations or ('undefined',) * header.count
    colors = name_by_file((None,) * len(bands), [seen[band - 1] for band in bands])
    told = ', '.join(color or 'unnamed' for color in colors)
    if _is_described(header, bands):
        meant = tell_meanings([header.names[band - 1] for band in bands])
        pairs = zip(meant, tell_meanings(colors), strict=True)
        differ = any(one and other and one != other for one, other in pairs)
        return f'by description; colour interpretation says {told}' if differ else None
    if any(colors) and _by_name(header, names) == bands:
        return 'by colour interpretation'
    if list(bands) != header.data_bands:
        return None
    if not any(colors):
        return 'in order: the scene names none'
    return f'in order; colour interpretation says {told}'


def nodata_beside(
    header: RasterHeader, preprocessing: Preprocessing, given: float | None
) -> float | None:
    """Choose the value that means "no observation" besides what a scene says itself.

    Args:
        header: Header of the scene.
        preprocessing: Says what it was in training.
        given: Goes before both.

    Returns:
        The value, or None: what the scene names holds for every band already.
    """
    return preprocessing.nodata if given is None and header.nodata is None else given


def name_change(preprocessing: Preprocessing, *, channels: int) -> Preprocessing:
    """Name the two classes of a model that compares two dates, where nothing else does."""
    if preprocessing.class_names or max(channels, 2) > 2:
        return preprocessing
    return replace(preprocessing, class_names=CHANGE_CLASSES)


def check_type(header: RasterHeader, record: Preprocessing, *, source: str) -> None:
    """Refuse pixels of a type that the record does not describe.

    Raises:
        ValueError: If they are complex, or of another type than in training.
    """
    if np.dtype(header.dtype).kind == 'c':
        # torch would drop the imaginary part
        raise ValueError(f'{source} holds complex numbers ({header.dtype}); make real ones first')
    if record.dtype is not None and header.dtype != record.dtype:
        # the scale belongs to that type: bytes read as digital numbers would give a wrong map
        raise ValueError(
            f'{source} holds {header.dtype}, the model was trained on {record.dtype}; convert the '
            'scene, or pass preprocessing (--preprocessing FILE.json) with the scale of its values'
        )
