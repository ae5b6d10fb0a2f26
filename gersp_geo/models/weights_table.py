"""What weights there are, which of them lie on this computer, and what can be read."""

from dataclasses import dataclass
from pathlib import Path

from .checkpoint_files import sha256_of
from .downloads import find_file, refuse_changed, weight_folders
from .layouts import FORMATS
from .weights import GeRSP_Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWeights:
    """One member of the enum."""

    name: str
    """As every task takes it."""

    model: str
    epochs: int
    in_channels: int
    files: tuple[str, ...]
    """Names that its file may have."""

    path: Path | None
    """Its file, if it is here."""

    sha256: str | None
    """Of that file."""

    changed: str = ''
    """Why the file will be refused; '' if it will not."""


def list_weights() -> list[KnownWeights]:
    """List the published weights, and look for their files.

    Returns:
        One entry per member, in their order.

    Raises:
        FileNotFoundError: If the environment variable GERSP_WEIGHTS_DIR names no folder.
    """
    return [_look_up(member) for member in GeRSP_Weights.__members__.values()]


def _look_up(member: GeRSP_Weights) -> KnownWeights:
    """Find the file of a member."""
    path = find_file(member.meta['files'])
    return KnownWeights(
        name=str(member),
        model=member.meta['model'],
        epochs=member.meta['epochs'],
        in_channels=member.meta['in_chans'],
        files=tuple(member.meta['files']),
        path=path,
        sha256=None if path is None else sha256_of(path),
        changed='' if path is None else _change(path),
    )


def _change(path: Path) -> str:
    """Say whether a file has changed since it was first used."""
    try:
        refuse_changed(path)
    except ValueError as error:
        return str(error)
    return ''


def describe_weights() -> str:
    """Write what is known in plain text.

    Returns:
        The published weights with their files and checksums, where they are looked for, and the
        formats that exports are made from.
    """
    lines = []
    for known in list_weights():
        lines.append(
            f'{known.name}  {known.model}, {known.epochs} epochs, {known.in_channels} bands'
        )
        if known.path is None:
            lines.append(f'  not here; looked for {", ".join(known.files)}')
        else:
            lines.append(f'  {known.path}\n  SHA-256 {known.sha256}')
        if known.changed:
            lines.append(f'  refused: {known.changed}')
    folders = ', '.join(map(str, weight_folders()))
    lines += ['', f'Folders: {folders} (GERSP_WEIGHTS_DIR names another)', '']
    lines.append('Formats that gersp-geo export and load_backbone read:')
    width = max(len(form.name) for form in FORMATS)
    lines += [f'  {form.name:<{width}}  {form.source}' for form in FORMATS]
    return '\n'.join(lines)
