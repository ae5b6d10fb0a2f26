"""Options of the commands that judge maps: draw-sample and assess."""

import argparse
from pathlib import Path

from .words import STANDARD_OUTPUT, Commands, named_number, named_values


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
    parser.add_argument(
        '--json', metavar='FILE', nargs='?', const=STANDARD_OUTPUT, type=Path,
        help='all figures; without FILE, or for -, instead of the text on stdout',
    )  # fmt: skip
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
