"""Open checkpoint files and folders without running code from them."""

import argparse
import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..preprocessing import Preprocessing
from ..provenance import configuration
from .nesting import find_tensors
from .size_limits import LARGEST_JSON, refuse_bomb, refuse_expanded, refuse_holes

# Keys of our record: top level of pickled checkpoints, metadata of safetensors (there as JSON),
# and the JSON file beside a state dict that has no room for anything else.
MODEL_KEY = 'model'
PREPROCESSING_KEY = 'gersp_geo'
PROVENANCE_KEY = 'gersp_geo_provenance'

# File names that timm and the Hugging Face hub use.
TIMM_CONFIG = 'config.json'
TIMM_WEIGHTS = 'model.safetensors'

# What Lightning writes into every checkpoint.
_LIGHTNING_KEY = 'pytorch-lightning_version'

# How torch names what it refuses to import.
_GLOBAL = re.compile(r'GLOBAL ([\w.]+)')

# Arguments of a program, which DINO, MAE and others save beside their weights. Making one runs
# nothing, and sets attributes to what else the file may hold.
_PLAIN: list[Any] = [argparse.Namespace]

# the protocol, which comes first
_PICKLE_START = b'\x80'


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file holds, before anything is made of its names."""

    tensors: Mapping[str, Tensor]
    """Every tensor under its own name."""

    model: str | None = None
    """The backbone that the file says it holds."""

    preprocessing: Preprocessing | None = None
    """How input is prepared, if the file says so."""

    provenance: dict[str, str] = field(default_factory=dict)
    """Where the tensors come from."""

    folder: bool = False
    """Whether it is a folder of timm's."""

    lightning: bool = False
    """Whether Lightning wrote it."""


