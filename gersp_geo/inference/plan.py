"""Decide everything about a prediction before a pixel is read."""

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import nn

from ..geoio.cog import MapLayout
from ..geoio.reading import RasterHeader, read_header
from ..records import Preprocessing
from ..tiling import TilePlan, plan_tile
from .loading import Forward, LoadedModel, evaluating, load_model
from .options import Blend, PredictionOptions
from .outputs import Output, layout_map
from .selection import select_bands

# Pixels per batch for batch_size='auto': 16 patches of 512 px keep an accelerator busy; on a CPU,
# whose cores share the work within a patch, 4 do.
_AUTO_PIXELS = {'accelerator': 2**22, 'cpu': 2**20}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPlan:
    """What a prediction will do, and what it will cost."""

    source: str
    """The scene."""

    destination: str
    """The map."""

    header: RasterHeader
    """Header of the scene."""

    tiles: TilePlan
    """How the scene is cut."""

    bands: tuple[int, ...]
    """1-based bands of the scene, in the model's order."""

    nodata: float | None
    """Value that means "no observation" besides what the scene says itself."""

    blend: Blend
    """How overlapping patches are joined."""

    margin: int
    """Pixels at the sides of patches that are not used."""

    batch_size: int
    """Patches per forward pass."""

    device: str
    """Where the model runs."""

    output: Output
    """Kind of map."""

    channels: int
    """Scores per pixel that the model returns."""

    layout: MapLayout
    """Type and legend of the map."""

    overwrite: bool
    """Whether an existing map may be replaced."""

    @property
    def pixels_kept(self) -> int:
        """Pixels of the map."""
        return self.tiles.height * self.tiles.width

    @property
    def pixels_forwarded(self) -> int:
        """Pixels given to the model if no patch is empty; overlaps count as often as they meet."""
        return len(self.tiles) * self.tiles.size**2

    @property
    def bytes_read(self) -> int:
        """Bytes of pixels given out by the reader, uncompressed."""
        return self.pixels_forwarded * len(self.bands) * np.dtype(self.header.dtype).itemsize

    @property
    def bytes_written(self) -> int:
        """Bytes of the map before compression, without overviews."""
        bands = len(self.layout.descriptions)
        return self.pixels_kept * bands * np.dtype(self.layout.dtype).itemsize

    @property
    def stitch_bytes(self) -> int:
        """Most bytes that open rows of scores occupy, float32."""
        return self.channels * self.tiles.size * max(self.tiles.width, self.tiles.size) * 4

    def __str__(self) -> str:
        """Lay the plan out for a terminal."""
        tiles, rows, cols = self.tiles, len(self.tiles.row_offs), len(self.tiles.col_offs)
        factor = self.pixels_forwarded / self.pixels_kept
        lines = {
            'scene': f'{self.source}: {tiles.height:,} x {tiles.width:,} px, {self.header.dtype}',
            'bands': ', '.join(map(str, self.bands)),
            'map': f'{self.destination}: {self.output}, {len(self.layout.descriptions)} band(s), '
            f'{self.layout.dtype}',
            'patches': f'{len(tiles):,} = {rows:,} rows x {cols:,} columns of {tiles.size} px, '
            f'overlap {tiles.overlap}, {self.blend}, margin {self.margin}',
            'forwarded': f'{self.pixels_forwarded:,} px, {factor:.2f} times the scene',
            'batches': f'up to {self.batch_size} patches on {self.device}',
            'read': f'{_readable(self.bytes_read)} at most, uncompressed',
            'written': f'{_readable(self.bytes_written)} before compression',
            'stitching': f'{_readable(self.stitch_bytes)} of memory for {self.channels} channel(s)',
        }
        return '\n'.join(f'{name:<10} {text}' for name, text in lines.items())


