"""The picture of the first batch: where it goes, and that it changes nothing else."""

import random
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from matplotlib.figure import Figure
from torch import nn

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.batch_types import JointBatch
from gersp_geo.callbacks import ViewPairs
from gersp_geo.callbacks.view_pairs import draw_views, same_draws, stretch_together
from gersp_geo.pictures import stretch
from gersp_geo.transforms import released_recipe

SIDE = 16


class Recorder(Logger):
    """Keeps the figures it is given, as TensorBoard's logger or as that of Weights & Biases does."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[tuple[str, Any]] = []

    @property
    def name(self) -> str:
        return 'recorder'

    @property
    def version(self) -> int:
        return 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...


class Tensorboardish(Recorder):
    @property
    def experiment(self) -> Any:
        return self

    def add_figure(self, tag: str, figure: Figure, global_step: int) -> None:
        self.figures.append((tag, figure))


class Wandbish(Recorder):
    @property
    def experiment(self) -> Any:
        return object()

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.figures += [(key, image) for image in images]


def make_task(**arguments: Any) -> GeRSPTask:
    defaults: dict[str, Any] = {
        'model': 'resnet10t',
        'hidden_dim': 8,
        'output_dim': 8,
        'memory_bank_size': 12,
        'num_classes': 8,
        'size': SIDE,
    }
    return GeRSPTask(**(defaults | arguments))


def make_data(sample_data: Path) -> GeRSPDataModule:
    return GeRSPDataModule(
        str(sample_data / 'scenes'),
        str(sample_data / 'natural'),
        size=SIDE,
        batch_size=4,
        natural_batch_size=2,
        steps_per_epoch=2,
        num_workers=0,
    )


def train(
    sample_data: Path, *, steps: int, callbacks: list[Any], logger: Any, resume: Path | None = None
) -> GeRSPTask:
    seed_everything(3)
    task = make_task()
    trainer = Trainer(
        max_steps=steps,
        accelerator='cpu',
        logger=logger,
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    trainer.fit(task, datamodule=make_data(sample_data), ckpt_path=resume)
    return task


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_run_with_the_picture_ends_with_the_same_weights(
    sample_data: Path, tmp_path: Path
) -> None:
    drawn, resumed = Tensorboardish(), Tensorboardish()
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_last=True)
    first = train(sample_data, steps=3, callbacks=[ViewPairs(count=3), saver], logger=drawn)
    # without a logger, nothing is drawn
    second = train(sample_data, steps=3, callbacks=[], logger=False)
    assert [tag for tag, _ in drawn.figures] == ['view_pairs']
    expected = second.state_dict()
    assert all(torch.equal(x, expected[name]) for name, x in first.state_dict().items())
    # a resumed run has had its picture
    last = tmp_path / 'last.ckpt'
    train(sample_data, steps=4, callbacks=[ViewPairs()], logger=resumed, resume=last)
    assert resumed.figures == []


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_each_logger_gets_the_picture_in_its_own_way(sample_data: Path, tmp_path: Path) -> None:
    folder, board, wandb = CSVLogger(tmp_path / 'csv'), Tensorboardish(), Wandbish()
    loggers = [folder, board, wandb, Recorderless()]
    train(sample_data, steps=1, callbacks=[ViewPairs()], logger=loggers)
    (file,) = tmp_path.rglob('*.png')
    assert file == Path(folder.log_dir) / 'view_pairs.png'
    assert matplotlib.image.imread(file).shape[2] == 4
    assert len(board.figures) == len(wandb.figures) == 1
    assert wandb.figures[0][1].dtype == np.uint8
    # metrics are still written beside the picture
    assert (Path(folder.log_dir) / 'metrics.csv').exists()


class Recorderless(Recorder):
    """Has nowhere to put a picture."""

    @property
    def experiment(self) -> Any:
        return object()


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_without_a_logger_nothing_is_drawn(
    sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(sample_data, steps=1, callbacks=[ViewPairs()], logger=False)
    assert list(tmp_path.rglob('*.png')) == []


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def headings(figure: Figure) -> list[str]:
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    return [title for title in titles if title]


def make_batch(channels: int) -> JointBatch:
    torch.manual_seed(0)
    return {
        'remote_sensing': {'image': torch.rand(4, channels, 20, 24)},
        'natural': {'image': torch.rand(2, 3, 12, 12), 'label': torch.zeros(2, dtype=torch.long)},
    }


def test_each_row_says_what_it_shows() -> None:
    figure = draw_views(make_task(), make_batch(3), bands=(), count=3)
    remote_sensing = ['as loaded', 'student sees', 'teacher sees']
    assert labels(figure) == [*remote_sensing, 'as loaded', 'student sees']
    assert headings(figure) == ['Remote sensing', 'Natural images']
    assert sum(len(axes.images) for axes in figure.axes) == 3 * 3 + 2 * 2


@pytest.mark.parametrize('shape', [(4, 6, 20, 24), (4, 2, 3, 20, 24)])
def test_two_dates_have_a_row_each(shape: tuple[int, ...]) -> None:
    batch: JointBatch = {'remote_sensing': {'image': torch.rand(shape)}}
    figure = draw_views(make_task(), batch, bands=(), count=2)
    assert labels(figure) == ['first date', 'second date', 'student sees', 'teacher sees']


def test_natural_images_that_are_not_used_are_not_drawn() -> None:
    figure = draw_views(make_task(supervised_weight=0.0), make_batch(3), bands=(), count=2)
    assert headings(figure) == ['Remote sensing']


def shown(figure: Figure, row: int, *, columns: int) -> Any:
    return np.asarray(figure.axes[row * columns].images[0].get_array())


def test_a_view_that_changes_nothing_looks_like_the_image() -> None:
    batch = make_batch(5)
    del batch['natural']
    bands = ('nir', 'blue', 'green', 'red', 'edge')
    views = [nn.Identity(), normalizing(5)]
    for view in views:
        task = make_task(in_channels=5, augmentation1=view)
        figure = draw_views(task, batch, bands=bands, count=4)
        expected = stretch(batch['remote_sensing']['image'][0].numpy(), bands)
        for row in range(3):
            np.testing.assert_allclose(shown(figure, row, columns=4), expected, atol=1e-2)


def normalizing(channels: int) -> nn.Module:
    """The normalisation that ends our recipes, alone."""
    recipe = released_recipe(size=SIDE, scale=1.0, mean=[0.4] * 3, std=[0.3] * 3)
    last = list(recipe)[-1]
    last.flags = {  # type: ignore[assignment]
        'mean': torch.linspace(-3, 5, channels), 'std': torch.linspace(0.1, 9, channels)
    }  # fmt: skip
    return nn.Sequential(last)


def test_images_and_views_share_one_range_of_values() -> None:
    image = np.linspace(0, 1, 300, dtype=np.float32).reshape(3, 10, 10)
    bright, dark = stretch_together([image, image[:, ::2, ::2] / 2], ())
    assert bright.shape == (10, 10, 3)
    np.testing.assert_allclose(dark.mean(), bright.mean() / 2, atol=0.03)


def test_random_numbers_go_on_where_they_were() -> None:
    def draws() -> list[float]:
        return [float(torch.rand(1)), np.random.rand(), random.random()]

    seed_everything(5)
    expected = [draws(), draws()]
    seed_everything(5)
    found = [draws()]
    with same_draws(torch.device('cpu')):
        draws()
    assert [*found, draws()] == expected


def test_a_task_without_views_is_refused_before_training() -> None:
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match='needs a task with two_views'):
        ViewPairs().setup(trainer, LightningModule(), 'fit')


def test_no_picture_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match='count must be >= 1, got 0'):
        ViewPairs(count=0)
