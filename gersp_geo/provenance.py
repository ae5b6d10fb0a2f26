"""What made a file: version and commit of this package, configuration, data."""

import json
import math
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from . import __version__

TRAINING_KEY = 'gersp_geo_training'
"""Where checkpoints of Lightning carry what training wrote about itself."""

# Longer or deeper arguments of a task are cut: they are data rather than configuration
MOST_ITEMS = 64
DEEPEST = 3
LONGEST_TEXT = 256


@cache
def software() -> dict[str, str]:
    """Name the version of this package, and its commit if that is known.

    Returns:
        ``gersp_geo``, and ``commit`` if the package lies in a clone or was installed from one; it
        ends in ``-dirty`` where files of the clone have changed since.
    """
    found = _commit_of_clone() or _commit_of_installation()
    return {'gersp_geo': __version__} | ({'commit': found} if found else {})


def configuration(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Read from a checkpoint of Lightning, once loaded, how and on what it was trained.

    Returns:
        ``config``, the arguments of the task as JSON, long ones cut; ``epoch`` and
        ``global_step``; ``figures``, what it was chosen by; and what :class:`~gersp_geo.callbacks.PreprocessingRecord` wrote: version,
        commit, data, weights it started from. Whatever the checkpoint does not say is left out.
    """
    counters = {key: checkpoint.get(key) for key in ('epoch', 'global_step')}
    found = {key: str(value) for key, value in counters.items() if isinstance(value, int)}
    arguments = checkpoint.get('hyper_parameters')
    if isinstance(arguments, Mapping) and arguments:
        found['config'] = json.dumps(_plain(arguments), ensure_ascii=False)
    if figures := _figures(checkpoint.get('callbacks')):
        found['figures'] = figures
    training = checkpoint.get(TRAINING_KEY)
    if isinstance(training, Mapping):
        found |= {key: text for key, text in training.items() if isinstance(text, str)}
    return found


def name_source(source: object) -> str:
    """Name what a stream is read from.

    That is a path; the first of several paths, and their number; what is replaced in the paths of
    other files; or the class of a data set.
    """
    if isinstance(source, str | PathLike):
        return fspath(source)
    if isinstance(source, list | tuple):
        more = f' and {len(source) - 1} more' if len(source) > 1 else ''
        return name_source(source[0]) + more
    if isinstance(source, Mapping):
        return ', '.join(f'{old} -> {new}' for old, new in source.items())
    return type(source).__qualname__


def _figures(callbacks: object) -> str:
    """Say what a metric was when Lightning's ModelCheckpoint last looked at it."""
    found: dict[str, None] = {}
    for state in callbacks.values() if isinstance(callbacks, Mapping) else ():
        if not isinstance(state, Mapping) or not isinstance(state.get('monitor'), str):
            continue
        try:
            value = float(state.get('current_score'))  # type: ignore[arg-type]
        # the file may hold anything
        except (TypeError, ValueError, RuntimeError, OverflowError):
            continue
        if math.isfinite(value):
            found[f'{state["monitor"][:LONGEST_TEXT]} {value:.4g}'] = None
    return ', '.join(islice(found, MOST_ITEMS))


def _plain(value: Any, depth: int = DEEPEST) -> Any:
    """Reduce a value from an untrusted file to what JSON has, of bounded length."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if abs(value) < 2**63 else 'int'
        case str():
            return value if len(value) <= LONGEST_TEXT else f'{value[:LONGEST_TEXT]}...'
        case Mapping() if depth:
            items = islice(value.items(), MOST_ITEMS)
            return {str(_plain(key, 0)): _plain(item, depth - 1) for key, item in items}
        case list() | tuple() if depth:
            return [_plain(item, depth - 1) for item in islice(value, MOST_ITEMS)]
    return type(value).__name__


def _commit_of_clone() -> str | None:
    """Ask git, if this file lies in a clone of this project."""
    root = Path(__file__).parents[1]
    if not (root / '.git').exists():
        return None
    try:
        answer = subprocess.run(
            ['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _commit_of_installation() -> str | None:
    """Read what pip wrote when it installed from a repository (PEP 610)."""
    try:
        text = metadata.distribution('gersp-geo').read_text('direct_url.json')
    except metadata.PackageNotFoundError:
        return None
    commit = json.loads(text or '{}').get('vcs_info', {}).get('commit_id')
    return commit if isinstance(commit, str) else None
