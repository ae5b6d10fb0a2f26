"""Turn scores into the values of a map."""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.read import RasterHeader
from ...geoio.write import MapLayout, OverviewResampling, check_legend, class_color
from ...preprocessing import Preprocessing
from ...stitching import Encode
from ..options import LayerKind
from .uncertainty import BANDS, measure_uncertainty

# a probability in a byte: 0 to 254, so that 255 is left for nodata
PROBABILITY_STEPS = 254

# as many class indices as fit beside one value for nodata
_MAX_UINT8_CLASSES = 255
_MAX_UINT16_CLASSES = 65535

# Pixels that are compared at a time: few enough for the cache of a core.
_CACHED = 2**16

_NAN = 'the model returned NaN for a pixel with an observation nearby'

OVERVIEW_RESAMPLING: dict[LayerKind, OverviewResampling] = {
    'classes': 'mode',
    'probabilities': 'average',
    'values': 'average',
    'uncertainty': 'average',
    'agreement': 'average',
}


def layout_map(
    header: RasterHeader,
    preprocessing: Preprocessing,
    *,
    output: LayerKind,
    channels: int,
    probability_type: Literal['float32', 'uint8'] = 'float32',
) -> MapLayout:
    """Decide type, nodata value and legend of a map on the grid of a raster.

    Args:
        header: The raster.
        preprocessing: Says the names and colours of the classes.
        output: Kind of map.
        channels: Scores per pixel that the model returns.
        probability_type: 'uint8' stores probabilities and uncertainty in steps of 1 / 254.

    Returns:
        Unsigned integers for classes: one byte up to 255 classes, then two; the largest value is
        nodata; percentages of agreement are alike. Otherwise one band per channel, of uncertainty
        two: 32-bit floats with NaN for nodata, or bytes with 255
        for nodata and a scale of 1 / 254. Values have the units of the record.

    Raises:
        ValueError: If the record names another number of classes than the model returns, or its
            names or colours make no legend.
    """
    is_classes = output == 'classes'
    names = list_class_names(preprocessing, classes=max(channels, 2)) if is_classes else ()
    colors = preprocessing.class_colors or tuple(map(class_color, range(len(names))))
    if is_classes:
        check_legend(names, colors)
    is_small = len(names) <= _MAX_UINT8_CLASSES
    layout = MapLayout(
        height=header.height,
        width=header.width,
        crs=header.crs,
        transform=header.transform,
        dtype='uint8' if is_small else 'uint16',
        nodata=255 if is_small else 65535,
        descriptions=('class',),
        class_names=names,
        class_colors=colors,
        georeference=header.georeference.carried(),
    )
    if is_classes:
        return layout
    bands = _band_names(preprocessing, output=output, channels=channels)
    if output == 'agreement':
        return replace(layout, descriptions=bands, units=('%',), class_colors=())
    quantities = replace(
        layout, dtype='float32', nodata=float('nan'), descriptions=bands, class_colors=()
    )
    if output == 'values' and len(preprocessing.units) == channels:
        return replace(quantities, units=preprocessing.units)
    if output != 'values' and probability_type == 'uint8':
        return replace(quantities, dtype='uint8', nodata=255, scale=1 / PROBABILITY_STEPS)
    return quantities


def encoder_for(output: LayerKind, layout: MapLayout) -> Encode:
    """Choose how blended scores become the values of a map, on the device.

    Args:
        output: Kind of map.
        layout: Says type and nodata value.

    Returns:
        From probabilities, logits or values (C, rows, cols) to map values (bands, rows, cols). A
        single probability is that of the second of two classes.
    """
    if output == 'classes':
        return _encode_classes
    encode = _encode_bytes if layout.dtype == 'uint8' else _encode_floats
    if output == 'uncertainty':
        return lambda scores: encode(measure_uncertainty(scores))
    return encode


def to_map(
    values: Tensor, valid: NDArray[np.bool_] | None, layout: MapLayout
) -> NDArray[np.generic]:
    """Bring values to the host, and mark what is no observation.

    Args:
        values: Of an encoder, shape (bands, rows, cols); may be changed.
        valid: Where there is an observation, shape (rows, cols); None means everywhere.
        layout: Says type and nodata value.

    Returns:
        Shape (bands, rows, cols).

    Raises:
        ValueError: If scores of an accelerator held NaN, see :func:`best_channel`.
    """
    found = values.cpu().numpy()
    if layout.class_names and values.device.type != 'cpu':
        refuse_no_number(found)
    pixels = found.astype(layout.dtype, copy=False)
    if valid is not None:
        pixels[:, ~valid] = np.asarray(layout.nodata, dtype=layout.dtype)
    return pixels


