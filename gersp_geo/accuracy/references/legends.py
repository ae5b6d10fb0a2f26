"""Which class of a map each value of a reference is."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ...geoio.polygons import ClassMap
from ...messages import name_some

IGNORED = -1
"""Stands for the class of a value that says nothing."""

# other programs write whole numbers as floats
_NUMBER = re.compile(r'([+-]?[0-9]+)(?:\.0*)?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """The classes of a map, and what values of a reference are these."""

    described: ClassMap
    """The map."""

    given: Mapping[str, int] = field(default_factory=dict)
    """Class of each value, where a user says so; then no other value is a class."""

    ignored: frozenset[str] = frozenset()
    """Values that say nothing."""

    @classmethod
    def of(
        cls,
        described: ClassMap,
        *,
        classes: Mapping[str, Sequence[str | int]] | None,
        ignore: Sequence[str | int],
    ) -> Self:
        """Read what a user says about the values of a reference.

        Args:
            described: The map.
            classes: Class of the map, by name or number, to values of the reference.
            ignore: Values that say nothing.

        Raises:
            ValueError: If the map has no such class, or a value is of two.
        """
        given: dict[str, int] = {}
        ignored = frozenset(_plain(value) for value in ignore)
        for name, values in (classes or {}).items():
            found = described.find([name])
            if len(found) > 1:
                raise ValueError(
                    f'the map calls {len(found)} classes {name!r}; name them by number'
                )
            for value in map(_plain, values):
                if value in ignored or given.get(value, found[0]) != found[0]:
                    raise ValueError(
                        f'a value is of one class, got {value!r} for several; leave it at one of '
                        'them'
                    )
                given[value] = found[0]
        return cls(described=described, given=given, ignored=ignored)

    def match(self, values: Mapping[str, int], *, where: str) -> dict[str, int]:
        """Find the classes of values.

        Names go before numbers; letters of another case and further spaces make no other name.

        Args:
            values: How often each occurs.
            where: Says in a message where they stand.

        Returns:
            Class of each; :data:`IGNORED` for those that say nothing.

        Raises:
            ValueError: If a value is neither the name nor the number of a class.
        """
        found = {value: self._find(value) for value in values}
        unknown = [value for value, number in found.items() if number is None]
        if unknown:
            held = name_some([f'{value!r} ({values[value]:,})' for value in unknown])
            known = self._name_known()
            lacks = (
                f'classes (--classes) names only {known}; name all values there'
                if self.given
                else f'the map has no such class, only {known}; say what they are with classes '
                '(--classes NAME=VALUE)'
            )
            raise ValueError(f'{where} holds {held}, and {lacks}, or ignore them (--ignore VALUE)')
        return {value: number for value, number in found.items() if number is not None}

    def key(self, value: str) -> int | str:
        """Say what tells a value from others: its class, or the value where it has none."""
        # a name of several classes is refused where a pixel has it
        found = None if len(self._named(value)) > 1 else self._find(value)
        return value if found is None else found

    def tell(self, values: Iterable[str]) -> list[str]:
        """Say in a sentence how values were matched, none if they say nothing."""
        known = [value for value in values if _plain(value) not in self.ignored]
        if self.given or not known:
            return ['Classes of the reference are those that were given.'] if self.given else []
        numbered = [value for value in known if not self._named(value)]
        if not numbered:
            return ['Classes of the reference are matched by name.']
        if len(numbered) == len(known):
            return ['Classes of the reference are matched by number.']
        return [
            f'Classes of the reference are matched by name, and {name_some(numbered)} by number.'
        ]

    def _find(self, value: str) -> int | None:
        """Find the class of a value; None where there is none."""
        plain = _plain(value)
        if plain in self.ignored:
            return IGNORED
        if self.given:
            return self.given.get(plain)
        same = self._named(value)
        if len(same) > 1:
            raise ValueError(
                f'the map calls {len(same)} classes {value!r}, so that nobody knows which is meant; '
                'write their numbers in the reference'
            )
        if same:
            return same[0]
        return int(plain) if _NUMBER.fullmatch(plain) and int(plain) >= 0 else None

    def _named(self, value: str) -> list[int]:
        """Find the classes of a name: as it is written, or else as it is read."""
        names = {number: self.described.names[number] for number in self.described.named}
        return [number for number, name in names.items() if name == value] or [
            number for number, name in names.items() if _plain(name) == _plain(value)
        ]

    def _name_known(self) -> str:
        """List what values may be."""
        if self.given:
            return name_some(sorted(self.given))
        named = self.described.named
        return (
            name_some([f'{number} {self.described.names[number]}' for number in named], most=12)
            or 'numbers, as it names none'
        )

    def check_numbers(
        self, counted: Mapping[int, float], mapped: Sequence[int], *, where: str
    ) -> list[str]:
        """Refuse classes of a reference that a map lacks, or tell of them.

        Args:
            counted: Classes of the reference, and the part of it that each is.
            mapped: Classes that occur in the map.
            where: The reference, for messages.

        Returns:
            Sentences.

        Raises:
            ValueError: If the legend of the map lacks one, or the map has none of them.
        """
        named, whole = self.described.named, sum(counted.values())
        lacking = [number for number in sorted(counted) if number not in mapped]
        strange = [number for number in lacking if number not in named]
        held = [f'{number} ({counted[number] / whole:.1%})' for number in strange]
        if strange and (named or len(strange) == len(counted)):
            raise ValueError(
                f'{where} holds classes that the map lacks: {name_some(held)}; its classes are '
                f'{self._name_known() if named else name_some(sorted(mapped))}; say what they are '
                'with classes (--classes NAME=VALUE), or ignore them (--ignore VALUE)'
            )
        if not lacking:
            return []
        shown = [f'{self.described.name(each)} ({counted[each] / whole:.1%})' for each in lacking]
        return [f'The map has no pixel of {name_some(shown)}, which the reference has.']


def _plain(value: str | int) -> str:
    """Write a value without what a reader overlooks."""
    text = ' '.join(unicodedata.normalize('NFKC', str(value)).casefold().split())
    number = _NUMBER.fullmatch(text)
    return str(int(number[1])) if number else text
