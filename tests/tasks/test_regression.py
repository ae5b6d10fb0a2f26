import pytest
import torch
from torchgeo import tasks
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from gersp_geo.tasks import PixelwiseRegression
from gersp_geo.tasks.regression import KnownLoss


@pytest.mark.parametrize('loss', ['mse', 'mae'])
def test_only_what_is_known_is_learned_and_measured(loss: str) -> None:
    torch.manual_seed(0)
    predicted = torch.randn(2, 1, 8, 8, requires_grad=True)
    target = torch.randn(2, 1, 8, 8)
    known = torch.rand(2, 1, 8, 8) > 0.3
    ours = PixelwiseRegression('fcn', num_filters=2, loss=loss)
    theirs = tasks.PixelwiseRegression('fcn', num_filters=2, loss=loss)  # type: ignore[arg-type]
    value = ours.criterion(predicted, target.where(known, torch.nan))
    torch.testing.assert_close(value, theirs.criterion(predicted[known], target[known]))
    (gradient,) = torch.autograd.grad(value, predicted)
    assert (gradient[~known] == 0).all()
    assert (gradient[known] != 0).all()
    metrics = ours.val_metrics(predicted, target.where(known, torch.inf))
    for name, metric in {'MAE': MeanAbsoluteError(), 'MSE': MeanSquaredError()}.items():
        torch.testing.assert_close(metrics[f'val_{name}'], metric(predicted[known], target[known]))
    assert set(metrics) == set(theirs.val_metrics(predicted, target))


def test_a_batch_without_any_value_changes_nothing() -> None:
    predicted = torch.ones(1, 1, 4, 4, requires_grad=True)
    loss = KnownLoss(torch.nn.MSELoss())(predicted, torch.full((1, 1, 4, 4), torch.nan))
    loss.backward()
    assert loss == 0
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_weights_of_a_backbone_fill_the_encoder() -> None:
    start = PixelwiseRegression('unet', 'resnet18').model.encoder.state_dict()
    task = PixelwiseRegression('unet', 'resnet18', weights={k: v + 1 for k, v in start.items()})
    assert task.report is not None
    torch.testing.assert_close(task.model.encoder.conv1.weight, start['conv1.weight'] + 1)
    with pytest.raises(ValueError, match='fcn takes no weights'):
        PixelwiseRegression('fcn', weights='file.pt')
