"""What other libraries say, as the one line that a message of this package has room for."""


def one_line(error: object) -> str:
    """Write an error, or any text, in one line.

    Args:
        error: What ``str`` turns into text, with line ends and indents in it.

    Returns:
        Its words with one space between two of them.
    """
    return ' '.join(str(error).split())