def plan_prediction(
    model: str | PathLike[str] | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    size: int = 512,
    overlap: int = 64,
    blend: Blend = 'hann',
    margin: int = 0,
    batch_size: int | Literal['auto'] = 'auto',
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    output: Output | Literal['auto'] = 'auto',
    device: str = 'auto',
    task_class: str | type[LightningModule] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> PredictionPlan:
    """Say what :func:`predict_geotiff` would do with the same arguments, touching no pixel.

    Planning is quick: *progress* is accepted so that one set of arguments serves both, and shows
    nothing.

    Returns:
        The plan; ``print(plan)`` shows it as a table.

    Raises:
        FileExistsError: As in :func:`predict_geotiff`.
        FileNotFoundError: As in :func:`predict_geotiff`.
        ValueError: As in :func:`predict_geotiff`.
    """
    options = PredictionOptions(
        size=size,
        overlap=overlap,
        blend=blend,
        margin=margin,
        batch_size=batch_size,
        bands=bands,
        preprocessing=preprocessing,
        nodata=nodata,
        output=output,
        device=device,
        task_class=task_class,
        overwrite=overwrite,
    )
    return prepare(model, source, destination, options)[1]


def prepare(
    model: str | PathLike[str] | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PredictionOptions,
) -> tuple[LoadedModel, PredictionPlan]:
    """Load the model, read the header of the scene, and check that all fits together."""
    _check_destination(source, destination, overwrite=options.overwrite)
    header = read_header(source)
    if np.dtype(header.dtype).kind == 'c':
        # torch would drop the imaginary part
        raise ValueError(f'{source} holds complex numbers ({header.dtype}); make real ones first')
    loaded = load_model(model, preprocessing=options.preprocessing, task_class=options.task_class)
    record = loaded.preprocessing
    if record.dtype is not None and header.dtype != record.dtype:
        # the scale belongs to that type: bytes read as digital numbers would give a wrong map
        raise ValueError(
            f'{source} holds {header.dtype}, the model was trained on {record.dtype}; convert the '
            'scene, or pass preprocessing (--preprocessing FILE.json) with the scale of its values'
        )
    device = _find_device(options.device)
    chosen = select_bands(header, record, bands=options.bands, source=fspath(source))
    channels = _count_channels(loaded, size=options.size, device=device)
    output = _choose_output(loaded, options.output)
    nodata = record.nodata if options.nodata is None and header.nodata is None else options.nodata
    return loaded, PredictionPlan(
        source=fspath(source),
        destination=fspath(destination),
        header=header,
        tiles=plan_tile(header.height, header.width, size=options.size, overlap=options.overlap),
        bands=chosen,
        nodata=nodata,
        blend=options.blend,
        margin=options.margin,
        batch_size=_choose_batch_size(options, device=device),
        device=device,
        output=output,
        channels=channels,
        layout=layout_map(header, record, output=output, channels=channels),
        overwrite=options.overwrite,
    )


def _check_destination(
    source: str | PathLike[str], destination: str | PathLike[str], *, overwrite: bool
) -> None:
    """Refuse to replace what must stay."""
    final = Path(destination)
    if final.is_dir():
        raise FileExistsError(f'{final} is a folder; pass the path of a file')
    if final.suffix.lower() not in ('.tif', '.tiff'):
        raise ValueError(f'a map is written as .tif or .tiff, got {final}')
    if final.exists() and Path(source).exists() and final.samefile(source):
        raise ValueError(f'{final} is the scene itself; pass another destination')
    if final.exists() and not overwrite:
        raise FileExistsError(f'{final} exists; pass another path, or overwrite (--overwrite)')


def _find_device(device: str) -> str:
    """Choose an accelerator if there is one; refuse a device that is not there."""
    if device != 'auto':
        try:
            torch.empty(0, device=device)
        # AssertionError is what builds of torch without CUDA raise
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition('\n')[0]
            raise ValueError(f'device {device!r} cannot be used: {reason}') from error
        return device
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return 'cpu' if accelerator is None else accelerator.type


def _choose_batch_size(options: PredictionOptions, *, device: str) -> int:
    """Fill a budget of pixels with patches."""
    if options.batch_size != 'auto':
        return options.batch_size
    budget = _AUTO_PIXELS['cpu' if device == 'cpu' else 'accelerator']
    return max(1, budget // options.size**2)


def _choose_output(loaded: LoadedModel, output: Output | Literal['auto']) -> Output:
    """Choose the kind of map by what the model returns."""
    if output == 'auto':
        automatic: dict[str, Output] = {'classes': 'classes', 'labels': 'probabilities'}
        return automatic.get(loaded.scores, 'values')
    if output == 'classes' and loaded.scores == 'labels':
        raise ValueError("labels do not exclude each other; pass output='probabilities'")
    if output != 'values' and loaded.scores == 'values':
        raise ValueError(f"a regression has no classes; pass output='values', got {output!r}")
    return output


def _count_channels(loaded: LoadedModel, *, size: int, device: str) -> int:
    """Count the scores per pixel by forwarding one patch of zeros, and check their shape."""
    if isinstance(loaded.forward, nn.Module):
        loaded.forward.to(device)
    shape = (1, len(loaded.preprocessing.bands), size, size)
    with evaluating(loaded.forward):
        scores = loaded.forward(torch.zeros(shape, device=device))
    found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if len(found) != 4 or (found[0], *found[2:]) != (1, size, size):
        raise ValueError(
            f'the model must return scores of shape (1, K, {size}, {size}) for images of shape '
            f'{shape}, got {found}'
        )
    return int(found[1])


def _readable(count: int) -> str:
    """Write a number of bytes with a fitting unit."""
    if count < 1024:
        return f'{count} bytes'
    exponent = min((count.bit_length() - 1) // 10, 4)
    return f'{count / 1024**exponent:.1f} {("KiB", "MiB", "GiB", "TiB")[exponent - 1]}'
