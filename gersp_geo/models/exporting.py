"""Backbones as files that other tools load."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from safetensors.torch import save as serialize
from torch import Tensor

from ..geoio.write import check_local, new_file, new_folder
from ..provenance import software
from .architectures import Architecture, architecture
from .backbone_weights import BackboneWeights, tell_part
from .checkpoint_files import (
    MODEL_KEY,
    PREPROCESSING_KEY,
    PROVENANCE_KEY,
    TIMM_CONFIG,
    TIMM_WEIGHTS,
)
from .model_card import CARD, is_untouched, write_card
from .onnx_graph import write_graph
from .remote_files import tell_download
from .weight_sources import WeightsSource, refuse_source, resolve_weights

type ExportFormat = Literal['torchvision', 'timm', 'torchgeo', 'openmmlab', 'onnx']


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What :func:`export_backbone` wrote."""

    path: Path
    """The file or folder; a .pth file has its checksum in its name."""

    format: str
    """The format it is in."""

    source_format: str
    """The format it was read from."""

    model: str | None
    """timm's name of the backbone, if it is one of timm's."""

    tensors: int
    """Number of tensors."""

    part: str | None = None
    """'student' or 'teacher' where the source has both."""

    downloaded: str = ''
    """Where the source was downloaded from, in words; '' for one that was here."""

    left_out: tuple[str, ...] = ()
    """Modules of the source that belong to no backbone, such as the head of a fine-tuned model."""

    def __str__(self) -> str:
        """Sum up in one line."""
        model = self.model or 'a backbone of unknown architecture'
        taken = tell_part(self.source_format, self.part)
        return (
            f'{self.path}: {self.tensors} tensors of {model}, '
            f'{self.source_format}{taken}{"," if taken else ""} to {self.format} format'
            f'{self.downloaded}{self._tell_left_out()}'
        )

    def _tell_left_out(self) -> str:
        """Say what is not in the file."""
        if not self.left_out:
            return ''
        return f'; left out, as a backbone has none: {", ".join(self.left_out)}'


def export_backbone(
    source: WeightsSource,
    destination: str | PathLike[str],
    *,
    format: ExportFormat,
    teacher: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Write a backbone in a format that other tools load.

    ============ ============================= ==================================================
    format       destination                   loads in
    ============ ============================= ==================================================
    torchvision  .safetensors, or .pth, which  torchvision, timm, ``encoder.load_state_dict`` of
                 gets a checksum in its name   segmentation_models_pytorch
    timm         a folder                      ``timm.create_model('local-dir:DIR',
                                               pretrained=True)``; torchgeo tasks with
                                               ``model='local-dir:DIR', weights=True`` or
                                               ``backbone='tu-local-dir:DIR', weights=True``
    torchgeo     .ckpt                         torchgeo tasks with ``weights='FILE.ckpt'``
    openmmlab    .pth                          ``init_cfg=dict(type='Pretrained',
                                               checkpoint='FILE.pth', prefix='backbone.')``
    onnx         .onnx (extra ``onnx``)        onnxruntime and others: from normalised ``image``
                                               (B, C, H, W) to ``features`` (B, F)
    ============ ============================= ==================================================

    Each carries preprocessing and provenance: in the metadata of safetensors and ONNX, under the
    keys ``gersp_geo`` and ``gersp_geo_provenance`` of .ckpt and OpenMMLab's .pth, and in
    ``FILE.pth.json`` beside a flat .pth. A timm folder has a model card, ``README.md``, too, whose
    licence is left to whoever publishes it. The output appears only when it is complete.

    Args:
        source: Path to any known format, weights enum member, its name, or a state dict.
        destination: The file or folder to make.
        format: One of the table.
        teacher: Export the teacher instead of the student.
        overwrite: Replace an existing destination; of folders, only those that this function made.

    Returns:
        What was written, and where.

    Raises:
        FileNotFoundError: If *source* does not exist.
        FileExistsError: If the output exists and *overwrite* is False.
        ValueError: If *source* is of no known format, *format* is unknown, *destination* has the
            wrong suffix or is the source itself, or the format needs an architecture that is
            unknown or an extra that is not installed.
    """
    if format not in _WRITERS:
        raise ValueError(f'format must be one of {", ".join(_WRITERS)}, got {format!r}')
    writer, destination = _WRITERS[format], Path(destination)
    if destination.suffix not in writer.suffixes and writer.suffixes:
        raise ValueError(
            f'{format} is written to {" or ".join(writer.suffixes)}, got {destination.name}'
        )
    if not writer.suffixes and destination.suffix in _FILE_SUFFIXES:
        raise ValueError(f'{format} is written to a folder, got {destination.name}')
    check_local(destination)
    refuse_source(source, destination)
    weights = resolve_weights(source, teacher=teacher)
    if writer.needs_model and weights.model is None:
        raise ValueError(
            f'{format} needs to know the architecture, which the source does not say and its '
            'tensors do not tell; export as torchvision or openmmlab'
        )
    path = writer.write(weights, destination, overwrite)
    return ExportReport(
        path=path,
        format=format,
        source_format=weights.format,
        model=weights.model,
        tensors=len(weights.state_dict),
        part=weights.provenance.get('part'),
        downloaded=tell_download(weights.provenance),
        left_out=weights.left_out,
    )


def _record(weights: BackboneWeights) -> dict[str, Any]:
    """Describe weights in plain dictionaries and lists."""
    record: dict[str, Any] = {
        PROVENANCE_KEY: {
            'exported_by': ' '.join(f'{key} {value}' for key, value in software().items()),
            **weights.provenance,
        }
    }
    if weights.model is not None:
        record[MODEL_KEY] = weights.model
    if weights.preprocessing is not None:
        record[PREPROCESSING_KEY] = weights.preprocessing.to_dict()
    return record


def _tensors(weights: BackboneWeights, prefix: str = '') -> dict[str, Tensor]:
    """Copy the tensors, so that none shares memory with another or is a slice of a larger one."""
    return {
        f'{prefix}{name}': tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.state_dict.items()
    }


def _text_record(weights: BackboneWeights) -> dict[str, str]:
    """Describe weights for metadata that hold text only."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in _record(weights).items()
    }


