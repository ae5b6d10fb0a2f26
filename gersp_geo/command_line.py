"""What can be typed after ``gersp-geo``; nothing heavy is imported here."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__

TRAINING = {
    'fit': 'train a task, from YAML or arguments (LightningCLI)',
    'validate': 'validate a task (LightningCLI)',
    'test': 'test a task (LightningCLI)',
}
FORMATS = ('torchvision', 'timm', 'torchgeo', 'openmmlab', 'onnx')
_NUMBERS_OR_AUTO = ('size', 'overlap', 'batch_size', 'threads', 'workers')


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
    add_export(commands)
    add_weights(commands)
    add_sample_data(commands)
    add_demo(commands)
    add_report(commands)
    return parser


type Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


def add_predict(commands: Commands) -> None:
    """Describe ``predict`` and ``plan``, which take the same options."""
    for name, purpose in (
        ('predict', 'predict GeoTIFFs of any size, patch by patch'),
        ('plan', 'say what predict would do and cost, from headers and patches of zeros'),
    ):
        parser = commands.add_parser(name, help=purpose, description=purpose)
        parser.add_argument(
            'model', metavar='MODEL', type=Path,
            help='Checkpoint, ONNX graph, or weights to embed with.',
        )  # fmt: skip
        parser.add_argument(
            'source',
            metavar='SOURCE',
            nargs='+',
            help='GeoTIFF, VRT, cloud path, folder or pattern.',
        )
        parser.add_argument(
            '-o', '--output-file', dest='destination', type=Path, required=True,
            help='GeoTIFF; of objects .gpkg, .parquet or .geojson; of patches .parquet or .tif; a folder '
            'for several scenes.',
        )  # fmt: skip
        add_options(parser)
        parser.add_argument(
            '--task', choices=('auto', 'embed'), default='auto',
            help="What is done: 'auto' follows the task of the checkpoint, 'embed' gives each patch the "
            'vector of a backbone. (auto)',
        )  # fmt: skip
        if name == 'plan':
            parser.add_argument(
                '--calibrate', action='store_true',
                help='Decode up to 32 pieces of the scene to time reading; time models of objects and '
                'patches too.',
            )  # fmt: skip
        else:
            parser.add_argument(
                '--preview', metavar='PNG', type=Path,
                help='Picture to write of the scene and what is made of it; a folder for several scenes.',
            )  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Make words of the options of predictions; absent unless given, as defaults differ by result."""
    from .inference.options import describe_default, list_options

    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in list_options():
        name, described = option.name.replace('_', '-'), dict(option.metadata)
        if described['group'] not in groups:
            groups[described['group']] = parser.add_argument_group(
                described['group'], argument_default=argparse.SUPPRESS
            )
        group = groups[described['group']]
        text, default = described['text'], describe_default(option.name)
        if option.name == 'progress':
            group.add_argument(
                '--no-progress', dest='progress', action='store_false', help='Show no progress bar.'
            )
        elif option.type is bool:
            group.add_argument(f'--{name}', action='store_true', help=text)
        elif option.default == ():
            group.add_argument(
                f'--{name}', action='append', metavar=described['metavar'], help=text
            )
        else:
            group.add_argument(
                f'--{name}',
                type=parser_of(option.name, option.type),
                choices=described['choices'] or None,
                metavar=described['metavar'],
                help=f'{text} ({default})' if default else text,
            )


def parser_of(name: str, kind: Any) -> Callable[[str], Any]:
    """Say how the value of an option is read."""
    special: dict[str, Callable[[str], Any]] = dict.fromkeys(_NUMBERS_OR_AUTO, number_or_auto)
    special |= {'bands': numbers, 'overlap': partial(number_or_auto, least=0)}
    if name in special:
        return special[name]
    members = (kind, *getattr(kind, '__args__', ()))
    return next((member for member in (str, int, float) if member in members), str)


def add_polygons(commands: Commands) -> None:
    """Describe ``polygons``."""
    purpose = 'turn a map of classes into polygons, one per object, of a map of any size'
    parser = commands.add_parser('polygons', help=purpose, description=purpose)
    parser.add_argument('source', metavar='MAP', help='raster of classes, as of predict')
    parser.add_argument(
        '-o', '--output-file', dest='destination', type=Path, required=True,
        help='.gpkg or .parquet; small ones .geojson',
    )  # fmt: skip
    parser.add_argument(
        '--min-area', type=float, default=0.0, metavar='M2', help='drop smaller ones'
    )
    parser.add_argument(
        '--simplify', type=float, metavar='TOLERANCE',
        help='fewer vertices, borders shared; in units of the CRS, such as the size of a pixel',
    )  # fmt: skip
    parser.add_argument('--classes', nargs='+', metavar='CLASS', help='names or numbers (all)')
    parser.add_argument('--preview', metavar='PNG', type=Path, help='picture to write')
    parser.add_argument('--scene', help='raster below the polygons of the picture')
    parser.add_argument('--overwrite', action='store_true')
    parser.add_argument('--no-progress', dest='progress', action='store_false')


