"""A table of where the checkpoints of every tool keep their backbones."""

from dataclasses import dataclass

from ..bands import RGB
from ..preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to keep a backbone.

    Names are compared without what wrappers put into them, and a backbone may have any of
    :data:`.spellings.SPELLINGS`.
    """

    name: str
    """How reports call it."""

    student: tuple[str, ...] = ()
    """What to cut off the names of the backbone: the first prefix that some tensor has."""

    needs: tuple[str | tuple[str, ...], ...] = ()
    """It is this format if tensors have each of these prefixes too, or one of each group."""

    teacher: tuple[str, ...] = ()
    """The same for the teacher."""

    folder: bool = False
    """Whether it is a folder."""

    wrapped: bool = False
    """Whether names have what DataParallel, torch.compile or the like put into them."""

    anywhere: bool = False
    """Whether the backbone may lie under any prefix."""

    lightning: bool = False
    """Whether only Lightning writes it."""

    preprocessing: Preprocessing | None = None
    """What is known of every file of this format."""

    source: str
    """Who writes it."""


# What the released code does to both streams:
# https://github.com/floatingstarZ/GeRSP/blob/main/configs/selfsup/GeRSP/GeRSP.py
RELEASED_PREPROCESSING = Preprocessing(
    bands=RGB.bands, scale=(RGB.scale,) * 3, mean=RGB.mean, std=RGB.std, size=224
)

# The first that fits is taken, so the more telling come first.
FORMATS = (
    Format(
        name='gersp_geo',
        needs=('backbone_momentum.', 'classification_head.'),
        student=('backbone.',),
        teacher=('backbone_momentum.',),
        source='GeRSPTask, saved by Lightning',
    ),
    Format(
        name='moco',
        student=('encoder_q.',),
        teacher=('encoder_k.',),
        wrapped=True,
        source=(
            'MoCo v1 and v2, and GASSL: https://github.com/facebookresearch/moco, '
            'https://github.com/sustainlab-group/geography-aware-ssl'
        ),
    ),
    Format(
        name='seco',
        needs=('encoder_q.4.', 'encoder_q.7.', 'heads_q.'),
        student=('encoder_q.',),
        teacher=('encoder_k.',),
        source=(
            'SeCo and CACo, saved by Lightning: '
            'https://github.com/ServiceNow/seasonal-contrast, https://github.com/utkarshmall13/CACo'
        ),
    ),
    Format(
        name='gersp',
        needs=('encoder_k.',),
        student=('encoder_q.',),
        teacher=('encoder_k.',),
        preprocessing=RELEASED_PREPROCESSING,
        source='https://github.com/floatingstarZ/GeRSP, epoch_N.pth',
    ),
    Format(
        name='moco-v3',
        needs=('momentum_encoder.',),
        student=('base_encoder.',),
        teacher=('momentum_encoder.',),
        source='https://github.com/facebookresearch/moco-v3',
    ),
    Format(
        name='dino',
        needs=('teacher.backbone.',),
        student=('student.backbone.',),
        teacher=('teacher.backbone.',),
        source='https://github.com/facebookresearch/dino, checkpoint.pth',
    ),
    Format(
        name='lightly',
        needs=(
            ('backbone.4.0.', 'student_backbone.4.0.'),
            ('backbone.7.0.', 'student_backbone.7.0.'),
        ),
        student=('backbone.', 'student_backbone.'),
        teacher=('backbone_momentum.', 'teacher_backbone.'),
        source='examples of https://github.com/lightly-ai/lightly, saved by Lightning',
    ),
    Format(
        name='solo-learn',
        needs=('momentum_backbone.',),
        student=('backbone.',),
        teacher=('momentum_backbone.',),
        source='methods with a teacher of https://github.com/vturrisi/solo-learn, saved by Lightning',
    ),
    Format(
        name='torchgeo-moco',
        needs=('backbone_momentum.',),
        student=('backbone.',),
        teacher=('backbone_momentum.',),
        source='torchgeo.tasks.MoCo, saved by Lightning',
    ),
    Format(
        name='torchgeo-simclr',
        needs=('projection_head.',),
        student=('backbone.',),
        source='torchgeo.tasks.SimCLR, saved by Lightning',
    ),
    Format(
        name='projector',
        needs=('projector.',),
        student=('backbone.',),
        source=(
            'Barlow Twins, VICReg and solo-learn: https://github.com/facebookresearch/barlowtwins, '
            'https://github.com/facebookresearch/vicreg'
        ),
    ),
    Format(
        name='cmid',
        student=('online_encoder.model.',),
        teacher=('branch_encoder.',),
        source='https://github.com/NJU-LHRS/official-CMID',
    ),
    Format(
        name='vissl',
        student=('_feature_blocks.',),
        source='https://github.com/facebookresearch/vissl',
    ),
    Format(
        name='openmmlab-moco',
        needs=('encoder_k.0.',),
        student=('backbone.',),
        teacher=('encoder_k.0.',),
        source='MoCo of https://github.com/open-mmlab/mmpretrain',
    ),
    Format(
        name='openmmlab',
        student=('backbone.',),
        source='OpenMMLab, and the converted files of https://github.com/floatingstarZ/GeRSP',
    ),
    Format(
        name='simsiam',
        needs=('predictor.',),
        student=('encoder.',),
        source='https://github.com/facebookresearch/simsiam',
    ),
    Format(
        name='torchgeo-byol',
        needs=('model.target.model.',),
        student=('model.backbone.model.',),
        teacher=('model.target.model.',),
        source='torchgeo.tasks.BYOL, saved by Lightning',
    ),
    Format(
        name='torchgeo',
        # segmentation with encoders of timm and of smp, detection, classification
        student=('model.encoder.model.', 'model.encoder.', 'model.backbone.body.', 'model.'),
        source='tasks of torchgeo, saved by Lightning',
    ),
    Format(
        name='numbered',
        needs=('4.0.', '5.0.', '6.0.', '7.0.'),
        student=('',),
        source="CACo's .pth files: nn.Sequential of a ResNet's children",
    ),
    Format(
        name='huggingface',
        needs=(
            ('resnet.embedder.embedder.', 'embedder.embedder.'),
            ('resnet.encoder.stages.', 'encoder.stages.'),
        ),
        student=('resnet.', ''),
        source='ResNets of https://github.com/huggingface/transformers',
    ),
    Format(
        name='lightning',
        anywhere=True,
        lightning=True,
        source='any other LightningModule with one backbone',
    ),
    Format(name='timm', student=('',), folder=True, source='timm hub folders'),
    Format(name='torchvision', student=('',), source='state dicts'),
    Format(
        name='prefixed',
        anywhere=True,
        source='any other state dict with one ResNet under one prefix',
    ),
)
