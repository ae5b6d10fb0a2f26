"""GeRSP: contrastive learning on remote-sensing images, supervised on natural ones."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from torchgeo.tasks import BaseTask

from ..bands import RGB
from ..batch_types import JointBatch
from ..callbacks import CollapseMonitor, ExactResume, ViewPairs
from ..distributed import (
    embed_shuffled,
    gather_rows,
    has_batch_statistics,
    process_count,
    share_first,
    take_share,
)
from ..evaluation import top_k_accuracy
from ..losses import info_nce
from ..models import load_backbone
from ..models.backbones import count_features, create_backbone
from ..models.loading import LoadReport
from ..models.weights import WeightsEnum
from ..momentum import enqueue, update_teacher
from ..transforms import CROP_SCALE, place_rgb, released_recipe
from .checks import (
    NoViews,
    check_arguments,
    check_classes,
    check_labels,
    check_normalization,
    check_precision,
    check_recipe,
    check_recipe_is_used,
    check_sizes,
    check_streams,
    warn_of_large_queue,
)
from .first_views import FirstViews, choose_pipeline


class GeRSPTask(BaseTask):
    """Generic knowledge boosted pre-training for remote sensing (GeRSP).

    One student learns from two streams in each step: unlabelled remote-sensing images through
    momentum contrast with a teacher and a queue of keys, and labelled natural images through cross
    entropy. Both pass through the student in one batch, so that BatchNorm sees both domains.

    If you use this task in your research, please cite https://arxiv.org/abs/2401.04614. Where paper
    and released code differ, ``docs/pretraining.md`` says which this follows and why.
    """

    ignore = ('weights', 'augmentation1', 'augmentation2', 'augmentation_natural')
    monitor = 'train_loss'

    queue: Tensor
    queue_ptr: Tensor

    report: LoadReport | None = None
    """What was loaded into the student; None without weights, and for timm's own."""

    def __init__(
        self,
        model: str = 'resnet50',
        weights: WeightsEnum | str | bool | None = None,
        in_channels: int = 3,
        hidden_dim: int = 2048,
        output_dim: int = 128,
        temperature: float = 0.07,
        memory_bank_size: int = 65536,
        moco_momentum: float = 0.996,
        lr: float = 0.007,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        size: int = 224,
        num_classes: int = 1000,
        supervised_weight: float = 1.0,
        teacher_projector: Literal['ema', 'frozen'] = 'ema',
        rgb_bands: Sequence[int] = (0, 1, 2),
        min_lr: float = 1e-3,
        restart_period: int = 20,
        augmentation1: nn.Module | None = None,
        augmentation2: nn.Module | None = None,
        augmentation_natural: nn.Module | None = None,
        crop_scale: tuple[float, float] = CROP_SCALE,
        color_strength: float = 1.0,
    ) -> None:
        """Initialize a new GeRSPTask instance.

        Args:
            model: Name of the `timm
                <https://huggingface.co/docs/timm/reference/models>`__ model to pre-train.
            weights: Initial weights of student and teacher: an enum, its name, the path of a
                checkpoint, True for timm's own, None or False for random ones.
            in_channels: Number of remote-sensing bands.
            hidden_dim: Width of the projector's hidden layer (2048 in the released code).
            output_dim: Size of an embedding (128 in the released code).
            temperature: Divides cosine similarities (0.07 in the released code).
            memory_bank_size: Number of keys in the queue (65,536 in the paper).
            moco_momentum: Share of the teacher kept per step (0.996 in the paper, 0.999 in the
                released code).
            lr: Highest learning rate, for 256 pairs a step (released code).
            momentum: Momentum of SGD (released code).
            weight_decay: Weight decay of SGD on every parameter (released code).
            size: Side of the augmented images in pixels.
            num_classes: Number of classes of the natural images.
            supervised_weight: Factor of the supervised loss; with 0, natural images are not used
                and the classification head is frozen.
            teacher_projector: 'ema' averages the teacher's projector like its backbone; 'frozen'
                keeps it at its initial values, as the released code does.
            rgb_bands: Bands of the remote-sensing images where red, green and blue of natural
                images go, 0-based.
            min_lr: Lowest learning rate (released code).
            restart_period: Epochs between restarts of the cosine schedule (released code).
            augmentation1: Pipeline of the student's view, from a batch as loaded to the network's
                input. Defaults to the released recipe for photographs (three bands of colours in
                [0, 1] after scaling), else to a recipe that treats all bands alike and needs a data
                module that knows their statistics.
            augmentation2: Pipeline of the teacher's view. Defaults to *augmentation1*.
            augmentation_natural: Pipeline of natural images. Defaults to the released recipe.
            crop_scale: Smallest and largest share of the area that crops of the default recipes
                keep, in (0, 1]; (0.2, 1) in the released code.
            color_strength: Factor of what the default recipes do to colours, 0 to 1.25; 1 is the
                jitter of 0.4 and the grayscale of 0.2 of the released code.

        Raises:
            ValueError: If an argument is outside its range or *model* is unknown.
        """
        self.weights = weights
        super().__init__()
        used = (augmentation1, augmentation_natural) if supervised_weight > 0 else (augmentation1,)
        check_recipe_is_used(self.hparams, *used)
        natural = self.augment_photographs()
        # not `or`: an empty Sequential is false
        self.augmentation_natural = (
            natural if augmentation_natural is None else augmentation_natural
        )
        self.default_views = augmentation1 is None
        self.default_natural = augmentation_natural is None
        if augmentation1 is None and in_channels == 3:
            augmentation1 = natural
        # without pipelines of their own, the views of other bands are set up with the data
        self.augmentation1 = NoViews() if augmentation1 is None else augmentation1
        self.augmentation2 = self.augmentation1 if augmentation2 is None else augmentation2
        self.first_views = FirstViews()

    @property
    def view_settings(self) -> dict[str, Any]:
        """What the default recipes take of the settings of a task."""
        names = ('size', 'crop_scale', 'color_strength')
        return {name: self.hparams[name] for name in names}

    def augment_photographs(self, *, crop: bool = True) -> nn.Sequential:
        """Make the recipe of red, green and blue of photographs."""
        return released_recipe(
            scale=RGB.scale, mean=RGB.mean, std=RGB.std, crop=crop, **self.view_settings
        )

    def configure_models(self) -> None:
        """Initialize student, teacher, heads and queue."""
        hparams = self.hparams
        check_arguments(hparams)
        check_recipe(hparams)
        self.backbone = create_backbone(
            hparams['model'],
            in_channels=hparams['in_channels'],
            size=hparams['size'],
            pretrained=self.weights is True,
        )
        if self.weights and self.weights is not True:
            self.report = load_backbone(
                self.backbone,
                self.weights,
                in_channels=hparams['in_channels'],
                rgb_bands=hparams['rgb_bands'],
            )
        features = count_features(self.backbone)
        output_dim = hparams['output_dim']
        # no BatchNorm in the projector, as in the released code
        self.projection_head = nn.Sequential(
            nn.Linear(features, hparams['hidden_dim']),
            nn.ReLU(inplace=True),
            nn.Linear(hparams['hidden_dim'], output_dim),
        )
        self.classification_head = nn.Linear(features, hparams['num_classes'])
        # frozen, so that distributed training need not search for unused parameters
        self.classification_head.requires_grad_(hparams['supervised_weight'] > 0)
        self.backbone_momentum = deepcopy(self.backbone).requires_grad_(False)
        self.projection_head_momentum = deepcopy(self.projection_head).requires_grad_(False)
        queue = F.normalize(torch.randn(hparams['memory_bank_size'], output_dim), dim=1)
        self.register_buffer('queue', queue)
        self.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))
        # All processes have one queue, see on_train_start and enqueue, and 33 MB need not be sent
        # around in every step. This is what DistributedDataParallel looks for; the method of its
        # that sets it begins with an underscore as well.
        self._ddp_params_and_buffers_to_ignore = ['queue', 'queue_ptr']

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Initialize SGD and a cosine schedule that restarts, stepped once per epoch.

        Returns:
            Optimizer and learning rate scheduler.
        """
        optimizer = SGD(
            [p for p in self.parameters() if p.requires_grad],
            lr=self.hparams['lr'],
            momentum=self.hparams['momentum'],
            weight_decay=self.hparams['weight_decay'],
        )
        scheduler = CosineAnnealingWarmRestarts(
            optimizer, T_0=self.hparams['restart_period'], eta_min=self.hparams['min_lr']
        )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': scheduler, 'interval': 'epoch'},
        }

    def configure_callbacks(self) -> list[Callback]:
        """Add what every run needs: exact resuming, a look at the views, a watch for collapse.

        Returns:
            Those that the trainer was not given.
        """
        given: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        wanted = (ExactResume, CollapseMonitor, ViewPairs)
        return [kind() for kind in wanted if not any(isinstance(one, kind) for one in given)]

    def setup(self, stage: str) -> None:
        """Choose the recipe that suits the values of the data, where no augmentation was given.

        Where it crops natural images at random as it decodes them, they are not cropped again.

        Raises:
            ValueError: If the bands are not three and nothing tells their statistics.
        """
        data: Any = getattr(self.trainer, 'datamodule', None)
        cropped = getattr(data, 'natural_crop_scale', None) is not None
        if stage == 'fit' and self.default_natural and cropped:
            self.augmentation_natural = self.augment_photographs(crop=False).to(self.device)
        if stage != 'fit' or not self.default_views:
            return
        pipeline = choose_pipeline(data, **self.view_settings)
        if pipeline is not None:
            shared = self.augmentation2 is self.augmentation1
            self.augmentation1 = pipeline.to(self.device)
            self.augmentation2 = self.augmentation1 if shared else self.augmentation2
        elif self.hparams['in_channels'] != 3:
            raise ValueError(
                f'in_channels={self.hparams["in_channels"]} needs augmentation1, or a data module '
                'that describes its bands (GeRSPDataModule)'
            )

    def on_train_start(self) -> None:
        """Check what is only known once the data is there, and give all processes one queue.

        Raises:
            ValueError: If the weights are of half precision, a conversion to SyncBatchNorm has lost
                activations, or the head has too few classes.
        """
        check_precision(self.backbone_dtype)
        check_normalization(self.backbone)
        data: Any = getattr(self.trainer, 'datamodule', None)
        classes = getattr(data, 'natural_classes', None)
        if classes is not None and self.hparams['supervised_weight'] > 0:
            check_classes(classes, num_classes=self.hparams['num_classes'])
        share_first(self.queue)

    def on_train_batch_start(self, batch: JointBatch, batch_idx: int) -> None:
        """Warn once, at the first batch, of a queue that outlives half a pass."""
        if self.trainer.global_step > 0 or batch_idx > 0:
            return
        data: Any = getattr(self.trainer, 'datamodule', None)
        samples: float | None = getattr(data, 'distinct_samples', None)
        if samples is None:
            pairs = len(batch['remote_sensing']['image']) * self.trainer.world_size
            # infinite for loaders without a length
            samples = self.trainer.num_training_batches * pairs
        warn_of_large_queue(self.hparams['memory_bank_size'], samples=samples)

    def forward(self, images: Tensor) -> Tensor:
        """Extract features with the student.

        Args:
            images: Normalised images, shape (B, C, H, W).

        Returns:
            Backbone features, shape (B, F).
        """
        features: Tensor = self.backbone(images)
        return features

    def training_step(self, batch: JointBatch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Compute the loss of one batch, update the teacher, and queue its keys.

        Args:
            batch: Two streams of images, see :class:`gersp_geo.batch_types.JointBatch`.
            batch_idx: Index of this batch.
            dataloader_idx: Index of the current dataloader.

        Returns:
            Contrastive plus weighted supervised loss, shape ().
        """
        images = batch['remote_sensing']['image']
        query_view, key_view = self.two_views(images)
        self.first_views.look(images, (query_view, key_view))
        views, supervised = [query_view], self.hparams['supervised_weight'] > 0
        if supervised:
            check_streams(batch)
            views.append(self.natural_view(batch['natural']['image']))
            check_sizes(*views)
        features = self(torch.cat(views))  # one pass, so that BatchNorm sees both domains
        pairs = len(query_view)
        query = self.normalize(self.projection_head(features[:pairs]))
        if not self.accumulates(batch_idx):
            self.move_teacher()
        keys = self.embed_with_teacher(key_view)
        # a copy, since backward reads the queue after enqueue has changed it
        queue = self.queue.clone()
        contrastive = info_nce(
            query, take_share(keys), queue, temperature=self.hparams['temperature']
        )
        logged = {'train_contrastive_loss': contrastive}
        loss = contrastive
        if supervised:
            logits, label = self.classification_head(features[pairs:]), batch['natural']['label']
            if batch_idx == 0:  # not in every step: the check waits for the device
                check_labels(label, num_classes=self.hparams['num_classes'])
            classification = F.cross_entropy(logits, label)
            loss = contrastive + self.hparams['supervised_weight'] * classification
            logged['train_supervised_loss'] = classification
            for k in (1, 5):
                logged[f'train_supervised_acc{k}'] = top_k_accuracy(logits.detach(), label, k=k)
        enqueue(self.queue, self.queue_ptr, keys)
        # far below 1 / sqrt(F) when all images get the same features
        logged['train_ssl_std'] = F.normalize(features[:pairs].detach(), dim=1).std(dim=0).mean()
        self.log_step({'train_loss': loss} | logged, batch_size=pairs)
        return loss

    @torch.no_grad()
    def two_views(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Augment one batch twice, or each of its two dates once.

        Args:
            images: One date (B, C, H, W), or two as (B, 2 * C, H, W) or (B, 2, C, H, W).

        Returns:
            The student's and the teacher's view, each (B, C, H', W') in the backbone's dtype.

        Raises:
            ValueError: If the number of channels is neither C nor 2 * C.
        """
        channels = self.hparams['in_channels']
        if images.ndim == 5 and images.shape[1:3] == (2, channels):
            first, second = images.unbind(dim=1)
        elif images.ndim == 4 and images.shape[1] == 2 * channels:
            first, second = images.split(channels, dim=1)
        elif images.ndim == 4 and images.shape[1] == channels:
            first = second = images
        else:
            raise ValueError(
                f'remote-sensing images must be (B, C={channels}, H, W), (B, {2 * channels}, H, W) '
                f'or (B, 2, {channels}, H, W), got {tuple(images.shape)}; set in_channels, or the '
                'bands of the data module'
            )
        dtype = self.backbone_dtype
        return self.augmentation1(first).to(dtype), self.augmentation2(second).to(dtype)

    @torch.no_grad()
    def natural_view(self, images: Tensor) -> Tensor:
        """Augment natural images of shape (B, 3, H, W), and give them the bands of the task.

        Returns:
            Shape (B, C, H', W') in the backbone's dtype.
        """
        view: Tensor = self.augmentation_natural(images).to(self.backbone_dtype)
        return place_rgb(
            view, in_channels=self.hparams['in_channels'], rgb_bands=self.hparams['rgb_bands']
        )

    def accumulates(self, batch_idx: int) -> bool:
        """Whether the student has not moved since the last batch, as gradients accumulate."""
        if self._trainer is None:
            return False
        return batch_idx % self.trainer.accumulate_grad_batches > 0

    def move_teacher(self) -> None:
        """Move the teacher towards the student as it is now."""
        kept = self.hparams['moco_momentum']
        update_teacher(self.backbone_momentum, self.backbone, momentum=kept)
        if self.hparams['teacher_projector'] == 'ema':
            update_teacher(self.projection_head_momentum, self.projection_head, momentum=kept)

    @torch.no_grad()
    def embed_with_teacher(self, images: Tensor) -> Tensor:
        """Embed the second views of all processes.

        Args:
            images: Those of this process, shape (B, C, H, W).

        Returns:
            L2-normalised keys in the order of processes, shape (processes * B, output_dim).
        """
        if process_count() > 1 and has_batch_statistics(self.backbone_momentum):
            return embed_shuffled(self.teacher, images)
        return gather_rows(self.teacher(images))

    def teacher(self, images: Tensor) -> Tensor:
        """Embed images with backbone and projector of the teacher, L2-normalised."""
        return self.normalize(self.projection_head_momentum(self.backbone_momentum(images)))

    def normalize(self, projected: Tensor) -> Tensor:
        """Bring embeddings to length 1, in the queue's type: bfloat16 would be off by 0.4 %."""
        return F.normalize(projected.to(self.queue.dtype), dim=1)

    @property
    def backbone_dtype(self) -> torch.dtype:
        """Floating point type of the backbone's parameters."""
        dtype: torch.dtype = next(self.backbone.parameters()).dtype
        return dtype

    def log_step(self, values: Mapping[str, Tensor], *, batch_size: int) -> None:
        """Log when a Trainer is attached; a plain loop reads the returned loss.

        Args:
            values: Scalars by name.
            batch_size: Number of pairs, weights the mean over an epoch.
        """
        if self._trainer is None:
            return
        self.log_dict(
            dict(values),
            batch_size=batch_size,
            on_step=True,
            on_epoch=True,
            sync_dist=self.trainer.world_size > 1,
        )
        self.log('lr', self.trainer.optimizers[0].param_groups[0]['lr'])
