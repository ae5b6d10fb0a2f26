from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo.tasks import Classification
from torchvision.models.detection.mask_rcnn import MaskRCNN

from gersp_geo.tasks import InstanceSegmentation, ObjectDetection
from gersp_geo.tasks.targets import check_batch, has_background

MODELS = ('faster-rcnn', 'fcos', 'retinanet')
# where each model scores classes
SCORES = {
    'faster-rcnn': 'roi_heads.box_predictor.cls_score',
    'fcos': 'head.classification_head.cls_logits',
    'retinanet': 'head.classification_head.cls_logits',
}

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')


def build(model: str = 'faster-rcnn', num_classes: int = 3) -> ObjectDetection:
    torch.manual_seed(0)
    return ObjectDetection(model, 'resnet18', num_classes=num_classes)  # type: ignore[arg-type]


@pytest.fixture(scope='module')
def detector() -> ObjectDetection:
    return build()


@pytest.fixture(scope='module')
def segmenter() -> InstanceSegmentation:
    return InstanceSegmentation(num_classes=3)


def batch_of(*objects: tuple[list[float], int], side: int = 64, **more: Any) -> dict[str, Any]:
    """Two images, of which the second one has these objects."""
    boxes = torch.tensor([box for box, _ in objects], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label for _, label in objects], dtype=torch.int64)
    return {
        'image': torch.zeros(2, 3, side, side // 2),
        'bbox_xyxy': [torch.zeros(0, 4), boxes],
        'label': [torch.zeros(0, dtype=torch.int64), labels],
    } | more


@pytest.mark.parametrize('model', MODELS)
def test_label_0_is_the_background_where_it_is_never_found(model: str) -> None:
    task = build(model).eval()
    scores: nn.Module = task.model.get_submodule(SCORES[model])
    with torch.no_grad():
        assert isinstance(scores.bias, Tensor)
        # all anchors score class 0 highest
        scores.bias.view(-1, 3)[:] = torch.tensor([9.0, 8.0, 7.0])
        (found,) = task(torch.rand(1, 3, 64, 64))
    assert (0 in found['labels'].tolist()) != has_background(task.model)


def test_instances_have_a_background_too(segmenter: InstanceSegmentation) -> None:
    assert isinstance(segmenter.model, MaskRCNN)
    assert has_background(segmenter.model)


@pytest.mark.parametrize(
    ('model', 'classes', 'valid', 'invalid', 'rule'),
    [
        ('faster-rcnn', 2, [1], [-1, 0, 2, 90], 'must be 1, as 0 is the background'),
        ('faster-rcnn', 4, [1, 2, 3], [0, 4], r'must be in \[1, 3\], as 0 is the background'),
        ('faster-rcnn', 1, [], [0, 1], 'num_classes=1 knows no object, as 0 is the background'),
        ('fcos', 2, [0, 1], [-1, 2], 'must be 0 or 1'),
        ('fcos', 1, [0], [-1, 1], 'must be 0'),
        ('retinanet', 3, [0, 1, 2], [-1, 3], r'must be in \[0, 2\]'),
    ],
)
def test_labels_are_those_that_the_model_scores(
    model: str, classes: int, valid: list[int], invalid: list[int], rule: str
) -> None:
    task = build(model, classes)
    assert check_batch(task, batch_of(), purpose='training') == 0
    for label in valid:
        assert check_batch(task, batch_of(([1, 2, 3, 4], label)), purpose='test') == 1
    for label in invalid:
        with pytest.raises(ValueError, match=f'image 1 of a test batch: .*{rule}.*got {label}:'):
            check_batch(task, batch_of(([1, 2, 3, 4], label)), purpose='test')


NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('boxes', 'words'),
    [
        # annotations reach over the side of a chip, or a fraction of a pixel beyond it
        ([[-5, -5, 10, 10], [20, 40, 32.2, 64.2]], None),
        # the first pixel alone
        ([[0, 0, 1, 1]], None),
        ([[0, 0, 1, 1], [3, 3, 9, 9]], None),
        ([[40, 40, 10, 12]], r'got \[40, 40, 10, 12\], which looks like x, y, width, height: conv'),
        ([[1, 2, 9, 9], [5, 40, 9, 12]], r"got \[5, 40, 9, 12\], .*box_convert\(boxes, 'xywh', "),
        ([[5, 5, 5, 30]], r'have an area, got \[5, 5, 5, 30\]: leave such objects out'),
        ([[5, 9, 8, 9]], r'have an area, got \[5, 9, 8, 9\]'),
        ([[5, NAN, 8, 9]], r'be finite, got \[5, nan, 8, 9\]'),
        ([[5, 1, INF, 9]], r'be finite, got \[5, 1, inf, 9\]'),
        ([[32, 1, 40, 9]], r'in the image of 32 x 64 px, at least in part, got \[32, 1, 40, 9\]'),
        ([[1, 64, 9, 70]], r'at least in part, got \[1, 64, 9, 70\]: cut and resize boxes with'),
        ([[-9, 3, 0, 9]], r'at least in part, got \[-9, 3, 0, 9\]'),
        ([[500, 4e6, 520, 4.1e6]], 'at least in part'),
        ([[0.1, 0.2, 0.4, 0.5], [0.5, 0, 1, 1]], r'goes beyond 1: multiply .* 32 .* height 64'),
    ],
)
def test_boxes_are_corners_in_pixels_of_the_image(
    detector: ObjectDetection, boxes: list[list[float]], words: str | None
) -> None:
    batch = batch_of(*((box, 1) for box in boxes))
    if words is None:
        assert check_batch(detector, batch, purpose='training', is_loaded=True) == len(boxes)
        return
    with pytest.raises(ValueError, match=f'image 1 of a training batch: boxes must .*{words}'):
        check_batch(detector, batch, purpose='training', is_loaded=True)


