"""Words and tables of plain text, such as messages of this package have room for."""

from collections.abc import Sequence


def one_line(error: object) -> str:
    """Write an error, or any text, in one line.

    Args:
        error: What ``str`` turns into text, with line ends and indents in it.

    Returns:
        Its words with one space between two of them.
    """
    return ' '.join(str(error).split())


def name_some(names: Sequence[object], *, most: int = 6) -> str:
    """List the first few of many names.

    Args:
        names: Written as ``str`` does.
        most: So many are named; of more, the rest is counted.

    Returns:
        Such as 'a, b and 3 more'.
    """
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(map(str, names[:most])) + more


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table of plain text: names to the left, all further cells to the right.

    Args:
        rows: Cells, of the same number in each row.

    Returns:
        A line per row.
    """
    first, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join([name.ljust(first), *map(str.rjust, cells, widths)]).rstrip()
        for name, *cells in rows
    ]
