"""The configurations that come with the package: those of ``configs/``, in a clone or installed."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import exists
from pathlib import Path

# a wheel holds them inside of the package; a clone, also an editable one, beside it
_INSTALLED = Path(__file__).parent / 'configs'
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / 'configs'
_OPTIONS = ('--config', '-c', '--data')


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedConfig:
    """One of the configurations."""

    name: str
    """Such as 'finetune/segmentation'."""

    purpose: str
    """What it is for: the first sentence of its comment."""

    path: Path
    """The file."""

    def __str__(self) -> str:
        """Give the whole file."""
        return self.path.read_text(encoding='utf-8').rstrip('\n')


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedConfigs:
    """All of them."""

    configs: tuple[ShippedConfig, ...]
    """By name."""

    def __str__(self) -> str:
        """Give a line each."""
        width = max(len(config.name) for config in self.configs)
        return '\n'.join(f'{config.name:<{width}}  {config.purpose}' for config in self.configs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedConfig:
    """One that was copied."""

    name: str
    """Such as 'finetune/segmentation'."""

    destination: Path
    """The copy."""

    def __str__(self) -> str:
        """Say what can be done with it."""
        return f'{self.destination}: a copy of {self.name}, to change and pass with --config'


def list_configs() -> ShippedConfigs:
    """List what is shipped.

    Raises:
        FileNotFoundError: If the installation lacks it.
    """
    paths = sorted(_FOLDER.glob('*/*.yaml'))
    if not paths:
        raise FileNotFoundError(f'{_FOLDER} holds no configurations; install gersp-geo again')
    return ShippedConfigs(
        configs=tuple(
            ShippedConfig(
                name=_name_of(path.relative_to(_FOLDER).as_posix()),
                purpose=_opening(path.read_text(encoding='utf-8')),
                path=path,
            )
            for path in paths
        )
    )


def find_config(name: str) -> ShippedConfig:
    """Find one.

    Args:
        name: Such as 'finetune/segmentation', or 'configs/finetune/segmentation.yaml' as in a clone.

    Raises:
        ValueError: If none is called so.
    """
    known = {config.name: config for config in list_configs().configs}
    if (wanted := _name_of(name)) in known:
        return known[wanted]
    ends = [other for other in known if other.rpartition('/')[2] == wanted]
    similar = ends or get_close_matches(wanted, known, n=3)
    advice = f'; there is {" or ".join(similar)}' if similar else ''
    raise ValueError(f'no configuration is called {name}{advice}; `gersp-geo configs` lists all')


def copy_config(name: str, destination: Path, *, overwrite: bool = False) -> CopiedConfig:
    """Copy one, to be changed.

    Args:
        name: As of :func:`find_config`.
        destination: The copy.
        overwrite: Replace an existing file.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If no configuration is called so, or *destination* is not on a local disk.
    """
    config = find_config(name)
    # read first, as the copy may be told to replace the file itself
    content = config.path.read_bytes()
    # takes a while to import, and what lists or prints configurations does without
    from .geoio.write import new_file

    with new_file(destination, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
    return CopiedConfig(name=config.name, destination=destination)


def show_configs(
    name: str | None = None, destination: Path | None = None, *, overwrite: bool = False
) -> ShippedConfigs | ShippedConfig | CopiedConfig:
    """List all, give one, or copy it.

    Args:
        name: Of one; None for all.
        destination: The copy; None for none.
        overwrite: Replace an existing file.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If no configuration is called so, or none is named to be copied.
    """
    if name is None:
        if destination is not None:
            raise ValueError(
                f'{destination} would be a copy of one configuration; name it (`gersp-geo configs` '
                'lists all)'
            )
        return list_configs()
    if destination is None:
        return find_config(name)
    return copy_config(name, destination, overwrite=overwrite)


def resolve_configs(words: list[str]) -> tuple[list[str], list[ShippedConfig]]:
    """Put the path of what is shipped in the place of its name, where no such file is.

    So what documentation shows of a clone can be typed wherever the package is installed.

    Args:
        words: A command of LightningCLI and its options.

    Returns:
        The words, and which configurations are meant.
    """
    resolved, found = list(words), []
    for number, before, value in find_values(words, _OPTIONS):
        # a class of data has no slash in its name; what stands here may be YAML itself, and too
        # long for a path, which `Path.exists` takes for an error
        if '/' in value and not exists(value) and (config := _look_up(value)):
            resolved[number] = f'{before}{config.path}'
            found.append(config)
    return resolved, found


def find_values(words: Sequence[str], options: Collection[str]) -> Iterator[tuple[int, str, str]]:
    """Find the values of options, given as ``--option value`` or ``--option=value``.

    Args:
        words: A command and its options.
        options: Such as '--config'.

    Yields:
        Which word it is, what of the word stands before the value, and the value.
    """
    for number, word in enumerate(words):
        option, equals, value = word.partition('=')
        if equals and option in options:
            yield number, f'{option}=', value
        elif number and words[number - 1] in options and not word.startswith('-'):
            yield number, '', word


def _look_up(name: str) -> ShippedConfig | None:
    """Find one; None if none is called so."""
    wanted = _name_of(name)
    return next((config for config in list_configs().configs if config.name == wanted), None)


def _name_of(path: str) -> str:
    """Name a configuration by its path in a clone."""
    return path.removeprefix('configs/').removesuffix('.yaml')


def _opening(text: str) -> str:
    """Take the first sentence of the comment at the head of a file; commands in it are indented."""
    lines = []
    for line in text.splitlines():
        if not line.startswith('#') or line.startswith('#  '):
            break
        lines.append(line.removeprefix('#').strip())
    return re.split(r'(?<=\.)\s', ' '.join(lines) + ' ', maxsplit=1)[0].rstrip(' :.')