def _save_safetensors(weights: BackboneWeights, path: Path) -> None:
    """Write a safetensors file with the record in its metadata."""
    # transformers refuses files that do not say which framework wrote them
    content = serialize(_tensors(weights), metadata={'format': 'pt', **_text_record(weights)})
    path.write_bytes(content)  # not save_file, whose files nobody else may read


def _write_torchvision(weights: BackboneWeights, destination: Path, overwrite: bool) -> Path:
    """Write a flat state dict."""
    if destination.suffix == '.safetensors':
        with new_file(destination, overwrite=overwrite) as temporary:
            _save_safetensors(weights, temporary)
        return destination
    buffer = io.BytesIO()
    torch.save(_tensors(weights), buffer)
    # torch hub checks a download against the digits after the last hyphen of its name
    digits = sha256(buffer.getvalue()).hexdigest()[:8]
    final = destination.with_name(f'{destination.stem}-{digits}{destination.suffix}')
    with new_file(final, overwrite=overwrite) as temporary:
        temporary.write_bytes(buffer.getvalue())
        # published with the file, under its final name
        temporary.with_name(f'{temporary.name}.json').write_text(
            json.dumps(_record(weights), indent=2), encoding='utf-8'
        )
    return final


def _write_timm(weights: BackboneWeights, destination: Path, overwrite: bool) -> Path:
    """Write a folder as on the Hugging Face hub, ready to be uploaded."""
    with _folder(destination, overwrite=overwrite) as temporary:
        _save_safetensors(weights, temporary / TIMM_WEIGHTS)
        config = json.dumps(_timm_config(weights), indent=2)
        (temporary / TIMM_CONFIG).write_text(config, encoding='utf-8')
        write_card(weights, temporary / CARD, name=destination.name)
    return destination


