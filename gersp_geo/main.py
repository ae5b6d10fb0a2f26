"""The ``gersp-geo`` command: parse, then call one function.

Heavy imports happen inside the command that needs them, so that ``--help`` answers at once.
"""

import argparse
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .command_line import TRAINING, build_parser
from .lazy import without_collector
from .messages import one_line
from .stopping import stoppable

DATA_ERROR = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after the program's name; the process's own when None.

    Returns:
        Exit code: 0, or 1 when the data are not as they must be. Wrong usage exits with 2.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in TRAINING:
            return train(words)
        parsed = build_parser().parse_args(words)
        with plain_warnings():
            return COMMANDS[parsed.command](parsed)
    except KeyboardInterrupt:
        sys.stderr.write('gersp-geo: stopped\n')
        return 128 + signal.SIGINT
    except (OSError, ValueError) as error:
        if os.environ.get('GERSP_GEO_TRACEBACK'):
            raise
        text = one_line(error)
        sys.stderr.write(f'gersp-geo: error: {text}\n')
        return DATA_ERROR


def train(words: list[str]) -> int:
    """Hand over to LightningCLI with torchgeo's and our classes."""
    quieten()
    with stoppable() as request:
        from .training import train_from_arguments

        train_from_arguments(words, request)
    return 0


def predict(options: argparse.Namespace) -> int:
    """Predict scenes and print the summary."""
    refuse_absent(options)
    sleep_while_waiting()
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.jobs import find_kind
        from .inference.jobs import predict as run

    given = keywords(options)
    kind = find_kind(options.model, given.pop('task'), given.get('task_class'))
    end_on_signals('the same command goes on where it was')
    with gdal_messages(warn):
        summary = run(kind, **given)
    sys.stdout.write(f'{summary}\n')
    return DATA_ERROR if summary.failures else 0


def sleep_while_waiting() -> None:
    """Let threads of torch sleep between operations, which leaves their cores to those that read.

    Left to themselves they spin for milliseconds. OpenMP reads this once, when torch is imported.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def refuse_absent(options: argparse.Namespace) -> None:
    """Say that a file is missing before anything is imported that takes seconds."""
    from .inference.scenes import check_present

    # what embeds may have a name instead
    check_present(options.source, model=options.model if options.task == 'auto' else None)


BEGINS_ANEW = 'what is not finished is removed, and begins anew with the same command'


def end_on_signals(advice: str) -> None:
    """Clean up before SIGTERM or SIGINT end the process, as a shell reports it, and say what next."""

    def stop(number: int, frame: object) -> None:
        sys.stderr.write(f'gersp-geo: stopped; {advice}\n')
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def plan(options: argparse.Namespace) -> int:
    """Print what predict would do."""
    refuse_absent(options)
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.jobs import find_kind
        from .inference.jobs import plan as run

    given = keywords(options)
    kind = find_kind(options.model, given.pop('task'), given.get('task_class'))
    with gdal_messages(warn):
        text, is_complete = run(kind, **given)
    sys.stdout.write(f'{text}\n')
    return 0 if is_complete else DATA_ERROR


def polygons(options: argparse.Namespace) -> int:
    """Write the polygons of a map and print what was written."""
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.polygons import polygonize

    end_on_signals(BEGINS_ANEW)
    with gdal_messages(warn):
        summary = polygonize(**keywords(options))
    sys.stdout.write(f'{summary}\n')
    return 0


def draw_sample(options: argparse.Namespace) -> int:
    """Draw a sample and print its strata."""
    with without_collector():
        from .accuracy.sampling.drawing import draw_sample as run
        from .geoio import read_header
        from .geoio.gdal import gdal_messages
        from .inference.progress import progress_bar

    given = keywords(options)
    shown, given['expected'] = given.pop('progress'), dict(options.expected)
    header = read_header(options.source)
    end_on_signals(BEGINS_ANEW)
    with gdal_messages(warn), progress_bar(header.height * header.width, shown=shown) as advance:
        summary = run(**given, advance=advance)
    sys.stdout.write(f'{summary}\n')
    return 0


def assess(options: argparse.Namespace) -> int:
    """Judge a map or objects, and print what was found."""
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .reports.judging import assess as run

    given = keywords(options)
    if 'classes' in given:
        given['classes'] = dict(given['classes'])
    end_on_signals(BEGINS_ANEW)
    with gdal_messages(warn):
        found = run(**given)
    sys.stdout.write(f'{found}\n')
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Compare weights and print what was found."""
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .reports.comparing import evaluate as run

    end_on_signals('the same command goes on where it was')
    with gdal_messages(warn):
        summary = run(**keywords(options))
    sys.stdout.write(f'{summary}\n')
    return 0


