"""What detection reads, places, writes and refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from pyproj import Geod
from rasterio.crs import CRS
from torch import Tensor
from torchvision.models.detection import FasterRCNN, fasterrcnn_mobilenet_v3_large_320_fpn

from gersp_geo.geoio.vector import write
from gersp_geo.inference import detect_objects
from gersp_geo.inference.model.detector import Detector, count_classes, is_detector, name_labels
from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.outputs.object_summary import DetectionSummary
from gersp_geo.inference.resume.journal import work_folder
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ObjectDetection
from tests.inference.detection.detectors import GRID, RECORD, UTM, Exact, draw, write_scene

type Detect = Callable[..., tuple[DetectionSummary, geopandas.GeoDataFrame]]

BOXES = [(10, 20, 25, 30), (60, 60, 70, 75), (90, 5, 99, 15)]


@pytest.fixture
def detect(tmp_path: Path) -> Detect:
    """Detect with small patches and read the objects."""

    def run(model: Any, source: Path, **options: Any) -> tuple[DetectionSummary, Any]:
        destination = options.pop('destination', tmp_path / 'objects.gpkg')
        given: dict[str, Any] = {
            'size': 48,
            'overlap': 20,
            'preprocessing': RECORD,
            'progress': False,
        } | options
        summary = detect_objects(model, source, destination, **given)
        return summary, geopandas.read_file(destination)

    return run


def centres(frame: geopandas.GeoDataFrame) -> set[tuple[int, int]]:
    """Pixels in which the centres of objects lie, as (column, row)."""
    inverse = ~GRID
    return {
        tuple(int(np.floor(v)) for v in inverse @ (point.x, point.y))  # type: ignore[misc]
        for point in frame.geometry.centroid
    }


def test_objects_have_class_name_score_and_area(tmp_path: Path, detect: Detect) -> None:
    pixels = draw((100, 100), BOXES[:2]) + draw((100, 100), BOXES[2:], value=2)
    record = Preprocessing(
        bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=('no', 'car', 'bus')
    )
    source = write_scene(tmp_path / 'scene.tif', pixels)
    summary, frame = detect(Exact(), source, preprocessing=record)
    assert sorted(frame['class_name']) == ['bus', 'car', 'car']
    assert sorted(frame['class']) == [1, 1, 2]
    assert summary.class_objects == {'car': 2, 'bus': 1}
    np.testing.assert_allclose(frame['score'], 0.9, atol=1e-6)
    np.testing.assert_allclose(sorted(frame['area_m2']), np.array([90, 150, 150]) * 0.09)
    np.testing.assert_allclose(frame['area_m2'], frame.area)
    assert not frame['cut'].any()
    assert frame.crs == UTM


@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson', '.parquet'])
@pytest.mark.parametrize('boxes', [BOXES, []], ids=['objects', 'none'])
def test_every_format_has_the_same_columns(
    tmp_path: Path, suffix: str, boxes: list[tuple[int, int, int, int]]
) -> None:
    if suffix == '.parquet':
        pytest.importorskip('pyarrow')
    source = write_scene(tmp_path / 'scene.tif', draw((100, 100), boxes))
    destination = tmp_path / f'objects{suffix}'
    detect_objects(
        Exact(), source, destination, size=48, overlap=20, preprocessing=RECORD, progress=False
    )
    read = geopandas.read_parquet if suffix == '.parquet' else geopandas.read_file
    frame = read(destination)
    columns = ['class', 'class_name', 'score', 'cut', 'area_m2', 'geometry']
    assert len(frame) == len(boxes)
    assert set(frame.geom_type) <= {'Polygon'}
    # GeoJSON without features has no schema
    if boxes or suffix != '.geojson':
        assert [name for name in frame.columns if name != 'bbox'] == columns
    assert (frame.crs == UTM) == (suffix != '.geojson')


@pytest.mark.parametrize(
    'transform',
    [Affine(0.3, 0, 5e5 + 1 / 3, 0, 0.3, 5e6), Affine(0.29, 0.045, 5e5 + 1 / 7, 0.067, -0.19, 5e6)],
    ids=['south-up', 'rotated'],
)
def test_corners_are_corners_of_pixels_under_any_transform(
    tmp_path: Path, detect: Detect, transform: Affine
) -> None:
    left, top, right, bottom = box = BOXES[0]
    source = write_scene(tmp_path / 'scene.tif', draw((100, 100), [box]), transform=transform)
    _, frame = detect(Exact(), source)
    corners = shapely.get_coordinates(frame.geometry[0])[:-1]
    expected = [
        transform @ corner
        for corner in [(left, top), (left, bottom), (right, bottom), (right, top)]
    ]
    np.testing.assert_allclose(sorted(map(tuple, corners)), sorted(expected), atol=1e-6)
    np.testing.assert_allclose(frame.area_m2, frame.area)


def test_the_area_in_degrees_is_that_on_the_ellipsoid(tmp_path: Path, detect: Detect) -> None:
    transform = Affine(1 / 3600, 0, 11 + 1 / 3, 0, -1 / 3600, 48)
    source = write_scene(
        tmp_path / 'scene.tif',
        draw((100, 100), BOXES),
        transform=transform,
        crs=CRS.from_epsg(4326),
    )
    _, frame = detect(Exact(), source)
    geod = Geod(ellps='WGS84')
    expected = [abs(geod.geometry_area_perimeter(box)[0]) for box in frame.geometry]
    np.testing.assert_allclose(frame['area_m2'], expected, rtol=1e-5)


def test_masks_become_outlines_with_holes(tmp_path: Path, detect: Detect) -> None:
    pixels = draw((100, 100), [(30, 30, 60, 50)])
    pixels[36:40, 40:45] = 0
    pixels[30:33, 30:33] = 0
    source = write_scene(tmp_path / 'scene.tif', pixels)
    summary, frame = detect(Exact(masks=True), source, size=64, overlap=40)
    (outline,) = frame.geometry
    assert summary.boxes > 1
    assert outline.is_valid
    assert len(outline.interiors) == 1
    assert outline.area == pytest.approx(pixels.sum() * 0.09)
    assert frame.area_m2[0] == pytest.approx(pixels.sum() * 0.09)
    assert outline.bounds == pytest.approx((*(GRID @ (30, 50)), *(GRID @ (60, 30))))


class Oriented:
    """Returns the same two crossing objects, in pixels of the scene, from any patch that sees them."""

    def __call__(self, images: Tensor) -> list[dict[str, Tensor]]:
        return [self.find(image[0]) for image in images]

    def find(self, image: Tensor) -> dict[str, Tensor]:
        rows, cols = (image == 9).nonzero().unbind(1)
        boxes = [
            [float(col) + 0.5, float(row) + 0.5, 20, 4, angle]
            for row, col in zip(rows, cols, strict=True)
            for angle in (45, -45)
        ]
        return {
            'boxes': torch.tensor(boxes).reshape(-1, 5),
            'labels': torch.ones(len(boxes), dtype=torch.int64),
            'scores': torch.full((len(boxes),), 0.8),
        }


def test_oriented_boxes_are_compared_as_they_lie(tmp_path: Path, detect: Detect) -> None:
    """Their hulls are the same, and they share a seventh of what they cover."""
    pixels = np.zeros((100, 100), dtype=np.uint8)
    pixels[50, 40] = 9
    source = write_scene(tmp_path / 'scene.tif', pixels)
    summary, frame = detect(Oriented(), source, overlap=30)
    assert len(frame) == 2
    assert summary.boxes > 2
    np.testing.assert_allclose(frame.area, 80 * 0.09)
    np.testing.assert_allclose(frame.area_m2, 80 * 0.09)
    turned = shapely.affinity.rotate(shapely.box(-10, -2, 10, 2), 45)
    on_map = shapely.affinity.translate(
        shapely.affinity.scale(turned, 0.3, 0.3, origin=(0, 0)), *(GRID @ (40.5, 50.5))
    )
    # against the clock on the image is against the clock on a map with north up
    assert max(shapely.intersection(on_map, frame.geometry).area) == pytest.approx(80 * 0.09)


def test_objects_without_an_observation_at_their_centre_are_dropped(
    tmp_path: Path, detect: Detect
) -> None:
    pixels = draw((100, 100), BOXES) + 1
    pixels[23:27, 14:21] = 255
    source = write_scene(tmp_path / 'scene.tif', pixels, nodata=255)
    # what is missing enters as the mean, which here is an object: its middle nobody saw
    record = Preprocessing(bands=('b0',), scale=(1.0,), mean=(2.0,), std=(1.0,))

    def detector(images: Tensor) -> list[dict[str, Tensor]]:
        return Exact()((images == 0).float())

    _, frame = detect(detector, source, preprocessing=record)
    assert centres(frame) == {(65, 67), (94, 10)}


def test_objects_outside_the_area_are_dropped_and_those_across_are_whole(
    tmp_path: Path, detect: Detect
) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((100, 100), BOXES))
    # two thirds of the second object, a third of the first
    left, top = GRID @ (20, 0)
    right, bottom = GRID @ (68, 100)
    area = tmp_path / 'area.gpkg'
    geopandas.GeoSeries([shapely.box(left, bottom, right, top)], crs=UTM).to_file(area)
    _, frame = detect(Exact(), source, area=area)
    assert centres(frame) == {(65, 67)}
    assert frame.area[0] == pytest.approx(150 * 0.09)


def test_patches_without_an_observation_are_not_forwarded(tmp_path: Path, detect: Detect) -> None:
    pixels = np.zeros((96, 96), dtype=np.uint8)
    pixels[40:44, 40:44] = 1
    source = write_scene(tmp_path / 'scene.tif', pixels, nodata=0)
    model = Exact()
    summary, frame = detect(model, source, size=32, overlap=0)
    assert (summary.patches, summary.forwarded, len(frame)) == (9, 1, 1)
    assert summary.valid_pixels == 16
    # and the patch of zeros
    assert model.seen == 2


def test_input_is_normalised_as_in_training(tmp_path: Path, detect: Detect) -> None:
    source = write_scene(tmp_path / 'scene.tif', np.full((40, 40), 30, dtype=np.uint8))
    record = Preprocessing(bands=('b0',), scale=(0.5,), mean=(3.0,), std=(4.0,))
    seen = []

    def look(images: Tensor) -> list[dict[str, Tensor]]:
        seen.append(images.clone())
        return Exact()(images * 0)

    detect(look, source, preprocessing=record)
    assert (seen[-1] == 3).all()


def test_scores_below_the_threshold_and_infinite_boxes_are_no_objects(
    tmp_path: Path, detect: Detect
) -> None:
    source = write_scene(tmp_path / 'scene.tif', np.ones((40, 40), dtype=np.uint8))

    def guess(images: Tensor) -> list[dict[str, Tensor]]:
        found = {
            'boxes': torch.tensor(
                [[10.0, 10, 20, 20], [30, 10, 40, 20], [10, 30, float('inf'), 40], [30, 30, 30, 30]]
            ),
            'labels': torch.ones(4, dtype=torch.int64),
            'scores': torch.tensor([0.7, 0.69, 0.9, 0.9]),
        }
        return [found for _ in images]

    _, frame = detect(guess, source, size=60, score_threshold=0.7)
    assert len(frame) == 1


def small_detector(classes: int) -> FasterRCNN:
    torch.manual_seed(0)
    return fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=classes, box_score_thresh=0.0,
        min_size=64, max_size=64, box_detections_per_img=5,
    )  # fmt: skip


def test_a_detector_of_torchvision_runs_in_evaluation_and_says_when_it_is_full(
    tmp_path: Path, detect: Detect
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 90, 90)).astype(np.uint8)
    source = tmp_path / 'scene.tif'
    with rasterio.open(
        source, 'w', driver='GTiff', height=90, width=90, count=3, dtype='uint8', crs=UTM,
        transform=GRID,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    record = Preprocessing(
        bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3,
        class_names=('car', 'bus'),
    )  # fmt: skip
    model = small_detector(3).train()
    summary, frame = detect(
        model, source, preprocessing=record, score_threshold=0.0, size=64, overlap=32
    )
    assert model.training
    assert summary.boxes > 0
    # the background is never an object, and names begin behind it
    assert set(frame['class']) <= {1, 2}
    assert set(frame['class_name']) <= {'car', 'bus'}
    assert summary.full_patches > 0
    assert any('as many objects as it returns at most' in note for note in summary.notes)


@pytest.mark.quick('names0-wanted0-fcos', 'names1-wanted1-retinanet')
@pytest.mark.parametrize('kind', ['fcos', 'retinanet'])
@pytest.mark.parametrize(
    ('names', 'wanted'),
    [(('car', 'bus', 'van'), {'car', 'bus', 'van'}), (('bus', 'van'), {'bus', 'van'})],
)
def test_label_0_is_an_object_where_a_detector_scores_each_class_alone(
    tmp_path: Path, detect: Detect, kind: Any, names: tuple[str, ...], wanted: set[str]
) -> None:
    torch.manual_seed(0)
    task = ObjectDetection(kind, 'resnet18', num_classes=3).eval()
    head = task.model.head.classification_head
    torch.nn.init.zeros_(head.cls_logits.weight)
    torch.nn.init.constant_(head.cls_logits.bias, 5.0)
    source = tmp_path / 'scene.tif'
    profile = {'driver': 'GTiff', 'height': 64, 'width': 64, 'count': 3, 'dtype': 'uint8'}
    with rasterio.open(source, 'w', crs=UTM, transform=GRID, **profile) as dst:
        dst.write(np.full((3, 64, 64), 7, dtype=np.uint8))
    record = Preprocessing(
        bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3,
        class_names=names,
    )  # fmt: skip
    _, frame = detect(task, source, preprocessing=record, size=64, overlap=0)
    assert set(frame['class_name']) == wanted


def test_labels_are_named_with_or_without_the_background() -> None:
    def record(*names: str) -> Preprocessing:
        return Preprocessing(
            bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=names
        )

    model = small_detector(3)
    assert is_detector(model)
    assert count_classes(model) == 3
    assert name_labels(record('car', 'bus'), classes=3) == {1: 'car', 2: 'bus'}
    assert name_labels(record('none', 'car', 'bus'), classes=3) == {0: 'none', 1: 'car', 2: 'bus'}
    assert name_labels(record('car', 'bus'), classes=None) == {0: 'car', 1: 'bus'}
    assert name_labels(record(), classes=3) is None
    with pytest.raises(ValueError, match='3 classes with the background, but the record names 1'):
        name_labels(record('car'), classes=3)


WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    'logits': (lambda images: images, r'a tensor of shape \(1, 1, 48, 48\); predict_geotiff'),
    'a dictionary': (lambda images: {'boxes': images}, 'per image, a dictionary .* got dict'),
    'numbers': (lambda images: [1 for _ in images], 'got a list of int'),
    'too few': (lambda images: [], 'got 0 for 1 images'),
    'no scores': (
        lambda images: [{'boxes': torch.zeros(0, 4), 'labels': torch.zeros(0)} for _ in images],
        'without scores',
    ),
    'three numbers': (
        lambda images: [
            {'boxes': torch.zeros(2, 3), 'labels': torch.zeros(2), 'scores': torch.zeros(2)}
            for _ in images
        ],
        r'boxes must be \(n, 4\) or \(n, 5\), .* boxes \(2, 3\)',
    ),
    'small masks': (
        lambda images: [
            {
                'boxes': torch.zeros(2, 4), 'labels': torch.zeros(2), 'scores': torch.zeros(2),
                'masks': torch.zeros(2, 28, 28),
            }
            for _ in images
        ],
        r'masks must be \(2, 48, 48\)',
    ),
}  # fmt: skip


@pytest.mark.parametrize(('model', 'message'), WRONG.values(), ids=WRONG)
def test_output_that_is_no_detection_is_refused(
    tmp_path: Path, detect: Detect, model: Any, message: str
) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []))
    with pytest.raises(ValueError, match=message):
        detect(model, source)
    assert list(tmp_path.glob('*objects*')) == []


def test_a_label_without_a_name_is_refused() -> None:
    record = Preprocessing(
        bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=('none', 'car')
    )
    model: Any = Exact()
    loaded = LoadedModel(forward=model, scores='classes', preprocessing=record, name='exact')
    with pytest.raises(ValueError, match=r'the label 7, but class_names .* labels \[0, 1\]'):
        Detector.of(loaded)(torch.full((1, 1, 8, 8), 7.0))


def test_a_scene_without_a_crs_is_refused(tmp_path: Path, detect: Detect) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []), crs=None)
    with pytest.raises(ValueError, match='names no CRS'):
        detect(Exact(), source)


def test_an_existing_file_stays(tmp_path: Path, detect: Detect) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []))
    existing = tmp_path / 'objects.gpkg'
    existing.write_text('mine')
    with pytest.raises(FileExistsError, match='--overwrite'):
        detect(Exact(), source)
    assert existing.read_text() == 'mine'
    detect(Exact(), source, overwrite=True)


def test_an_unknown_format_is_refused(tmp_path: Path, detect: Detect) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []))
    with pytest.raises(ValueError, match=r'must end in \.gpkg, \.parquet, \.geojson'):
        detect(Exact(), source, destination=tmp_path / 'objects.tif')


@pytest.mark.parametrize(
    'options',
    [
        {'score_threshold': 1.5}, {'iou_threshold': -1}, {'match': 'giou'}, {'overlap': 48},
        {'memory_limit': '1'}, {'batch_size': 0}, {'bands': (2,)}, {'device': 'abacus'},
    ],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_refused(
    tmp_path: Path, detect: Detect, options: dict[str, Any]
) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []))
    with pytest.raises(ValueError, match=next(iter(options))):
        detect(Exact(), source, **options)


def test_a_model_that_fails_leaves_no_file(tmp_path: Path, detect: Detect) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((200, 60), BOXES[:1]))
    model = Exact()

    def fail(images: Tensor) -> list[dict[str, Tensor]]:
        if model.seen > 3:
            raise RuntimeError('out of luck')
        return model(images)

    with pytest.raises(RuntimeError, match='out of luck'):
        detect(fail, source, batch_size=1)
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


def test_more_objects_than_geojson_may_hold_are_refused_when_they_are_found(
    tmp_path: Path, detect: Detect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, 'MAX_GEOJSON_FEATURES', 2)
    source = write_scene(tmp_path / 'scene.tif', draw((100, 100), BOXES))
    detect(Exact(), source)
    with pytest.raises(
        ValueError, match=r'ends at 2 polygons .* got 3 .* \.gpkg or \.parquet'
    ) as error:
        detect(Exact(), source, destination=tmp_path / 'objects.geojson')
    # while the error, and with it the frames that it went through, is still held
    assert error.value
    # and the advice is right
    work_folder(tmp_path / 'objects.geojson').rename(work_folder(tmp_path / 'many.gpkg'))
    summary, _ = detect(Exact(), source, destination=tmp_path / 'many.gpkg')
    assert summary.parts == 0
    assert summary.objects > 2
    assert not torch.is_inference_mode_enabled()
    assert not (tmp_path / 'objects.geojson').exists()


def test_a_picture_that_cannot_be_is_refused_before_the_model_is_asked(
    tmp_path: Path, detect: Detect
) -> None:
    source = write_scene(tmp_path / 'scene.tif', draw((60, 60), []))
    picture = tmp_path / 'objects.png'
    picture.write_text('mine')
    model = Exact()
    with pytest.raises(FileExistsError, match=r'objects\.png exists'):
        detect(model, source, preview=picture)
    with pytest.raises(ValueError, match='a preview is written as'):
        detect(model, source, preview=tmp_path / 'objects.gif')
    assert model.seen == 0
    assert picture.read_text() == 'mine'
    summary, _ = detect(model, source, preview=picture, overwrite=True)
    assert summary.picture == str(picture)
    assert picture.read_bytes()[1:4] == b'PNG'