def _timm_config(weights: BackboneWeights) -> dict[str, Any]:
    """Describe weights as timm does."""
    known = _known_architecture(weights)
    prepared = weights.preprocessing
    size = (prepared.size if prepared else None) or 224
    config: dict[str, Any] = {
        'tag': 'gersp',
        'custom_load': False,
        'input_size': [weights.in_channels, size, size],
        'fixed_input_size': False,
        'interpolation': 'bilinear',
        'crop_pct': 1.0,
        'num_classes': 0,
        'first_conv': known.stem.removesuffix('.weight'),
        'classifier': known.heads[0] if len(known.heads) == 1 else list(known.heads),
    }
    if prepared is not None:
        config |= {'mean': list(prepared.mean), 'std': list(prepared.std)}
    return {
        'architecture': weights.model,
        'num_classes': 0,
        'num_features': known.num_features,
        'pretrained_cfg': config,
    }


def _known_architecture(weights: BackboneWeights) -> Architecture:
    """Look up the architecture that weights were found to have."""
    known = architecture(weights.model or '')
    if known is None:
        raise ValueError(f'timm has no model {weights.model}')
    return known


def _write_torchgeo(weights: BackboneWeights, destination: Path, overwrite: bool) -> Path:
    """Write what torchgeo's tasks take for a checkpoint of one of them."""
    record = _record(weights)
    checkpoint = {
        'hyper_parameters': {'model': record.pop(MODEL_KEY)},
        'state_dict': _tensors(weights, 'model.'),
    }
    return _save(checkpoint | record, destination, overwrite=overwrite)


def _write_openmmlab(weights: BackboneWeights, destination: Path, overwrite: bool) -> Path:
    """Write a checkpoint of OpenMMLab."""
    checkpoint = {'meta': {}, 'state_dict': _tensors(weights, 'backbone.')}
    return _save(checkpoint | _record(weights), destination, overwrite=overwrite)


def _write_onnx(weights: BackboneWeights, destination: Path, overwrite: bool) -> Path:
    """Write a graph from normalised images to pooled features."""
    with new_file(destination, overwrite=overwrite) as temporary:
        write_graph(weights, temporary, record=_text_record(weights))
    return destination


def _save(checkpoint: Mapping[str, Any], destination: Path, *, overwrite: bool) -> Path:
    """Write a pickled checkpoint."""
    with new_file(destination, overwrite=overwrite) as temporary:
        torch.save(dict(checkpoint), temporary)
    return destination


@contextmanager
def _folder(destination: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder that becomes *destination*, if need be in place of an older export."""
    if not (overwrite and destination.is_dir() and any(destination.iterdir())):
        with new_folder(destination) as temporary:
            yield temporary
        return
    strangers = {path.name for path in destination.iterdir()} - {TIMM_CONFIG, TIMM_WEIGHTS, CARD}
    if strangers:
        raise FileExistsError(
            f'{destination} holds {min(strangers)}, which no export wrote; pass another folder'
        )
    card = destination / CARD
    if card.exists() and not is_untouched(card):
        raise FileExistsError(
            f'{card} was edited since it was written, and would be replaced; move it away, or pass '
            'another folder'
        )
    with TemporaryDirectory(dir=destination.parent, prefix=f'.{destination.name}.') as holding:
        fresh, old = Path(holding) / 'fresh', Path(holding) / 'old'
        fresh.mkdir()
        yield fresh
        destination.replace(old)
        try:
            fresh.replace(destination)
        except OSError:
            old.replace(destination)
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """How one format is written."""

    write: Callable[[BackboneWeights, Path, bool], Path]
    """Takes weights, destination and whether it may be replaced; returns the final path."""

    suffixes: tuple[str, ...]
    """Suffixes of the file; none for a folder."""

    needs_model: bool = False
    """Whether the format states the architecture."""


_WRITERS = {
    'torchvision': _Writer(write=_write_torchvision, suffixes=('.safetensors', '.pth')),
    'timm': _Writer(write=_write_timm, suffixes=(), needs_model=True),
    'torchgeo': _Writer(write=_write_torchgeo, suffixes=('.ckpt',), needs_model=True),
    'openmmlab': _Writer(write=_write_openmmlab, suffixes=('.pth',)),
    'onnx': _Writer(write=_write_onnx, suffixes=('.onnx',), needs_model=True),
}
_FILE_SUFFIXES = {suffix for writer in _WRITERS.values() for suffix in writer.suffixes}
