"""Engines under test: each turns a scene on disk into a map, behind one small adapter."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from torch import Tensor

from gersp_geo.inference import predict_geotiff
from gersp_geo.preprocessing import Preprocessing

type Model = Callable[[Tensor], Tensor]
type Blend = Literal['hann', 'crop']
type Output = Literal['values', 'probabilities', 'classes']
type Demand = Literal['reflection', 'margin', 'crop', 'nodata', 'map']

UTM = CRS.from_epsg(32632)
GRID = Affine(0.3, 0, 399_999.7, 0, -0.3, 5_000_000.2)


class Engine(Protocol):
    """What a law asks of an engine."""

    name: str
    """Identifies the engine in the name of a test."""

    shortcomings: Mapping[Demand, str]
    """What it does not do, each with what was found; all other demands it claims to meet."""

    def predict(
        self,
        model: Model,
        source: Path,
        folder: Path,
        *,
        size: int = 32,
        overlap: int = 8,
        blend: Blend = 'hann',
        margin: int = 0,
        bands: tuple[int, ...] | None = None,
        batch_size: int = 4,
        output: Output = 'values',
    ) -> NDArray[Any]:
        """Predict a scene, with *folder*/map.tif as the map if the engine writes one.

        Returns:
            Array of shape (bands, rows, columns).
        """
        ...


class Ours:
    """gersp_geo.predict_geotiff."""

    name = 'ours'
    shortcomings: Mapping[Demand, str] = MappingProxyType({})

    def predict(
        self,
        model: Model,
        source: Path,
        folder: Path,
        *,
        size: int = 32,
        overlap: int = 8,
        blend: Blend = 'hann',
        margin: int = 0,
        bands: tuple[int, ...] | None = None,
        batch_size: int = 4,
        output: Output = 'values',
    ) -> NDArray[Any]:
        destination = folder / 'map.tif'
        predict_geotiff(
            model, source, destination, size=size, overlap=overlap, blend=blend, margin=margin,
            bands=bands, batch_size=batch_size, output=output, device='cpu', overwrite=True,
            progress=False, preprocessing=record_for(len(bands or image_bands(source))),
        )  # fmt: skip
        with rasterio.open(destination) as src:
            pixels: NDArray[Any] = src.read()
        return pixels


class Monai:
    """monai.inferers.sliding_window_inference on the whole scene in memory.

    'crop' is its mode 'constant', 'hann' its mode 'gaussian', *margin* a map of weights that is 0
    in the outer pixels.
    """

    name = 'monai'
    shortcomings: Mapping[Demand, str] = MappingProxyType(
        {
            'reflection': 'windows end with the scene, and their rims count there and at seams',
            'margin': 'no argument for it; with weights of 0 the outer pixels of a scene are 0 / 0',
            'crop': 'equal weights for all windows: where they overlap, values are averaged',
            'nodata': 'knows no mask: holes are predicted as values, and NaN spreads around them',
            'map': 'returns an array',
        }
    )

    def predict(
        self,
        model: Model,
        source: Path,
        folder: Path,
        *,
        size: int = 32,
        overlap: int = 8,
        blend: Blend = 'hann',
        margin: int = 0,
        bands: tuple[int, ...] | None = None,
        batch_size: int = 4,
        output: Output = 'values',
    ) -> NDArray[Any]:
        # seconds, and only needed here
        from monai.inferers.utils import sliding_window_inference

        with rasterio.open(source) as src:
            pixels = src.read(bands or image_bands(source)).astype('float32')
        weights = torch.zeros(size, size)
        weights[margin : size - margin, margin : size - margin] = 1
        # it refuses to reflect more than there is
        can_reflect = all((size - side + 1) // 2 < side for side in pixels.shape[1:])
        with torch.inference_mode():
            scores = sliding_window_inference(
                torch.from_numpy(pixels)[None],
                size,
                # a batch of one is a view of the scene, which is then changed in place
                max(batch_size, 2),
                model if output == 'values' else lambda images: model(images).softmax(dim=1),
                # half a pixel less, as the stride is rounded down
                overlap=max(overlap - 0.5, 0) / size,
                mode='constant' if blend == 'crop' else 'gaussian',
                padding_mode='reflect' if can_reflect else 'replicate',
                roi_weight_map=weights if margin else None,
            )
        assert isinstance(scores, Tensor)
        stitched: NDArray[Any] = scores[0].numpy()
        if output == 'classes':
            dtype = 'uint8' if len(stitched) < 256 else 'uint16'
            return stitched.argmax(axis=0, keepdims=True).astype(dtype)
        return stitched


ENGINES: tuple[Engine, ...] = (Ours(), Monai())


def on_every_engine(*demands: Demand) -> pytest.MarkDecorator:
    """Hold a law against every engine.

    One that falls short of a demand must fail the law; one that writes no map is not asked about it.
    Others than ours are asked with the slow tests.
    """
    params = []
    for engine in ENGINES:
        reasons = [text for demand, text in engine.shortcomings.items() if demand in demands]
        marks = [
            pytest.mark.xfail(strict=True, raises=AssertionError, reason=text)
            for text in reasons[:1]
        ]
        if engine is not ENGINES[0]:
            marks.append(pytest.mark.slow)
        if 'map' not in demands or 'map' not in engine.shortcomings:
            params.append(pytest.param(engine, id=engine.name, marks=marks))
    return pytest.mark.parametrize('engine', params)


def record_for(bands: int) -> Preprocessing:
    """Make a record by which file values enter a model as they are."""
    ones = (1.0,) * bands
    names = tuple(f'b{index}' for index in range(bands))
    return Preprocessing(bands=names, scale=ones, mean=(0.0,) * bands, std=ones)


def image_bands(source: Path) -> list[int]:
    """List the bands of a raster that are not transparency."""
    with rasterio.open(source) as src:
        pairs = zip(src.indexes, src.colorinterp, strict=True)
        return [band for band, meaning in pairs if meaning != ColorInterp.alpha]


@contextmanager
def new_scene(
    path: Path,
    shape: tuple[int, int, int],
    *,
    dtype: str,
    transform: Affine = GRID,
    crs: CRS = UTM,
    block: int = 16,
    **profile: object,
) -> Iterator[rasterio.io.DatasetWriter]:
    """Create a tiled GeoTIFF of shape (bands, rows, columns) to be filled."""
    count, height, width = shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=dtype, crs=crs,
        transform=transform, tiled=True, blockxsize=block, blockysize=block, **profile,
    ) as dst:  # fmt: skip
        yield dst


def write_scene(
    path: Path,
    pixels: NDArray[Any],
    *,
    nodata: float | None = None,
    transform: Affine = GRID,
    crs: CRS = UTM,
) -> Path:
    """Write a tiled GeoTIFF; returns its path."""
    shape = pixels.shape
    with new_scene(
        path, shape, dtype=str(pixels.dtype), nodata=nodata, transform=transform, crs=crs
    ) as dst:
        dst.write(pixels)
    return path


def noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw the same numbers in [0, 1) every time."""
    return np.random.default_rng(7).random(shape, dtype='float32')


def identity(images: Tensor) -> Tensor:
    """Return what comes in."""
    return images
