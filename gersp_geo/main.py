"""The ``gersp-geo`` command: parse, then call one function.

Heavy imports happen inside the command that needs them, so that ``--help`` answers at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from .command_line import TRAINING, build_parser
from .command_line.speaking import Made, plain_warnings, quieten, say, tell, telling, warn
from .command_line.words import STANDARD_OUTPUT
from .lazy import without_collector
from .stopping import stoppable

DATA_ERROR = 1
# what parsing adds to the options of a command
_OURS = ('command', 'as_json')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after the program's name; the process's own when None.

    Returns:
        Exit code, as the end of ``gersp-geo --help`` lists them.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in TRAINING:
            return train(words)
        parsed = build_parser().parse_args(words)
        # that of assess may also name a file
        as_json = getattr(parsed, 'as_json', getattr(parsed, 'json', None) == STANDARD_OUTPUT)
        with plain_warnings(), telling(as_json=as_json):
            found = COMMANDS[parsed.command](parsed)
        tell(found, as_json=as_json)
        return DATA_ERROR if getattr(found, 'failures', ()) else 0
    except KeyboardInterrupt:
        say('stopped')
        return 128 + signal.SIGINT
    except (OSError, ValueError) as error:
        if os.environ.get('GERSP_GEO_TRACEBACK'):
            raise
        say(f'error: {error}')
        return DATA_ERROR


def train(words: list[str]) -> int:
    """Hand over to LightningCLI with torchgeo's and our classes."""
    from .command_line.config_files import check_configs
    from .shipped_configs import resolve_configs

    quieten()
    sleep_while_waiting()
    words, shipped = resolve_configs(words)
    for config in shipped:
        say(f'{config.name} is not here, and the one that is shipped is taken: {config.path}')
    check_configs(words)
    with stoppable() as request:
        from .training import train_from_arguments

        train_from_arguments(words, request)
    return 0


def predict(options: argparse.Namespace) -> object:
    """Predict scenes."""
    refuse_absent(options)
    sleep_while_waiting()
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.jobs import find_kind
        from .inference.jobs import predict as run

    given = keywords(options)
    given['model'] = bring(options.model, 'backbone' if options.task == 'embed' else 'model')
    kind = find_kind(given['model'], given.pop('task'), given.get('task_class'))
    end_on_signals('the same command goes on where it was')
    with gdal_messages(warn):
        return run(kind, **given)


def sleep_while_waiting() -> None:
    """Let threads of torch sleep between operations, which leaves their cores to those that read.

    Left to themselves they spin for milliseconds, and where another process has a core, each waits
    for one that does not run. OpenMP reads this once, when torch is imported.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def bring(model: str, purpose: Literal['backbone', 'model']) -> str | Path:
    """Bring a model that lies elsewhere, and say which it is; what is here stays as it is."""
    from .models.remote_files import is_elsewhere, obtain_file

    if not is_elsewhere(model):
        return model
    found = obtain_file(model, purpose=purpose)
    say(found)
    return found.path


def refuse_absent(options: argparse.Namespace) -> None:
    """Say that a file is missing before anything is imported that takes seconds."""
    from .inference.scenes import check_present

    # what embeds may have a name instead
    check_present(options.source, model=options.model if options.task == 'auto' else None)


BEGINS_ANEW = 'what is not finished is removed, and begins anew with the same command'


def end_on_signals(advice: str) -> None:
    """Clean up before SIGTERM or SIGINT end the process, as a shell reports it, and say what next."""

    def stop(number: int, frame: object) -> None:
        say(f'stopped; {advice}')
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def plan(options: argparse.Namespace) -> object:
    """Say what predict would do."""
    refuse_absent(options)
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.jobs import find_kind
        from .inference.jobs import plan as run

    given = keywords(options)
    given['model'] = bring(options.model, 'backbone' if options.task == 'embed' else 'model')
    kind = find_kind(given['model'], given.pop('task'), given.get('task_class'))
    with gdal_messages(warn):
        return run(kind, **given)


def polygons(options: argparse.Namespace) -> object:
    """Write the polygons of a map."""
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .inference.polygons import polygonize

    end_on_signals(BEGINS_ANEW)
    with gdal_messages(warn):
        return polygonize(**keywords(options))


def draw_sample(options: argparse.Namespace) -> object:
    """Draw a sample."""
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
        return run(**given, advance=advance)


def assess(options: argparse.Namespace) -> object:
    """Judge a map or objects."""
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .reports.judging import assess as run

    given = keywords(options)
    if given.get('json') == STANDARD_OUTPUT:
        del given['json']
    if 'classes' in given:
        given['classes'] = dict(given['classes'])
    end_on_signals(BEGINS_ANEW)
    with gdal_messages(warn):
        return run(**given)


def evaluate(options: argparse.Namespace) -> object:
    """Compare weights."""
    sleep_while_waiting()
    with without_collector():
        from .geoio.gdal import gdal_messages
        from .reports.comparing import evaluate as run

    end_on_signals('the same command goes on where it was')
    with gdal_messages(warn):
        return run(**keywords(options))


def export(options: argparse.Namespace) -> object:
    """Export a whole model, or a backbone."""
    with without_collector():
        from .inference.exporting.command import export as run

    end_on_signals(BEGINS_ANEW)
    return run(**keywords(options))


def weights(options: argparse.Namespace) -> object:
    """List what is known, and what is here."""
    from .models.weights_table import describe_weights

    return describe_weights()


def sample_data(options: argparse.Namespace) -> object:
    """Write the sample landscape."""
    from .sample_data import write_sample_data

    end_on_signals(BEGINS_ANEW)
    files = write_sample_data(**keywords(options))
    text = f'{len(files)} files in {options.folder}; README.txt there says what is what'
    return Made(text, {'folder': options.folder, 'files': files})


def demo(options: argparse.Namespace) -> object:
    """Run the main job."""
    quieten()
    sleep_while_waiting()
    with stoppable() as request:
        request.advice = 'begin anew with --overwrite'
        from .demo import run_demo

        return run_demo(**keywords(options))


def report(options: argparse.Namespace) -> object:
    """Write the page of a run."""
    from .reports import write_run_report

    end_on_signals(BEGINS_ANEW)
    page = write_run_report(**keywords(options))
    return Made(str(page), {'destination': page})


def configs(options: argparse.Namespace) -> object:
    """List, print or copy the configurations that are shipped."""
    from .shipped_configs import show_configs

    return show_configs(**keywords(options))


def completion(options: argparse.Namespace) -> object:
    """Write what a shell needs to complete our commands."""
    from .command_line.completing import complete

    return complete(build_parser(), options.shell)


def keywords(options: argparse.Namespace) -> dict[str, Any]:
    """Name the options as the called function does."""
    return {name: value for name, value in vars(options).items() if name not in _OURS}


COMMANDS: dict[str, Callable[[argparse.Namespace], object]] = {
    'predict': predict, 'plan': plan, 'polygons': polygons, 'draw-sample': draw_sample,
    'assess': assess, 'evaluate': evaluate, 'export': export, 'weights': weights,
    'sample-data': sample_data, 'demo': demo, 'report': report,
    'configs': configs, 'completion': completion,
}  # fmt: skip

if __name__ == '__main__':
    raise SystemExit(main())
