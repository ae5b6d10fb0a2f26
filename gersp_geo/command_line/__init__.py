"""What can be typed after ``gersp-geo``; nothing heavy is imported here."""

import argparse
import textwrap
from pathlib import Path

from .. import __version__
from .completing import SHELLS
from .evaluating import add_evaluate
from .judging import add_assess, add_draw_sample
from .predicting import add_polygons, add_predict
from .words import Commands

TRAINING = {
    'fit': 'train a task, from YAML or arguments (LightningCLI)',
    'validate': 'validate a task (LightningCLI)',
    'test': 'test a task (LightningCLI)',
}
TRAINING_OPTIONS = (
    '--config', '--ckpt_path', '--data', '--model', '--print_config', '--seed_everything',
    '--trainer.accelerator', '--trainer.default_root_dir', '--trainer.devices',
    '--trainer.max_epochs', '--trainer.precision',
)  # fmt: skip
# the first lines of what --help says of a command
EXAMPLES = {
    'fit': 'gersp-geo fit --config finetune/segmentation',
    'validate': 'gersp-geo validate --config my.yaml --ckpt_path last.ckpt',
    'test': 'gersp-geo test --config my.yaml --ckpt_path last.ckpt',
    'predict': 'gersp-geo predict model.ckpt scene.tif -o map.tif',
    'plan': 'gersp-geo plan model.ckpt scene.tif -o map.tif',
    'polygons': 'gersp-geo polygons map.tif -o map.gpkg --min-area 100',
    'draw-sample': 'gersp-geo draw-sample map.tif -o points.gpkg -n 500',
    'assess': 'gersp-geo assess map.tif --reference points.gpkg --report accuracy.html',
    'evaluate': 'gersp-geo evaluate GeRSP_Weights.RESNET50 --data images -o comparison',
    'export': 'gersp-geo export model.ckpt model.onnx --include-preprocessing',
    'weights': 'gersp-geo weights',
    'sample-data': 'gersp-geo sample-data sample-data',
    'demo': 'gersp-geo demo out',
    'report': 'gersp-geo report runs/segmentation -o run.html',
    'configs': 'gersp-geo configs finetune/segmentation -o my.yaml',
    'completion': 'gersp-geo completion bash > ~/.local/share/bash-completion/completions/gersp-geo',
}
EXIT_CODES = {
    0: 'done',
    1: 'a file, or a value in it, is not as it must be; of several scenes, one failed',
    2: 'a word or an option is not known, is missing, or has a value that cannot be read',
    130: 'stopped by Ctrl-C (SIGINT)',
    143: 'stopped by SIGTERM, as a cluster does',
}
FORMATS = ('torchvision', 'timm', 'torchgeo', 'openmmlab', 'onnx')


def build_parser() -> argparse.ArgumentParser:
    """Describe every command; imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog='gersp-geo',
        description='GeRSP pre-training for remote sensing, and tiled prediction over GeoTIFFs.',
        epilog=tell_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    commands = parser.add_subparsers(
        title='commands', dest='command', required=True, metavar='COMMAND'
    )
    for name, purpose in TRAINING.items():
        # dispatched before parsing: LightningCLI reads what follows; these are for completion
        training = commands.add_parser(name, help=purpose, description=purpose)
        for option in TRAINING_OPTIONS:
            training.add_argument(option)
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
    add_configs(commands)
    add_completion(commands)
    for name, command in commands.choices.items():
        finish(name, command)
    return parser


def tell_exit_codes() -> str:
    """Say what the command ends with."""
    lines = [f'  {code:<4} {meaning}' for code, meaning in EXIT_CODES.items()]
    return '\n'.join(
        ['exit codes:', *lines, '', 'GERSP_GEO_TRACEBACK=1 shows where an error came from.']
    )


def finish(name: str, parser: argparse.ArgumentParser) -> None:
    """Put the example before what a command is for, and give it --json if it has none.

    ``assess`` has one that takes a file, and what ``completion`` writes is for a shell.
    """
    purpose = (parser.description or '').rstrip('.')
    text = textwrap.fill(f'{purpose[:1].upper()}{purpose[1:]}.', 78)
    parser.description = f'Example: {EXAMPLES[name]}\n\n{text}'
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if name not in (*TRAINING, 'assess', 'completion'):
        parser.add_argument(
            '--json', dest='as_json', action='store_true', default=argparse.SUPPRESS,
            help='print the summary as one JSON object; all else goes to stderr',
        )  # fmt: skip


def add_export(commands: Commands) -> None:
    """Describe ``export``."""
    purpose = 'write a fine-tuned model as one ONNX file, or backbone weights that other tools load'
    parser = commands.add_parser('export', help=purpose, description=purpose)
    parser.add_argument(
        'source', metavar='SOURCE', help='checkpoint or weights; also hf-hub:ORG/NAME, or a URL'
    )
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


def add_configs(commands: Commands) -> None:
    """Describe ``configs``."""
    purpose = 'list, print or copy the configurations that are shipped'
    parser = commands.add_parser('configs', help=purpose, description=purpose)
    parser.add_argument('name', metavar='NAME', nargs='?', help='of one, to print it')
    parser.add_argument(
        '-o', '--output-file', dest='destination', metavar='FILE', type=Path, help='copy it there'
    )
    parser.add_argument('--overwrite', action='store_true')


def add_completion(commands: Commands) -> None:
    """Describe ``completion``."""
    purpose = 'write a script by which a shell completes commands, options and files'
    parser = commands.add_parser('completion', help=purpose, description=purpose)
    parser.add_argument('shell', choices=SHELLS)
