"""Describe the weights that there are, those on this computer, and the formats that are read."""

from dataclasses import dataclass
from pathlib import Path

from .checkpoint_files import sha256_of
from .downloads import FOLDER_VARIABLE, find_file, refuse_changed, weight_folders
from .layouts import FORMATS
from .weights import GeRSP_Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedWeights:
    """What is known of a member of the enum."""

    name: str
    """As every task takes it."""

    model: str
    """timm's name of the network."""

    epochs: int
    """Of pre-training."""

    in_chans: int
    """Bands."""

    files: tuple[str, ...]
    """Names that are looked for."""

    path: Path | None
    """The file; None if it is not here."""

    sha256: str | None
    """Its checksum."""

    refused: str | None
    """Why it is not loaded."""

    @property
    def lines(self) -> list[str]:
        """Lay it out for a terminal."""
        title = f'{self.name}  {self.model}, {self.epochs} epochs, {self.in_chans} bands'
        if self.path is None:
            return [title, f'  not here; looked for {", ".join(self.files)}']
        lines = [title, f'  {self.path}', f'  SHA-256 {self.sha256}']
        return lines if self.refused is None else [*lines, f'  refused: {self.refused}']


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsTable:
    """The published weights, where they are looked for, and what else is read."""

    weights: tuple[DescribedWeights, ...]
    """Every member of the enum."""

    folders: tuple[Path, ...]
    """Where files are looked for."""

    formats: dict[str, str]
    """What ``export`` and ``load_backbone`` read: name to source."""

    def __str__(self) -> str:
        """Lay it out for a terminal."""
        lines = [line for each in self.weights for line in each.lines]
        folders = ', '.join(map(str, self.folders))
        lines += ['', f'Folders: {folders} ({FOLDER_VARIABLE} names another)', '']
        lines.append('Formats that gersp-geo export and load_backbone read:')
        width = max(map(len, self.formats))
        lines += [f'  {name:<{width}}  {source}' for name, source in self.formats.items()]
        return '\n'.join(lines)


def describe_weights() -> WeightsTable:
    """Gather what is known.

    Raises:
        FileNotFoundError: If the environment variable GERSP_WEIGHTS_DIR names no folder.
    """
    return WeightsTable(
        weights=tuple(map(describe_member, GeRSP_Weights.__members__.values())),
        folders=tuple(weight_folders()),
        formats={form.name: form.source for form in FORMATS},
    )


def describe_member(member: GeRSP_Weights) -> DescribedWeights:
    """Describe a member of the enum, its file, if it is here, and its fault.

    Args:
        member: Its file is looked for, but not loaded.
    """
    meta = member.meta
    path, refused = find_file(meta['files']), None
    if path is not None:
        try:
            refuse_changed(path)
        except ValueError as error:
            refused = str(error)
    return DescribedWeights(
        name=str(member),
        model=meta['model'],
        epochs=meta['epochs'],
        in_chans=meta['in_chans'],
        files=tuple(meta['files']),
        path=path,
        sha256=None if path is None else sha256_of(path),
        refused=refused,
    )