def export(options: argparse.Namespace) -> int:
    """Export a whole model, or a backbone, and print what was written."""
    with without_collector():
        from .inference.exporting.command import export as run

    sys.stdout.write(f'{run(**keywords(options))}\n')
    return 0


def weights(options: argparse.Namespace) -> int:
    """Print what is known, and what is here."""
    from .models.weights_table import describe_weights

    sys.stdout.write(f'{describe_weights(**keywords(options))}\n')
    return 0


def sample_data(options: argparse.Namespace) -> int:
    """Write the sample landscape and print where it is."""
    from .sample_data import write_sample_data

    files = write_sample_data(**keywords(options))
    sys.stdout.write(
        f'{len(files)} files in {options.folder}; README.txt there says what is what\n'
    )
    return 0


def demo(options: argparse.Namespace) -> int:
    """Run the main job and print what was made."""
    quieten()
    with stoppable() as request:
        request.advice = 'begin anew with --overwrite'
        from .demo import run_demo

        sys.stdout.write(f'{run_demo(**keywords(options))}\n')
    return 0


def report(options: argparse.Namespace) -> int:
    """Write the page of a run and say where it is."""
    from .reports import write_run_report

    sys.stdout.write(f'{write_run_report(**keywords(options))}\n')
    return 0


def keywords(options: argparse.Namespace) -> dict[str, Any]:
    """Name the options as the called function does."""
    return {name: value for name, value in vars(options).items() if name != 'command'}


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show a warning in one line; the place in our own code that warns is of no use to a user."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        # plan and summary say where a map lies
        warnings.filterwarnings('ignore', message='Dataset has no geotransform')
        yield


def warn(text: str) -> None:
    """Write a warning in one line."""
    sys.stderr.write(f'gersp-geo: warning: {" ".join(text.split())}\n')


def quieten() -> None:
    """Hide messages that a user of the command can do nothing about."""
    # the place in our own code that warns is of no use to them
    warnings.formatwarning = lambda message, *_, **__: (
        f'gersp-geo: warning: {" ".join(str(message).split())}\n'
    )
    # https://github.com/Lightning-AI/pytorch-lightning: uses a torch class on its way out
    warnings.filterwarnings('ignore', message='.*LeafSpec.*')
    # a few reader processes are a choice, not an oversight
    warnings.filterwarnings('ignore', message='.*does not have many workers.*')
    warnings.filterwarnings('ignore', message='.*exists and is not empty.*')
    # pictures have no place, and need none to be learned from
    warnings.filterwarnings('ignore', message='Dataset has no geotransform')
    # detectors check targets there, and data modules do nothing there
    warnings.filterwarnings('ignore', message='.*overridden .on_before_batch_transfer.*')
    # the words are checked here before LightningCLI sees them
    warnings.filterwarnings('ignore', message="LightningCLI's args parameter.*")
    advertisement = re.compile(r'try installing \[lit')
    for name in ('lightning.pytorch', 'lightning.pytorch.utilities.rank_zero'):
        logging.getLogger(name).addFilter(lambda r: not advertisement.search(r.getMessage()))


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    'predict': predict, 'plan': plan, 'polygons': polygons, 'draw-sample': draw_sample,
    'assess': assess, 'evaluate': evaluate, 'export': export, 'weights': weights,
    'sample-data': sample_data, 'demo': demo, 'report': report,
}  # fmt: skip

if __name__ == '__main__':
    raise SystemExit(main())
