"""Polygons as labels: their classes, their layer and their place, through the command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import shapely
from shapely import box

type Fit = Callable[..., Any]
type Put = Callable[..., Path]

# 128 x 96 pixels of 10 m
LEFT, TOP, WIDTH, HEIGHT = 4e5, 5e6, 960, 1280


@pytest.fixture
def image(put: Put) -> Path:
    generator = np.random.default_rng(0)
    return put('images/a.tif', generator.integers(0, 255, (3, 128, 96)).astype(np.uint8))


def stripes(values: Any) -> geopandas.GeoDataFrame:
    """Polygons side by side over the whole image, one per value."""
    edges = LEFT + WIDTH * np.arange(len(values) + 1) / len(values)
    boxes = shapely.box(edges[:-1], TOP - HEIGHT, edges[1:], TOP)
    return geopandas.GeoDataFrame({'kind': values}, geometry=boxes, crs=32633)


def test_a_layer_of_class_numbers_gets_its_names(
    fit_segmentation: Fit, image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / 'plots.gpkg'
    extent = geopandas.GeoDataFrame(
        {'kind': [0]}, geometry=[box(LEFT, TOP - HEIGHT, LEFT + WIDTH, TOP)], crs=32633
    )
    extent.to_file(path, layer='extent')
    # with gaps, and a missing one, which makes floats of them
    stripes(pandas.array([7, 1, 2, None], dtype='Int64')).to_file(path, layer='plots', mode='a')
    options = {'data.images': image, 'data.labels': path, 'data.attribute': 'kind'}
    run = fit_segmentation(options)
    assert 'plots.gpkg has several layers with features: extent, plots; ' in run.refusal
    assert 'layer for labels' in run.refusal
    assert run.err.count('\n') == 1
    more = {'data.layer': 'plots', 'data.class_names': '[field,wood,pond]', 'model.num_classes': 3}
    with pytest.warns(
        UserWarning, match="1 of the 4 features over the images have no value in 'kind'"
    ):
        run = fit_segmentation(options | more)
    assert run.record['class_names'] == ['field', 'wood', 'pond']
    assert 'field = 1, wood = 2, pond = 7' in caplog.text


def test_labels_with_swapped_axes_are_recognised(
    fit_segmentation: Fit, image: Path, tmp_path: Path
) -> None:
    frame = stripes(['field', 'wood']).to_crs(4326)
    frame.geometry = shapely.transform(frame.geometry, lambda xy: xy[:, ::-1])
    path = tmp_path / 'swapped.geojson'
    frame.to_file(path)
    options = {'data.images': image, 'data.labels': path, 'data.attribute': 'kind'}
    refusal = fit_segmentation(options).refusal
    assert 'swapped.geojson meets an image: in EPSG:32633, it has x ' in refusal
    assert 'the images x 400000 to 400960 and y 4998720 to 5000000' in refusal
    assert 'with x and y swapped, they would' in refusal
