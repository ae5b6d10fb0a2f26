"""What can be typed after ``gersp-geo``; nothing heavy is imported here."""

import argparse
from pathlib import Path

from .. import __version__
from .evaluating import add_evaluate
from .judging import add_assess, add_draw_sample
from .predicting import add_polygons, add_predict
from .words import Commands

TRAINING = {
    'fit': 'train a task, from YAML or arguments (LightningCLI)',
    'validate': 'validate a task (LightningCLI)',
    'test': 'test a task (LightningCLI)',
}
FORMATS = ('torchvision', 'timm', 'torchgeo', 'openmmlab', 'onnx')


def build_parser() -> argparse.ArgumentParser:
    """Describe every command; imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog='gersp-geo',
        description='GeRSP pre-training for remote sensing, and tiled prediction over GeoTIFFs.',
        epilog='GERSP_GEO_TRACEBACK=1 shows where an error came from.',
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    commands = parser.add_subparsers(
        title='commands', dest='command', required=True, metavar='COMMAND'
    )
    for name, purpose in TRAINING.items():
        # dispatched before parsing: LightningCLI reads what follows
        commands.add_parser(name, help=purpose)
    add_predict(commands)
    add_polygons(commands)
    add_draw_sample(commands)
    add_assess(commands)
    add_evaluate(commands)
    add_export(commands)
    add_weights(commands)
    add_sample_data(commands)
    add_demo(commands)
    add_report(commands)
    return parser


def add_export(commands: Commands) -> None:
    """Describe ``export``."""
    purpose = 'write a fine-tuned model as one ONNX file, or backbone weights that other tools load'
    parser = commands.add_parser('export', help=purpose, description=purpose)
    parser.add_argument('source', metavar='SOURCE', type=Path, help='checkpoint or weights')
    parser.add_argument('destination', metavar='DESTINATION', type=Path)
    parser.add_argument(
        '--format', choices=FORMATS,
        help='of the backbone alone; without it, backbone and head are written to an .onnx file',
    )  # fmt: skip
    parser.add_argument(
        '--include-preprocessing', action='store_true',
        help='of a whole model: put scaling and standardisation into the graph, which then takes '
        'values as stored',
    )  # fmt: skip
    parser.add_argument('--teacher', action='store_true', help='the teacher, not the student')
    parser.add_argument('--overwrite', action='store_true')


def add_weights(commands: Commands) -> None:
    """Describe ``weights``."""
    purpose = 'list published weights, their files and checksums, and the formats that are read'
    commands.add_parser('weights', help=purpose, description=purpose)


def add_sample_data(commands: Commands) -> None:
    """Describe ``sample-data``."""
    purpose = 'write a synthetic landscape: scenes, masks, buildings, two dates, natural images'
    parser = commands.add_parser('sample-data', help=purpose, description=purpose)
    parser.add_argument('folder', metavar='DIR', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--no-progress', dest='progress', action='store_false')


def add_demo(commands: Commands) -> None:
    """Describe ``demo``."""
    purpose = 'sample data, pre-train, export, fine-tune, predict, and a picture, in minutes'
    parser = commands.add_parser('demo', help=purpose, description=purpose)
    parser.add_argument('folder', metavar='DIR', type=Path, help='made by this command')
    parser.add_argument('--pretrain-steps', type=int, default=200)
    parser.add_argument('--finetune-steps', type=int, default=90)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--overwrite', action='store_true', help='replace what a demo made there')


def add_report(commands: Commands) -> None:
    """Describe ``report``."""
    purpose = 'write a page about a training: curves, what validation found, configuration'
    parser = commands.add_parser('report', help=purpose, description=purpose)
    parser.add_argument('folder', metavar='RUN_DIR', type=Path, help='of a run, or of several')
    parser.add_argument(
        '-o', '--output-file', dest='destination', type=Path, required=True, help='.html'
    )
    parser.add_argument('--overwrite', action='store_true')
