"""Pictures of images beside their classes."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ..bands import find_colors


def plot_classes(
    sample: dict[str, Tensor],
    *,
    bands: Sequence[str],
    class_colors: Sequence[Sequence[int]],
    title: str | None = None,
) -> Figure:
    """Draw an image, its mask and, if there is one, the prediction.

    Args:
        sample: 'image' of shape (C, H, W) in any unit; 'mask' and 'prediction' of shape (H, W).
        bands: Names of the bands, to find red, green and blue; else the first three are shown.
        class_colors: Red, green and blue per class in [0, 255]; other mask values are white.
        title: Above the figure.
    """
    keys = [key for key in ('image', 'mask', 'prediction') if key in sample]
    figure = Figure(figsize=(4 * len(keys), 4.4), layout='constrained')
    palette = ListedColormap([*(np.array(class_colors) / 255), (1.0, 1.0, 1.0)])
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        pixels = sample[key].detach().cpu().numpy()
        if key == 'image':
            axes.imshow(stretch(pixels, bands), interpolation='nearest')
        else:
            others = len(class_colors)
            shown = np.where((pixels >= 0) & (pixels < others), pixels, others)
            axes.imshow(shown, cmap=palette, vmin=0, vmax=others, interpolation='nearest')
        axes.set_title(key.capitalize())
        axes.set_axis_off()
    if title is not None:
        figure.suptitle(title)
    return figure


def stretch(image: NDArray[np.floating], bands: Sequence[str]) -> NDArray[np.floating]:
    """Pick three bands (or one) and bring their 2nd to 98th percentile to [0, 1].

    Args:
        image: Shape (C, H, W).
        bands: Names of the bands.

    Returns:
        Shape (H, W, 3).
    """
    chosen = list(find_colors(bands) or ([0, 1, 2] if len(image) >= 3 else [0, 0, 0]))
    shown = np.nan_to_num(image[chosen].astype(np.float64))
    low, high = np.percentile(shown, (2, 98))
    bright: NDArray[np.floating] = np.clip((shown - low) / max(high - low, 1e-12), 0, 1)
    return bright.transpose(1, 2, 0)


def default_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    """Give *count* classes colours, repeated after twenty."""
    palette = matplotlib.colormaps['tab20']
    colors = palette(np.arange(count) % palette.N, bytes=True)
    return tuple((int(red), int(green), int(blue)) for red, green, blue, _ in colors)
