"""Scripts by which shells complete our commands; they run nothing of ours."""

import argparse
from pathlib import Path

SHELLS = ('bash', 'zsh', 'fish')


def complete(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the script of a shell.

    Args:
        parser: Describes every command.
        shell: One of :data:`SHELLS`.

    Returns:
        The script.
    """
    import shtab

    from ..shipped_configs import list_configs

    commands = next(
        action.choices
        for action in parser._actions  # noqa: SLF001  # no public name; shtab reads the same
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    for name, command in commands.items():
        for action in command._actions:  # noqa: SLF001
            if name == 'configs' and action.dest == 'name':
                action.choices = [config.name for config in list_configs().configs]
            elif _may_be_a_file(action):
                is_folder = action.metavar in ('DIR', 'RUN_DIR')
                action.complete = shtab.DIRECTORY if is_folder else shtab.FILE
    return str(shtab.complete(parser, shell)).rstrip('\n')


def _may_be_a_file(action: argparse.Action) -> bool:
    """Say whether a word can be the name of a file; those that are numbers or choices cannot."""
    return action.nargs != 0 and not action.choices and action.type in (None, str, Path)