def add_draw_sample(commands: Commands) -> None:
    """Describe ``draw-sample``."""
    purpose = 'draw points of a map at random, for somebody to say what is there'
    parser = commands.add_parser('draw-sample', help=purpose, description=purpose)
    parser.add_argument('source', metavar='MAP', help='raster of classes, as of predict')
    parser.add_argument(
        '-o', '--output-file', dest='destination', type=Path, required=True,
        help='.gpkg, .parquet or .geojson; its design (.design.json) and style (.qml) lie beside it',
    )  # fmt: skip
    parser.add_argument('-n', '--count', type=int, default=500, metavar='N', help='points (500)')
    parser.add_argument(
        '--by', choices=('class', 'equal', 'neyman', 'simple'), default='class',
        help='how classes share the points: by area, equally, by area and expected accuracy, or not '
        'at all (class)',
    )  # fmt: skip
    parser.add_argument(
        '--minimum', type=int, default=50, metavar='N', help='points of a class at least (50)'
    )
    parser.add_argument(
        '--expected', nargs='+', type=named_number, default=[], metavar='[CLASS=]ACCURACY',
        help="user's accuracies that neyman expects, as 0.8 water=0.95",
    )  # fmt: skip
    parser.add_argument('--area', metavar='FILE', help='polygons in which points lie')
    parser.add_argument('--seed', type=int, default=0, help='of the random numbers (0)')
    parser.add_argument(
        '--chips', metavar='DIR', type=Path, help='pictures to make of what surrounds each point'
    )
    parser.add_argument('--scene', help='raster that the pictures show')
    parser.add_argument('--overwrite', action='store_true')
    parser.add_argument('--no-progress', dest='progress', action='store_false')


def add_assess(commands: Commands) -> None:
    """Describe ``assess``."""
    purpose = 'judge a map, or objects, by a reference: accuracies and areas with intervals'
    parser = commands.add_parser(
        'assess', help=purpose, description=purpose, argument_default=argparse.SUPPRESS
    )
    parser.add_argument(
        'source', metavar='MAP', help='raster of classes or measurements; vector file of objects'
    )
    parser.add_argument(
        '--reference', required=True, metavar='FILE',
        help='a sample of draw-sample with its classes filled in; points, polygons, or a raster',
    )  # fmt: skip
    parser.add_argument(
        '--attribute', metavar='NAME', help="column of its classes ('reference', or the only one)"
    )
    parser.add_argument('--layer', metavar='NAME', help='layer of a vector file')
    parser.add_argument('--area', metavar='FILE', help='polygons to which all is restricted')
    parser.add_argument('--json', metavar='FILE', type=Path, help='all figures')
    parser.add_argument('--csv', metavar='FILE', type=Path, help='all figures as a table')
    parser.add_argument('--report', metavar='HTML', type=Path, help='page to write')
    parser.add_argument('--scene', metavar='FILE', help='raster that the page shows')
    parser.add_argument('--overwrite', action='store_true')
    parser.add_argument('--no-progress', dest='progress', action='store_false')
    add_assess_maps(parser.add_argument_group('maps', argument_default=argparse.SUPPRESS))
    add_assess_objects(parser.add_argument_group('objects', argument_default=argparse.SUPPRESS))


def add_assess_objects(objects: argparse._ArgumentGroup) -> None:
    """Describe what ``assess`` asks of objects."""
    objects.add_argument(
        '--layers', metavar='GPKG', type=Path, help='right, wrong and missed objects to look at'
    )
    objects.add_argument(
        '--one-class', action='store_true', help='any object may show any other, whatever its class'
    )
    objects.add_argument(
        '--compare', choices=('auto', 'boxes', 'outlines'),
        help='what IoU is computed of: boxes where one file holds boxes and the other one other shapes '
        '(auto)',
    )  # fmt: skip
    objects.add_argument(
        '--iou-threshold', type=float, metavar='IOU', help='from which on an object is found (0.5)'
    )
    objects.add_argument(
        '--score-threshold',
        type=float,
        metavar='SCORE',
        help='from which on objects are counted (all)',
    )


def add_assess_maps(maps: argparse._ArgumentGroup) -> None:
    """Describe what ``assess`` asks of maps."""
    maps.add_argument(
        '--design', choices=('auto', 'stratified', 'simple', 'census', 'none'),
        help="how the reference was chosen: 'auto' follows a sample of draw-sample, takes a raster for a "
        'census of what it covers, and supposes nothing of anything else (auto)',
    )  # fmt: skip
    maps.add_argument(
        '--kind', choices=('auto', 'classes', 'values'),
        help='what the map holds; floats are measurements (auto)',
    )  # fmt: skip
    maps.add_argument(
        '--classes', nargs='+', type=named_values, metavar='CLASS=VALUE,...',
        help='which values of the reference are which class of the map (by name, or else number)',
    )  # fmt: skip
    maps.add_argument(
        '--ignore', nargs='+', metavar='VALUE', help='values of the reference that say nothing'
    )
    maps.add_argument(
        '--probabilities', metavar='FILE', help='map of probabilities, to see how right they are'
    )


def add_export(commands: Commands) -> None:
    """Describe ``export``."""
    purpose = 'turn a checkpoint into backbone weights that other tools load'
    parser = commands.add_parser('export', help=purpose, description=purpose)
    parser.add_argument('source', metavar='SOURCE', type=Path, help='checkpoint or weights')
    parser.add_argument('destination', metavar='DESTINATION', type=Path)
    parser.add_argument('--format', choices=FORMATS, required=True)
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


def named_number(text: str) -> tuple[str, float]:
    """Parse ``water=0.95``, or a number without a name."""
    name, _, number = text.rpartition('=')
    try:
        return name, float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'must be ACCURACY or CLASS=ACCURACY, got {text!r}'
        ) from error


def named_values(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse ``water=1,2``."""
    name, _, values = text.rpartition('=')
    if not name or not values:
        raise argparse.ArgumentTypeError(f'must be CLASS=VALUE or CLASS=VALUE,VALUE, got {text!r}')
    return name, tuple(values.split(','))


def numbers(text: str) -> tuple[int, ...]:
    """Parse ``4,3,2``."""
    return tuple(int(word) for word in text.split(','))


def number_or_auto(text: str, *, least: int = 1) -> int | str:
    """Parse a whole number or ``auto``."""
    if text == 'auto':
        return text
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number >= {least}, or 'auto', got {text!r}"
        )
    return int(text)
