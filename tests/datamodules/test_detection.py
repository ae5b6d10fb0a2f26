"""Patches of images with objects, as a detector learns them."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from torch import Tensor
from torchgeo.tasks import ObjectDetection

from gersp_geo.datamodules import (
    GeoTIFFInstanceSegmentationDataModule,
    GeoTIFFObjectDetectionDataModule,
)
from gersp_geo.windows import Window

GRID = from_origin(500_000, 5_000_000, 2, 2)
SIDE = 128


def write_image(path: Path, *, transform: Affine = GRID, value: int = 100, gap: int = 0) -> Path:
    pixels = np.full((3, SIDE, SIDE), value, dtype=np.uint8)
    pixels[:, :, :gap] = 0
    profile = {'driver': 'GTiff', 'height': SIDE, 'width': SIDE, 'count': 3, 'dtype': 'uint8'}
    with rasterio.open(
        path, 'w', crs='EPSG:32633', transform=transform, nodata=0 if gap else None, **profile
    ) as dst:
        dst.write(pixels)
    return path


def scatter(count: int, *, seed: int = 0, low: float = 3, high: float = 14) -> NDArray[np.float64]:
    """Left, top, right, bottom in pixels of boxes inside the image."""
    generator = np.random.default_rng(seed)
    sides = generator.uniform(low, high, (count, 2))
    corners = generator.uniform(0, SIDE - sides)
    return np.concatenate([corners, corners + sides], axis=1)


def write_boxes(path: Path, boxes: NDArray[np.float64], *, transform: Affine = GRID) -> Path:
    outlines = [
        shapely.affinity.affine_transform(shapely.box(*box), transform.to_shapely())
        for box in boxes.tolist()
    ]
    names = [('car', 'ship')[i % 2] for i in range(len(boxes))]
    frame = geopandas.GeoDataFrame({'kind': names}, geometry=outlines, crs=32633)
    frame.to_crs(4326).to_file(path)
    return path


def module(
    tmp_path: Path,
    boxes: NDArray[np.float64],
    *,
    kind: type[GeoTIFFObjectDetectionDataModule] = GeoTIFFObjectDetectionDataModule,
    transform: Affine = GRID,
    gap: int = 0,
    **options: Any,
) -> GeoTIFFObjectDetectionDataModule:
    image = write_image(tmp_path / 'a.tif', transform=transform, gap=gap)
    labels = write_boxes(tmp_path / 'boxes.gpkg', boxes, transform=transform)
    small: dict[str, Any] = {'attribute': 'kind', 'size': 32, 'batch_size': 4, 'length': 200}
    datamodule = kind([str(image)], labels, **small | options)
    datamodule.setup('fit')
    return datamodule


@pytest.mark.parametrize('turn', [0.0, 25.0])
def test_boxes_of_patches_are_those_of_the_scene(tmp_path: Path, turn: float) -> None:
    boxes = scatter(40)
    grid = GRID @ Affine.rotation(turn)
    datamodule = module(tmp_path, boxes, transform=grid, min_visible=0.999)
    train = datamodule.train_patches
    assert train is not None
    seen: set[int] = set()
    for i in range(len(train)):
        _, w = train.patch(0, i)
        sample = train[0, i]
        corner = np.array([w.col_off, w.row_off] * 2)
        inside = (boxes >= corner).all(axis=1) & (boxes <= corner + 32).all(axis=1)
        found = sample['bbox_xyxy'].numpy() + corner
        assert len(found) == inside.sum()
        for box, label in zip(found, sample['label'].tolist(), strict=True):
            which = int(np.abs(boxes - box).max(axis=1).argmin())
            # by way of degrees and back: a hundredth of a millimetre
            assert np.abs(boxes[which] - box).max() < 1e-4
            assert label == 1 + which % 2
            seen.add(which)
    # all that lie on training ground as a whole are shown whole
    ground = [block.window for block in train.blocks]
    for which, (left, top, right, bottom) in enumerate(boxes):
        if any(
            w.col_off <= left and right <= w.col_stop and w.row_off <= top and bottom <= w.row_stop
            for w in ground
        ):
            assert which in seen


def test_what_is_no_target_is_blanked_and_the_rest_is_as_stored(tmp_path: Path) -> None:
    boxes = np.array([[20.0, 20, 40, 30], [70, 70, 80, 80]])
    datamodule = module(tmp_path, boxes, min_visible=0.5, block_size=64)
    tiles = datamodule.scan().tiles
    # three quarters of the first box lie in the patch
    sample = tiles.read(0, Window(row_off=16, col_off=25, height=32, width=32))
    assert np.allclose(sample['bbox_xyxy'].numpy(), [[0, 4, 15, 14]], atol=1e-4)
    assert (sample['image'] == 100).all()
    # a quarter
    sample = tiles.read(0, Window(row_off=16, col_off=35, height=32, width=32))
    assert sample['bbox_xyxy'].shape == (0, 4)
    assert sample['label'].shape == (0,)
    blank = sample['image'].isnan()
    assert blank[:, 4:14, :5].all()
    assert blank.sum() == 3 * 50


def test_patches_without_objects_have_their_share(tmp_path: Path) -> None:
    boxes = scatter(30)
    for share in (0.0, 0.5):
        train = module(tmp_path, boxes, empty_share=share).train_patches
        assert train is not None
        empty = np.mean([len(train[0, i]['label']) == 0 for i in range(200)])
        # four standard deviations
        assert abs(empty - share) <= 4 * (share * (1 - share) / 200) ** 0.5


def test_objects_without_an_observed_pixel_are_no_targets(tmp_path: Path) -> None:
    boxes = np.concatenate([scatter(30), [[1.0, 1, 9, 9]]])
    datamodule = module(tmp_path, boxes, gap=12)
    train = datamodule.train_patches
    assert train is not None
    counted = int(datamodule.scan().counts[:, :2].sum())
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert counted == (middles[:, 0] >= 12).sum() < len(boxes)
    for i in range(100):
        tile, w = train.patch(0, i)
        boxes_here = train[0, i]['bbox_xyxy'].numpy()
        assert tile == 0
        assert (boxes_here[:, 2] + w.col_off > 12).all()


def test_masks_are_the_pixels_of_their_objects(tmp_path: Path) -> None:
    boxes = np.round(scatter(30))
    datamodule = module(tmp_path, boxes, kind=GeoTIFFInstanceSegmentationDataModule)
    batch = next(iter(datamodule.train_dataloader()))
    assert len(batch['mask']) == 4
    for masks, found in zip(batch['mask'], batch['bbox_xyxy'], strict=True):
        assert masks.dtype == torch.uint8
        for mask, box in zip(masks, found.round().int().tolist(), strict=True):
            left, top, right, bottom = box
            expected = torch.zeros(32, 32, dtype=torch.uint8)
            expected[top:bottom, left:right] = 1
            assert torch.equal(mask, expected)


def test_reading_is_the_same_in_workers(tmp_path: Path) -> None:
    def batches(workers: int) -> list[dict[str, Any]]:
        datamodule = module(tmp_path, scatter(30), num_workers=workers, length=8)
        return list(datamodule.train_dataloader())

    for here, there in zip(batches(0), batches(2), strict=True):
        assert torch.equal(here['image'].nan_to_num(-1), there['image'].nan_to_num(-1))
        for key in ('bbox_xyxy', 'label'):
            assert all(torch.equal(a, b) for a, b in zip(here[key], there[key], strict=True))


def test_a_detector_with_other_classes_is_refused(tmp_path: Path) -> None:
    datamodule = module(tmp_path, scatter(10))

    class Trained:
        lightning_module = ObjectDetection('fcos', 'resnet18', num_classes=2)

    datamodule.trainer = Trained()  # type: ignore[assignment]
    rule = r'num_classes of the task must be 3: the background and the 2 classes .* got 2'
    with pytest.raises(ValueError, match=rule):
        datamodule.setup('fit')


@pytest.mark.parametrize(
    ('options', 'rule'),
    [
        ({'min_visible': 0.0}, r'min_visible must be in \(0, 1\]'),
        ({'empty_share': 1.0}, r'empty_share in \[0, 1\)'),
        ({'format': 'pascal'}, 'format must be one of'),
    ],
)
def test_impossible_arguments_raise(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        GeoTIFFObjectDetectionDataModule('images', 'labels', **options)


def test_objects_on_no_observed_ground_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='none has its centre on an observed pixel'):
        module(tmp_path, np.array([[1.0, 1, 9, 9]]), gap=100)


def test_plot_draws_truth_and_prediction(tmp_path: Path) -> None:
    datamodule = module(tmp_path, scatter(30), kind=GeoTIFFInstanceSegmentationDataModule)
    assert datamodule.train_patches is not None
    sample: dict[str, Tensor] = datamodule.train_patches[0, 0]
    found = {f'prediction_{key}': sample[key] for key in ('bbox_xyxy', 'label', 'mask')}
    figure = datamodule.plot(sample | found, title='here')
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 2
    figure.canvas.draw()


def test_patches_without_object_are_found_beside_what_nobody_looked_at(tmp_path: Path) -> None:
    boxes = np.array([[4.0, 4, 10, 10], [70, 4, 76, 10], [4, 70, 10, 76]])
    whole = np.array([[0.0, 0, 120, 128]])
    area = write_boxes(tmp_path / 'area.gpkg', whole)
    datamodule = module(tmp_path, boxes, area=str(area), empty_share=0.5, val_split=0.1)
    train = datamodule.train_patches
    assert train is not None
    counts = [len(train[0, i]['label']) for i in range(40)]
    assert 5 < counts.count(0) < 35


def test_objects_that_no_patch_is_drawn_around_are_counted(tmp_path: Path) -> None:
    # one larger than any patch shows enough of, and one on no observation
    boxes = [[20.0, 20, 110, 110], [1, 1, 9, 9]]
    with pytest.warns(UserWarning, match='1 of 5 objects are not counted') as said:
        module(
            tmp_path, np.concatenate([boxes, [[i, 112, i + 9, 121] for i in (20, 50, 99)]]), gap=9
        )
    texts = [str(one.message) for one in said]
    assert any(
        'size=32 shows less than min_visible=0.4 of 1 of 5 objects' in text for text in texts
    )
    with pytest.raises(ValueError, match=r'min_visible=0.4 of 1 of 1 objects .* a larger size'):
        module(tmp_path, np.array(boxes[:1]))
