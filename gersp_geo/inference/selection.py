"""Match the values of a scene with those that a model was trained on."""

from dataclasses import replace

import numpy as np

from ..geoio.reading import RasterHeader
from ..records import CHANGE_NAMES, Preprocessing


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
            its bands, each with a name of its own, and takes them in order where it does not and
            their number is right. A record that numbers its bands (band_1, band_2, ...) takes all bands
            of a scene that names none and has as many, alpha too.
        source: Name of the scene, for messages.

    Returns:
        1-based indices in the model's order.

    Raises:
        ValueError: If the bands given do not exist or are too few or many, or none were given and
            names and numbers do not decide.
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
    usable = [band for band in range(1, header.count + 1) if band not in header.alpha]
    names = {header.descriptions[band - 1] for band in usable}
    if names == {None} and len(usable) == len(wanted):
        return tuple(usable)
    every = tuple(range(1, header.count + 1))
    if not any(header.descriptions) and wanted == tuple(f'band_{band}' for band in every):
        # trained on all bands of such files by number, so that one tagged as alpha was data there too
        return every
    present = ', '.join(
        (name or f'{band} (unnamed)') + (' (tagged as alpha)' if band in header.alpha else '')
        for band, name in enumerate(header.descriptions, start=1)
    )
    advice = (
        'pass bands (--bands 1,2,3) with the 1-based indices in the order of the model'
        if header.count >= len(wanted)
        else f'it has {header.count} bands, the model needs {len(wanted)}'
    )
    raise ValueError(
        f'the model wants the bands {", ".join(wanted)}, but {source} has {present}; {advice}'
    )


def describe_bands(bands: tuple[int, ...], names: tuple[str, ...], header: RasterHeader) -> str:
    """Say which band of a scene stands for which of the model.

    Args:
        bands: 1-based indices in the model's order.
        names: What the model calls them.
        header: Header of the scene.

    Returns:
        Such as ``3 red, 2 green``; with a note where nothing but their order says so.
    """
    pairs = ', '.join(f'{band} {name}' for band, name in zip(bands, names, strict=True))
    usable = [band for band in range(1, header.count + 1) if band not in header.alpha]
    named = any(header.descriptions[band - 1] for band in usable)
    in_order = not named and list(bands) == usable
    return f'{pairs} (in order: the scene names none)' if in_order else pairs


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
    return replace(preprocessing, class_names=CHANGE_NAMES)


def check_type(header: RasterHeader, record: Preprocessing, *, source: str) -> None:
    """Refuse pixels of a type that the record does not describe."""
    if np.dtype(header.dtype).kind == 'c':
        # torch would drop the imaginary part
        raise ValueError(f'{source} holds complex numbers ({header.dtype}); make real ones first')
    if record.dtype is not None and header.dtype != record.dtype:
        # the scale belongs to that type: bytes read as digital numbers would give a wrong map
        raise ValueError(
            f'{source} holds {header.dtype}, the model was trained on {record.dtype}; convert the '
            'scene, or pass preprocessing (--preprocessing FILE.json) with the scale of its values'
        )