def open_checkpoint(path: str | PathLike[str]) -> Content:
    """Read a checkpoint file, a safetensors file or a timm folder onto the CPU.

    Raises:
        FileNotFoundError: If *path*, or a file that its folder needs, does not exist.
        ValueError: If it is damaged, would run code on loading, or holds no tensors.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if path.is_dir():
        return _open_folder(path)
    opened = _open_safetensors if path.suffix == '.safetensors' else _open_pickle
    content = opened(path)
    if not content.tensors:
        raise ValueError(f'{path} holds no tensors')
    return content


def parse(loaded: Mapping[str, Any], *, source: str) -> Content:
    """Find tensors and records in what ``torch.load`` returned, or in a state dict.

    Args:
        loaded: A state dict, or a mapping with one where tools put it.
        source: Named in errors.

    Raises:
        ValueError: If our record in it is malformed.
    """
    arguments = loaded.get('hyper_parameters')
    arguments = arguments if isinstance(arguments, Mapping) else {}
    # a segmentation task calls its network 'model' and says under 'backbone' what we look for
    model = _name(arguments.get('backbone', arguments.get(MODEL_KEY)))
    return Content(
        tensors=find_tensors(loaded),
        # smp writes timm's names behind this prefix
        model=model.removeprefix('tu-') if model else None,
        preprocessing=_preprocessing(loaded.get(PREPROCESSING_KEY), source=source),
        provenance=_provenance(loaded.get(PROVENANCE_KEY), source=source),
        lightning=_LIGHTNING_KEY in loaded,
    )


def load_pickle(path: Path) -> Mapping[str, Any]:
    """Read the mapping that ``torch.save`` wrote, onto the CPU and without running code from it.

    Raises:
        ValueError: If it is damaged, of another kind, larger than it looks, or would run code on
            loading.
    """
    refuse_holes(path)
    archive = refuse_bomb(path)
    try:
        # mapped, an archive takes no memory but for what is used of it
        with torch.serialization.safe_globals(_PLAIN):
            loaded = torch.load(path, map_location='cpu', weights_only=True, mmap=archive)
    # what torch trips over in a damaged file depends on the byte that is wrong
    except (
        pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError,
        AttributeError, TypeError, AssertionError, SafetensorError,
    ) as error:  # fmt: skip
        # torch hands a file over that ends in .safetensors
        is_known = (
            archive or _first_byte(path) == _PICKLE_START or isinstance(error, SafetensorError)
        )
        reason = (
            _reason(error) if is_known else 'torch.save writes archives and pickles, it is none'
        )
        raise ValueError(f'{path} is no checkpoint that loads safely: {reason}') from error
    return _mapping(loaded, source=str(path))


def parse_preprocessing(record: object, *, source: str) -> Preprocessing:
    """Check and convert a record of preprocessing, as ``Preprocessing.to_dict`` returns it.

    Raises:
        ValueError: If it is no such record; names *source*.
    """
    try:
        return Preprocessing.from_dict(dict(_mapping(record, source='preprocessing')))
    except (ValueError, TypeError) as error:
        raise ValueError(f'{source}: {error}') from error


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open('rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()


def _open_pickle(path: Path) -> Content:
    """Read what ``torch.save`` wrote, with the record beside it."""
    loaded = load_pickle(path)
    content = parse(loaded, source=str(path))
    refuse_expanded(content.tensors, source=path)
    sidecar = path.with_name(f'{path.name}.json')
    if sidecar.is_file():
        return _with_record(content, _read_json(sidecar), path=sidecar, digest_of=path)
    fresh = {'file': path.name, 'sha256': sha256_of(path), **configuration(loaded)}
    return replace(content, provenance=content.provenance or fresh)


def _open_safetensors(path: Path) -> Content:
    """Read a safetensors file with the record in its metadata."""
    refuse_holes(path)
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            metadata = file.metadata() or {}
    except (SafetensorError, ValueError) as error:
        raise ValueError(f'{path} is not a safetensors file: {_reason(error)}') from error
    record: dict[str, Any] = {MODEL_KEY: metadata.get(MODEL_KEY)}
    for key in (PREPROCESSING_KEY, PROVENANCE_KEY):
        if key in metadata:
            record[key] = _parse_json(metadata[key], source=f'{path} (metadata {key})')
    return _with_record(Content(tensors=tensors), record, path=path, digest_of=path)


def _open_folder(path: Path) -> Content:
    """Read a folder as ``timm.models.push_to_hf_hub`` and our export write it."""
    for needed in (TIMM_CONFIG, TIMM_WEIGHTS):
        if not (path / needed).is_file():
            raise FileNotFoundError(f'{path} has no {needed}, which a timm folder needs')
    content = _open_safetensors(path / TIMM_WEIGHTS)
    config = _read_json(path / TIMM_CONFIG)
    return replace(content, model=_name(config.get('architecture')), folder=True)


def _with_record(
    content: Content, record: Mapping[str, Any], *, path: Path, digest_of: Path
) -> Content:
    """Add our record to tensors; a file without one is described by name and checksum."""
    fresh = {'file': digest_of.name, 'sha256': sha256_of(digest_of)}
    recorded = _provenance(record.get(PROVENANCE_KEY), source=str(path))
    return replace(
        content,
        model=_name(record.get(MODEL_KEY)),
        preprocessing=_preprocessing(record.get(PREPROCESSING_KEY), source=str(path)),
        provenance=recorded or fresh,
    )


def _name(model: object) -> str | None:
    """Take the name of a model only if it is one."""
    return model if isinstance(model, str) else None


def _preprocessing(record: object, *, source: str) -> Preprocessing | None:
    """Check and convert a record of preprocessing, if there is one."""
    return None if record is None else parse_preprocessing(record, source=source)


def _provenance(record: object, *, source: str) -> dict[str, str]:
    """Check a record of provenance."""
    if record is None:
        return {}
    fields = _mapping(record, source=f'{source}: {PROVENANCE_KEY}')
    if not all(isinstance(text, str) for text in (*fields, *fields.values())):
        raise ValueError(f'{source}: {PROVENANCE_KEY} must map text to text')
    return dict(fields)


def _mapping(value: object, *, source: str) -> Mapping[str, Any]:
    """Refuse anything but a mapping."""
    if isinstance(value, Mapping):
        return value
    raise ValueError(f'{source} must be a mapping, got {type(value).__name__}')


def _read_json(path: Path) -> Mapping[str, Any]:
    """Read a JSON object from a file."""
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f'{path} must have at most {LARGEST_JSON} bytes, got {size}')
    return _parse_json(path.read_bytes(), source=str(path))


def _parse_json(text: str | bytes, *, source: str) -> Mapping[str, Any]:
    """Read a JSON object."""
    try:
        parsed = json.loads(text)
    # RecursionError: brackets within brackets
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{source} is not JSON: {error}') from error
    return _mapping(parsed, source=source)


def _first_byte(path: Path) -> bytes:
    """Read how a file begins."""
    with path.open('rb') as stream:
        return stream.read(1)


def _reason(error: BaseException) -> str:
    """Say in one line what is wrong; torch surrounds it with advice to run the code."""
    if needed := _GLOBAL.search(str(error)):
        if needed[1].startswith('numpy.'):
            return (
                f'it holds arrays or numbers of NumPy ({needed[1]}), which torch takes from '
                'trusted files alone; save tensors (torch.from_numpy) and plain numbers'
            )
        return f'it needs {needed[1]}, which is not data; save the state_dict() alone'
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if 'weights_only' not in line]
    # such as 'Cannot use weights_only=True with files saved in the legacy .tar format'
    return (telling or [str(error).split('. ')[0] or type(error).__name__])[0]
