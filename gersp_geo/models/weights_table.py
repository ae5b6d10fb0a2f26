"""Describe the weights that there are, those on this computer, and the formats that are read."""

from .checkpoint_files import sha256_of
from .downloads import FOLDER_VARIABLE, find_file, refuse_changed, weight_folders
from .layouts import FORMATS
from .weights import GeRSP_Weights


def describe_weights() -> str:
    """Write what is known in plain text.

    Returns:
        The published weights with their files and checksums, where they are looked for, and the
        formats that exports are made from.

    Raises:
        FileNotFoundError: If the environment variable GERSP_WEIGHTS_DIR names no folder.
    """
    lines = [
        line for member in GeRSP_Weights.__members__.values() for line in describe_member(member)
    ]
    folders = ', '.join(map(str, weight_folders()))
    lines += ['', f'Folders: {folders} ({FOLDER_VARIABLE} names another)', '']
    lines.append('Formats that gersp-geo export and load_backbone read:')
    width = max(len(form.name) for form in FORMATS)
    lines += [f'  {form.name:<{width}}  {form.source}' for form in FORMATS]
    return '\n'.join(lines)


def describe_member(member: GeRSP_Weights) -> list[str]:
    """Name a member of the enum, as every task takes it; its file, if it is here; and its fault.

    Args:
        member: Its file is looked for, but not loaded.

    Returns:
        Lines.
    """
    meta = member.meta
    title = f'{member}  {meta["model"]}, {meta["epochs"]} epochs, {meta["in_chans"]} bands'
    path = find_file(meta['files'])
    if path is None:
        return [title, f'  not here; looked for {", ".join(meta["files"])}']
    lines = [title, f'  {path}', f'  SHA-256 {sha256_of(path)}']
    try:
        refuse_changed(path)
    except ValueError as error:
        lines.append(f'  refused: {error}')
    return lines
