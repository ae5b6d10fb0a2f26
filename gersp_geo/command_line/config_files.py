"""Files of configuration, looked at before the imports and options that take seconds."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..messages import one_line
from ..shipped_configs import find_config, find_values

_WHOLE = ('--config', '-c')
# these may also name a class, which ends otherwise
_PARTS = ('--trainer', '--model', '--data', '--optimizer', '--lr_scheduler')
_ENDINGS = ('.yaml', '.yml')


def check_configs(words: Sequence[str]) -> None:
    """Refuse a configuration that is not there, or holds no options.

    A pipe and a URL are left to LightningCLI, as each can be read once, or costs a download.

    Args:
        words: A command of LightningCLI and its options.

    Raises:
        FileNotFoundError: If one does not exist, or is a folder.
        ValueError: If one is no YAML, or not options and their values.
    """
    for _, _, value in find_values(words, _WHOLE):
        # what begins so is YAML itself, which LightningCLI takes too
        if not value.lstrip().startswith('{') and '\n' not in value:
            _check(value)
    for _, _, value in find_values(words, _PARTS):
        if value.endswith(_ENDINGS):
            _check(value)


def _check(name: str) -> None:
    """Check one file."""
    import yaml

    if '://' in name:
        return
    # unlike those of a path, these take any text
    file = os.path.expanduser(name)
    if os.path.isdir(file):
        raise FileNotFoundError(f'{name} is a folder; name a file in it')
    if not os.path.exists(file):
        try:
            find_config(name)
        except ValueError as error:
            raise FileNotFoundError(f'{name} does not exist, and {error}') from None
    elif not os.path.isfile(file):
        return
    try:
        root = yaml.compose(Path(file).read_text(encoding='utf-8'), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ValueError(f'{name} must be text in UTF-8, got other bytes ({error})') from error
    except yaml.MarkedYAMLError as error:
        line = '' if error.problem_mark is None else f', line {error.problem_mark.line + 1}'
        raise ValueError(f'{name}{line}: this is no YAML ({one_line(error.problem)})') from error
    except yaml.YAMLError as error:
        raise ValueError(f'{name} is no YAML ({one_line(error)})') from error
    if root is None or root.id != 'mapping':
        raise ValueError(
            f'{name} must hold options and their values, such as `trainer: {{max_epochs: 40}}`; '
            '`gersp-geo configs` lists examples'
        )
