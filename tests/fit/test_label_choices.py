"""Labels as public sets have them, chosen by options of the command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from jsonargparse import ArgumentParser
from PIL import Image
from shapely import box

from gersp_geo.datamodules import GeoTIFFSegmentationDataModule

type Fit = Callable[..., Any]
type Put = Callable[..., Path]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Four pictures, each with a mask in colours beside it: left land, right water, a rim of grey."""
    mask = np.full((64, 64, 3), (132, 41, 246), np.uint8)
    mask[:, 32:] = (226, 169, 41)
    mask[:8] = (155, 155, 155)
    generator = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / f'Tile {number}'
        for part in ('images', 'masks'):
            (folder / part).mkdir(parents=True)
        picture = generator.integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / 'images' / 'part_001.jpg')
        Image.fromarray(mask).save(folder / 'masks' / 'part_001.png')
    return tmp_path


def test_masks_in_colours_are_found_by_the_paths_of_their_pictures(
    fit_segmentation: Fit, pairs: Path
) -> None:
    images = [str(pairs / f'Tile {number}' / 'images') for number in range(4)]
    chosen = {
        'data.images': images,
        'data.masks': '{"/images/": "/masks/", ".jpg": ".png"}',
        'data.classes': '{land: "#8429F6", water: [226, 169, 41]}',
    }
    run = fit_segmentation(chosen | {'data.ignore': '["#9B9B9B"]'})
    assert run.record['class_names'] == ['land', 'water']
    assert run.record['class_colors'] == [[132, 41, 246], [226, 169, 41]]
    refusal = fit_segmentation(chosen).refusal
    assert 'part_001.png holds values of no class: #9b9b9b (12.50%, 512 pixels)' in refusal


@pytest.mark.slow
def test_polygons_of_one_class_have_a_background_inside_an_area(
    fit_segmentation: Fit, put: Put, tmp_path: Path
) -> None:
    image = put('image.tif', np.random.default_rng(0).integers(1, 255, (3, 96, 96), np.uint8))
    outlines = {
        'houses': [box(4e5 + x, 5e6 - 400, 4e5 + x + 100, 5e6 - 100) for x in range(0, 900, 200)],
        'area': [box(4e5, 5e6 - 960, 4e5 + 960, 5e6)],
    }
    for name, drawn in outlines.items():
        geopandas.GeoSeries(drawn, crs=32633).to_file(tmp_path / f'{name}.gpkg')
    run = fit_segmentation(
        {
            'data.images': image,
            'data.labels': tmp_path / 'houses.gpkg',
            'data.class_names': '[house]',
            'data.background': 'ground',
            'data.area': tmp_path / 'area.gpkg',
        }
    )
    assert run.record['class_names'] == ['ground', 'house']


def test_values_are_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text(
        """data: {images: x, masks: {.jpg: .png}, ignore: ['00', -1, [1, 2, 3]], classes: {
        a: '010', b: ['1', 2, 2.5, no], c: '#123456', d: [1, 2, 3], e: [[1, 2, 3], '#abcdef']}}"""
    )
    parser = ArgumentParser()
    parser.add_class_arguments(GeoTIFFSegmentationDataModule, 'data')
    parser.add_argument('--config', action='config')
    data = parser.parse_args(['--config', str(path)]).data
    assert data.masks == {'.jpg': '.png'}
    assert data.ignore == ['00', -1, [1, 2, 3]]
    assert data.classes == {
        'a': '010', 'b': ['1', 2, 2.5, False], 'c': '#123456', 'd': [1, 2, 3],
        'e': [[1, 2, 3], '#abcdef'],
    }  # fmt: skip
