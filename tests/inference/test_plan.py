"""Laws of planning: everything is decided and checked before a pixel is read."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from torch import Tensor, nn
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.options import MapKind
from gersp_geo.inference.plan import PredictionPlan
from gersp_geo.preprocessing import Preprocessing

RGB = Preprocessing(bands=('red', 'green', 'blue'), scale=(1,) * 3, mean=(0,) * 3, std=(1,) * 3)


def make_scene(path: Path, *, count: int = 3, side: int = 100) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=side, width=2 * side, count=count, dtype='uint16',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(np.ones((count, side, 2 * side), dtype='uint16'))
    return path


def test_a_plan_counts_what_will_be_done(tmp_path: Path) -> None:
    plan = plan_prediction(
        nn.Identity(), make_scene(tmp_path / 'scene.tif'), tmp_path / 'map.tif', size=64,
        overlap=16, preprocessing=RGB, output='probabilities', device='cpu',
    )  # fmt: skip
    assert (len(plan.tiles.row_offs), len(plan.tiles.col_offs)) == (3, 5)
    costs = plan.costs
    assert costs.pixels_kept == 20_000
    assert (costs.patches, costs.pixels_forwarded) == (15, 15 * 64 * 64)
    assert costs.bytes_read == 20_000 * 3 * 2
    assert costs.bytes_written == 20_000 * 3 * 4
    assert costs.blocks == costs.blocks_read == -(-100 // plan.header.block_shape[0])
    text = str(plan)
    assert '15 = 3 rows x 5 columns of 64 px' in text
    assert '3.07 times the scene' in text
    assert 'bands      1 red, 2 green, 3 blue (in order: the scene names none)' in text
    assert 'ms per patch; reading not measured (--calibrate)' in text
    slow = replace(costs, patch_seconds=600.0)
    assert '9,000 s = 2.5 h, without overviews' in str(replace(plan, costs=slow))


@pytest.mark.parametrize(('side', 'is_told'), [(32, True), (33, False), (None, False)])
def test_patches_much_larger_than_those_of_training_are_told(
    tmp_path: Path, side: int | None, is_told: bool
) -> None:
    source, record = make_scene(tmp_path / 'scene.tif'), replace(RGB, size=side)
    for make in (plan_prediction, predict_geotiff):
        made = make(
            nn.Identity(), source, tmp_path / 'map.tif', size=64, preprocessing=record, device='cpu'
        )
        told = re.search('(?m)^trained +on patches of 32 px, .*compare with --size 32$', str(made))
        assert (told is not None) == is_told


def test_blocks_are_decoded_for_a_plan_only_to_calibrate(tmp_path: Path) -> None:
    plan = plan_prediction(
        nn.Identity(), make_scene(tmp_path / 'scene.tif'), tmp_path / 'map.tif', size=64,
        overlap=16, preprocessing=RGB, calibrate=True,
    )  # fmt: skip
    assert (plan.costs.read_bytes_per_second or 0) > 0
    assert plan.costs.seconds is not None
    assert '/s read' in str(plan)


def test_little_memory_means_panels_and_too_little_an_error(tmp_path: Path) -> None:
    source = make_scene(tmp_path / 'scene.tif', side=300)

    def plan(limit: int | str) -> PredictionPlan:
        return plan_prediction(
            nn.Identity(), source, tmp_path / 'map.tif', size=64, overlap=16, preprocessing=RGB,
            memory_limit=limit,
        )  # fmt: skip

    assert len(plan('1GiB').panels) == 1
    narrow = plan(600_000)
    assert len(narrow.panels) > 1
    assert narrow.host_bytes < plan('1GiB').host_bytes
    with pytest.raises(
        ValueError, match=r'memory_limit must be at least .* KiB for patches of 64 px'
    ) as error:
        plan(1000)
    # what is named is enough
    named = re.search(r'at least (\S+ KiB)', str(error.value))
    assert named is not None
    assert len(plan(named[1]).panels) > 1
    with pytest.raises(ValueError, match="text such as '1GiB', got 'much'"):
        plan('much')


def test_a_plan_reads_no_pixel_and_writes_nothing(tmp_path: Path) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    # the header comes first; without its pixels, any attempt to read one fails
    content = source.read_bytes()
    source.write_bytes(content[:4000] + b'x' * (len(content) - 4000))
    plan = plan_prediction(nn.Identity(), source, tmp_path / 'map.tif', preprocessing=RGB)
    assert plan.costs.pixels_kept == 20_000
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


@pytest.mark.parametrize(
    ('size', 'batch_size', 'expected'),
    [(512, 'auto', 4), (128, 'auto', 64), (2048, 'auto', 1), (512, 7, 7)],
)
def test_automatic_batches_hold_a_megapixel_on_a_cpu(
    tmp_path: Path, size: int, batch_size: int, expected: int
) -> None:
    plan = plan_prediction(
        nn.Identity(), make_scene(tmp_path / 'scene.tif'), tmp_path / 'map.tif', size=size,
        batch_size=batch_size, preprocessing=RGB, device='cpu',
    )  # fmt: skip
    assert plan.batch_size == expected


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'size': 64, 'overlap': 64}, r'overlap must be in \[0, size=64\), got 64'),
        ({'size': 0, 'overlap': 0}, 'size must be >= 1, got 0'),
        ({'margin': 33}, r'margin must be in \[0, overlap / 2=32\], got 33'),
        ({'margin': -1}, 'got -1'),
        ({'blend': 'gauss'}, "blend must be 'hann' or 'crop', got 'gauss'"),
        ({'output': 'vectors'}, "got 'vectors'"),
        ({'blend': 'crop', 'margin': 2}, "margin goes with blend='hann', got 2 with 'crop'"),
        ({'overviews': 'average'}, "overviews of classes are made by 'mode' or 'nearest'"),
        ({'batch_size': 0}, "batch_size must be >= 1 or 'auto', got 0"),
        ({'device': 'abacus'}, "device 'abacus' cannot be used: "),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    with pytest.raises(ValueError, match=message):
        plan_prediction(
            nn.Identity(), source, tmp_path / 'map.tif', preprocessing=RGB,
            **options,  # type: ignore[arg-type]
        )  # fmt: skip


def halve(images: Tensor) -> Tensor:
    return images[..., ::2, ::2]


def pool(images: Tensor) -> Tensor:
    return images.mean(dim=(2, 3))


def nest(images: Tensor) -> dict[str, Tensor]:
    return {'out': images}


@pytest.mark.parametrize('model', [halve, pool, nest])
def test_a_model_that_returns_no_score_per_pixel_is_refused(
    tmp_path: Path, model: Callable[[Tensor], Tensor]
) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    with pytest.raises(ValueError, match=r'must return scores of shape \(1, K, 64, 64\)'):
        plan_prediction(model, source, tmp_path / 'map.tif', size=64, overlap=0, preprocessing=RGB)


def test_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    record = replace(RGB, class_names=('water', 'forest'))
    cases: tuple[tuple[MapKind, str], ...] = (('classes', 'classes'), ('probabilities', 'channels'))
    for output, word in cases:
        with pytest.raises(ValueError, match=f'returns 3 {word}, but preprocessing names 2'):
            plan_prediction(
                nn.Identity(), source, tmp_path / 'map.tif', preprocessing=record, output=output
            )


def test_names_that_make_no_legend_are_refused(tmp_path: Path) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    record = replace(RGB, class_names=('water', 'two\nlines', 'road'))
    with pytest.raises(ValueError, match='a class name must be printable text'):
        plan_prediction(nn.Identity(), source, tmp_path / 'map.tif', preprocessing=record)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=4, width=4, count=3, dtype='complex64',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ):  # fmt: skip
        pass
    with pytest.raises(ValueError, match=r'scene\.tif holds complex numbers \(complex64\)'):
        plan_prediction(
            nn.Identity(), tmp_path / 'scene.tif', tmp_path / 'map.tif', preprocessing=RGB
        )


def test_regression_and_labels_choose_their_map(tmp_path: Path) -> None:
    source = make_scene(tmp_path / 'scene.tif')
    heights = PixelwiseRegression(model='fcn', num_outputs=1, num_filters=2)
    labels = SemanticSegmentation(
        model='fcn', task='multilabel', num_labels=3, num_filters=2, loss='bce'
    )

    def plan(model: nn.Module, output: Literal['auto', 'classes']) -> PredictionPlan:
        return plan_prediction(
            model,
            source,
            tmp_path / 'map.tif',
            preprocessing=RGB,
            output=output,
            size=64,
            overlap=0,
        )

    assert 'map.tif: values, ' in str(plan(heights, 'auto'))
    assert 'map.tif: probabilities, ' in str(plan(labels, 'auto'))
    with pytest.raises(ValueError, match='a regression has no classes'):
        plan(heights, 'classes')
    with pytest.raises(ValueError, match='labels do not exclude each other'):
        plan(labels, 'classes')
