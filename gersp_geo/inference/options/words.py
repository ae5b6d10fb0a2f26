"""What an option is: its default, its meaning, and the words that the command has for it."""

from dataclasses import field
from os import PathLike
from typing import Any, Literal, get_args

type Blend = Literal['hann', 'crop']
"""Fade between neighbours over what they share, or cut in the middle of it."""

type MapKind = Literal['classes', 'probabilities', 'values']
"""Index of the best class, probability of every class, or what a regression returns."""

type LayerKind = MapKind | Literal['uncertainty', 'agreement']
"""What any of the maps holds that are made together."""

type Precision = Literal['float32', 'bfloat16', 'int8']
"""Type in which the model computes."""

type RuntimeName = Literal['eager', 'channels-last', 'compiled', 'onnx', 'openvino']
"""Form in which a model runs."""

type Averaging = Literal['none', 'flips', 'rotations']
"""Views of a patch whose scores are averaged: itself; 4 flips; these and their transposes, 8."""

type PathName = str | PathLike[str]
"""Path or name of a file."""


def option(
    default: Any, text: str, *, group: str = '', choices: Any = None, metavar: str | None = None
) -> Any:
    """Describe an option, as the field of a dataclass.

    Args:
        default: Its value unless given.
        text: What it means, in a few sentences.
        group: Heading under which the command lists it; without one, the command has no such word.
        choices: Type whose literals are the only values.
        metavar: What stands for the value in the help of the command.

    Returns:
        The field.
    """
    values = get_args(getattr(choices, '__value__', choices))
    metadata = {'text': text, 'group': group, 'choices': values, 'metavar': metavar}
    return field(default=default, metadata=metadata)
