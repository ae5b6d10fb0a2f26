"""Options of ``evaluate``, which compares weights."""

import argparse
from pathlib import Path

from .words import Commands

PROTOCOLS = ('knn', 'linear', 'few-shot', 'finetune')
FIRST_LAYERS = ('scaled', 'repeat', 'mean', 'random')


def add_evaluate(commands: Commands) -> None:
    """Describe ``evaluate``."""
    purpose = 'compare weights on labelled images: k-NN, linear probe, few labels, fine-tuning'
    parser = commands.add_parser(
        'evaluate',
        help=purpose,
        description=f'{purpose[0].upper()}{purpose[1:]}. Frozen features are judged as '
        'torchgeo-bench 0.4 does.',
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        'weights', metavar='[LABEL=]WEIGHTS', nargs='+',
        help='name of published weights, checkpoint or weights of any known format, timm:NAME, '
        'random:NAME (a timm model), mean-colours or image-statistics; of one label: seeds',
    )  # fmt: skip
    parser.add_argument(
        '-o', '--output-folder', dest='destination', metavar='DIR', type=Path, required=True,
        help='gets results.csv, results.md and report.html; the same command goes on where it was',
    )  # fmt: skip
    parser.add_argument(
        '--baseline', metavar='LABEL', help='with which others are compared, with intervals'
    )
    parser.add_argument(
        '--benchmark', metavar='NAME',
        help='the data are this published data set: its values stand beside, where all else is equal',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, help='of the random numbers (0)')
    parser.add_argument('--device', help="such as 'cpu' or 'cuda' (auto)")
    parser.add_argument(
        '--overwrite', action='store_true', help='judge anew what has been judged before'
    )
    parser.add_argument('--no-progress', dest='progress', action='store_false')
    _add_images(parser.add_argument_group('images', argument_default=argparse.SUPPRESS))
    _add_protocols(parser.add_argument_group('protocols', argument_default=argparse.SUPPRESS))


def _add_images(images: argparse._ArgumentGroup) -> None:
    """Describe what is classified, and how it becomes input."""
    images.add_argument(
        '--data', required=True, metavar='DIR', type=Path,
        help='one folder per class; below or above train, val and test, if there are such',
    )  # fmt: skip
    images.add_argument(
        '--split', metavar='CSV', type=Path,
        help='columns filename, split and perhaps label (without: folders train, val and test, else 70, 15 and '
        '15 %% of each class)',
    )  # fmt: skip
    images.add_argument(
        '--bands', nargs='+', type=_band, metavar='BAND', help='numbers, from 1, or names (all)'
    )
    images.add_argument('--size', type=int, help='side in pixels to which images are resized (224)')
    images.add_argument(
        '--normalization', choices=('data', 'record'),
        help='by the training images, or as each of the weights was trained (data)',
    )  # fmt: skip
    images.add_argument(
        '--first-layer', dest='first_layers', nargs='+', choices=FIRST_LAYERS,
        help='how weights for three bands read others; several are compared (scaled)',
    )  # fmt: skip
    images.add_argument(
        '--rgb-bands', nargs=3, type=int, metavar=('R', 'G', 'B'),
        help='which of the bands in use are red, green and blue, from 0 (by name; of three, 0 1 2; needed '
        'where names of more do not tell)',
    )  # fmt: skip
    images.add_argument('--batch-size', type=int, help='images that are computed together (64)')


def _add_protocols(protocols: argparse._ArgumentGroup) -> None:
    """Describe how features are judged."""
    protocols.add_argument(
        '--protocol', dest='protocols', nargs='+', choices=PROTOCOLS, help='(knn linear)'
    )
    protocols.add_argument('--k', type=int, help='neighbours that vote (5)')
    protocols.add_argument(
        '--labels-per-class', nargs='+', type=int, metavar='N', help='of few-shot (5 20)'
    )
    protocols.add_argument('--draws', type=int, help='of training images, of few-shot (50)')
    protocols.add_argument(
        '--resamples', type=int, help='of the test images, for intervals of one seed (200)'
    )
    protocols.add_argument('--epochs', type=int, help='of finetune (10)')
    protocols.add_argument(
        '--lr', dest='lrs', nargs='+', type=float, metavar='LR',
        help='learning rates of finetune; validation chooses (0.0001 0.001)',
    )  # fmt: skip


def _band(text: str) -> int | str:
    """Read a band's number or name."""
    return int(text) if text.isdecimal() else text