def test_an_augmentation_may_move_an_object_out_of_the_image(detector: ObjectDetection) -> None:
    batch = batch_of(([32, 1, 40, 9], 1), ([1, 2, 9, 9], 1))
    assert check_batch(detector, batch, purpose='training') == 2


BOX = ([1.0, 2.0, 9.0, 9.0], 1)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'bbox_xyxy': [torch.zeros(0), torch.ones(1, 4)]}, r'image 0 .* \(0, 4\) without .* \(0,\)'),
        ({'bbox_xyxy': [torch.zeros(0, 4), torch.ones(1, 5)]}, r'\(n, 4\), .*, got \(1, 5\)'),
        ({'label': [torch.zeros(0).long(), torch.ones(2).long()]}, r'1 boxes need labels .* \(2,\)'),
        ({'label': [torch.zeros(0).long(), torch.ones(1, 1).long()]}, r'got \(1, 1\)'),
        ({'label': [torch.zeros(0).long(), torch.ones(1)]}, r'int64, got torch.float32 and torch.fl'),
        ({'label': [torch.zeros(0).byte(), torch.ones(1).byte()]}, r'and torch.uint8; convert with'),
        ({'label': [torch.ones(1).long()]}, r"batch of 2 images must have 'label' of as many, got 1"),
    ],
)  # fmt: skip
def test_boxes_and_labels_go_together(
    detector: ObjectDetection, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        check_batch(detector, batch_of(BOX, **changes), purpose='training')


@pytest.mark.parametrize(
    ('renamed', 'words'),
    [
        ({'bbox_xyxy': 'boxes'}, "'boxes', 'label'; rename 'boxes'$"),
        ({'bbox_xyxy': 'bbox'}, "rename 'bbox', which must hold left, top, right, bottom$"),
        ({'label': 'labels'}, "got 'image', 'bbox_xyxy', 'labels'; rename 'labels'$"),
        ({'label': 'category'}, 'the data set has to give it$'),
    ],
)
def test_other_names_are_told(
    detector: ObjectDetection, renamed: dict[str, str], words: str
) -> None:
    batch = {renamed.get(key, key): value for key, value in batch_of(BOX).items()}
    with pytest.raises(ValueError, match=words):
        check_batch(detector, batch, purpose='training')


def masks(*shape: int, value: int = 1) -> list[Tensor]:
    return [torch.zeros(0, 64, 32, dtype=torch.uint8), torch.full(shape, value, dtype=torch.uint8)]


@pytest.mark.parametrize(
    ('mask', 'words'),
    [
        (masks(1, 64, 32), None),
        ([mask.bool() for mask in masks(1, 64, 32)], None),
        (masks(64, 32), r'1 boxes need as many masks, of shape \(1, 64, 32\), got \(64, 32\)'),
        (masks(2, 64, 32), r'got \(2, 64, 32\)'),
        (masks(1, 32, 64), r'got \(1, 32, 64\)'),
        (masks(1, 64, 32, value=255), 'masks must be 0 or 1 .*: pass mask > 0'),
    ],
)
def test_masks_are_one_per_box(
    segmenter: InstanceSegmentation, mask: list[Tensor], words: str | None
) -> None:
    batch = batch_of(BOX, mask=mask)
    if words is None:
        assert check_batch(segmenter, batch, purpose='training') == 1
        return
    with pytest.raises(ValueError, match=f'image 1 of a training batch: .*{words}'):
        check_batch(segmenter, batch, purpose='training')


def test_masks_are_needed_for_instances_alone(
    detector: ObjectDetection, segmenter: InstanceSegmentation
) -> None:
    assert check_batch(detector, batch_of(BOX), purpose='training') == 1
    with pytest.raises(ValueError, match="must have 'bbox_xyxy', 'label', 'mask', as in torchgeo"):
        check_batch(segmenter, batch_of(BOX), purpose='training')


def test_other_tasks_are_left_alone() -> None:
    task = Classification('resnet18', in_channels=3, num_classes=2)
    assert check_batch(task, {'image': torch.zeros(1), 'label': 0}, purpose='training') is None


def run(
    task: ObjectDetection,
    batches: list[dict[str, Any]],
    *others: dict[str, Any],
    purpose: str = 'fit',
) -> None:
    """Give the trainer batches as they are, and others to validate on."""
    trainer = Trainer(
        max_epochs=1, accelerator='cpu', logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loaders: list[Any] = [DataLoader(part, batch_size=None) for part in (batches, others) if part]  # type: ignore[arg-type]
    getattr(trainer, purpose)(task, *loaders)


@pytest.mark.filterwarnings('ignore:.*LeafSpec.*')
def test_every_batch_is_checked_for_training_and_test_but_not_for_prediction(
    detector: ObjectDetection, make_boxes: Callable[[int], dict[str, Any]]
) -> None:
    good, late = make_boxes(3), make_boxes(3)
    late['label'][1] = torch.tensor([0])
    with pytest.raises(ValueError, match=r'^image 1 of a training batch: labels'):
        run(detector, [good, late])
    with pytest.raises(ValueError, match=r'^image 1 of a test batch: labels'):
        run(detector, [late], purpose='test')
    with pytest.raises(ValueError, match=r'^image 1 of a validation batch: labels'):
        run(detector, [late], purpose='validate')
    run(detector, [{'image': good['image']}], purpose='predict')


@pytest.mark.filterwarnings('ignore:.*LeafSpec.*')
def test_an_epoch_without_any_object_ends_in_a_warning(
    make_boxes: Callable[[int], dict[str, Any]],
) -> None:
    with pytest.warns(UserWarning, match='no image of the epoch has an object'):
        run(build(), [batch_of()], make_boxes(3))