def refuse_no_number(classes: NDArray[np.generic]) -> None:
    """Refuse classes of :func:`best_on_device` whose scores could not be compared.

    Raises:
        ValueError: If there is one.
    """
    if (classes == (_MAX_UINT8_CLASSES if classes.dtype == np.uint8 else -1)).any():
        raise ValueError(_NAN)


def _encode_classes(scores: Tensor) -> Tensor:
    """Find the best class; narrowed before it leaves the device."""
    if len(scores) == 1:
        return (scores >= 0.5).to(torch.uint8)
    return best_channel(scores)[None]


def _encode_bytes(scores: Tensor) -> Tensor:
    """Quantise probabilities."""
    return (scores * PROBABILITY_STEPS).round().to(torch.uint8)


def _encode_floats(scores: Tensor) -> Tensor:
    """Keep values as they are, in memory of their own."""
    return scores.clone()


def best_channel(scores: Tensor) -> Tensor:
    """Find the channel with the largest score, the first of several.

    Args:
        scores: Shape (C, rows, cols).

    Returns:
        Its index, shape (rows, cols): uint8 if it fits, else int32. On an accelerator, pixels with
        NaN get a number that :func:`to_map` refuses: to ask here would make the host wait.

    Raises:
        ValueError: If a score is NaN, on a CPU.
    """
    kind = torch.uint8 if len(scores) <= _MAX_UINT8_CLASSES else torch.int32
    if scores.device.type == 'cpu':
        return _best_on_cpu(scores, kind)
    return best_on_device(scores, kind)


def best_on_device(scores: Tensor, kind: torch.dtype) -> Tensor:
    """Find the best channel as :func:`best_channel` does on an accelerator."""
    best, index = scores.max(dim=0)
    no_number = _MAX_UINT8_CLASSES if kind == torch.uint8 else -1
    return index.to(kind).masked_fill_(best.isnan(), no_number)


def _best_on_cpu(scores: Tensor, kind: torch.dtype) -> Tensor:
    """Compare channel by channel, a few rows at a time: argmax takes twenty times as long."""
    channels = scores.numpy()
    rows, cols = channels.shape[1:]
    index = np.zeros((rows, cols), dtype=np.uint8 if kind == torch.uint8 else np.int32)
    step = min(max(1, _CACHED // max(cols, 1)), rows)
    # memory without gaps between rows, through which NumPy goes in one sweep
    shape = (step, cols)
    best, candidate = np.empty((2, *shape), dtype=channels.dtype)
    better, numbers = np.empty(shape, dtype=np.bool_), np.empty(shape, dtype=index.dtype)
    for start in range(0, rows, step):
        place = index[start : start + step]
        count = len(place)
        found, other, is_better, number = (
            some[:count] for some in (best, candidate, better, numbers)
        )
        np.copyto(found, channels[0, start : start + count])
        for channel in range(1, len(channels)):
            np.copyto(other, channels[channel, start : start + count])
            np.greater(other, found, out=is_better)
            # later channels have larger numbers; quicker than filling in under a mask
            np.multiply(is_better.view(np.uint8), channel, out=number, dtype=index.dtype)
            np.maximum(place, number, out=place)
            # NaN stays
            np.maximum(found, other, out=found)
        # NaN as well, if any is
        if np.isnan(found.max(initial=-np.inf)):
            raise ValueError(_NAN)
    return torch.from_numpy(index)


def list_class_names(preprocessing: Preprocessing, *, classes: int) -> tuple[str, ...]:
    """Name every class, "class 3" where the record has no names.

    Raises:
        ValueError: If it names another number of classes, or they are more than a map can hold.
    """
    names = preprocessing.class_names or tuple(f'class {index}' for index in range(classes))
    if len(names) != classes:
        raise ValueError(
            f'the model returns {classes} classes, but preprocessing names {len(names)}: '
            f'{", ".join(names)}; pass preprocessing with a name for each, or without names'
        )
    if classes > _MAX_UINT16_CLASSES:
        raise ValueError(f'a class map holds up to {_MAX_UINT16_CLASSES} classes, got {classes}')
    return names


def _band_names(
    preprocessing: Preprocessing, *, output: LayerKind, channels: int
) -> tuple[str, ...]:
    """Name every band of a map of quantities."""
    if output in ('uncertainty', 'agreement'):
        return BANDS if output == 'uncertainty' else (output,)
    names = preprocessing.class_names
    if channels == 1 and len(names) == 2 and output == 'probabilities':
        return names[1:]
    if names and len(names) != channels:
        raise ValueError(
            f'the model returns {channels} channels, but preprocessing names {len(names)}: '
            f'{", ".join(names)}'
        )
    word = 'class' if output == 'probabilities' else 'value'
    return names or tuple(f'{word} {index}' for index in range(channels))
