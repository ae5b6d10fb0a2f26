"""Options of the commands that make and turn maps: predict, plan and polygons."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .words import Commands, number_or_auto, numbers

_NUMBERS_OR_AUTO = ('size', 'overlap', 'batch_size', 'threads', 'workers')


def add_predict(commands: Commands) -> None:
    """Describe ``predict`` and ``plan``, which take the same options."""
    for name, purpose in (
        ('predict', 'predict GeoTIFFs of any size, patch by patch'),
        ('plan', 'say what predict would do and cost, from headers and patches of zeros'),
    ):
        parser = commands.add_parser(name, help=purpose, description=purpose)
        parser.add_argument(
            'model', metavar='MODEL',
            help='Checkpoint, ONNX graph, or weights to embed with; also hf-hub:ORG/NAME, or a URL.',
        )  # fmt: skip
        parser.add_argument(
            'source',
            metavar='SOURCE',
            nargs='+',
            help="GeoTIFF or other raster, cloud path, folder, pattern in quotes ('tiles/**/*_rgb.tif'), or .txt "
            'with a name per line.',
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
    from ..inference.options import describe_default, list_options

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
