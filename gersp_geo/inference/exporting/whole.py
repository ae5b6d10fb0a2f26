"""Write a whole fine-tuned model, backbone and head, as one file."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...geoio.write import check_absent, check_not_read, check_writable, new_file
from ...models.checkpoint_files import PREPROCESSING_KEY, PROVENANCE_KEY, load_pickle
from ...models.onnx_graph import USUAL_SIZE, import_onnx
from ...models.remote_files import is_elsewhere, obtain_file
from ...preprocessing import Preprocessing
from ...provenance import configuration, software
from ..model.detector import is_detector
from ..model.graph_form import FORM_KEY, GraphForm
from ..model.load import LoadedModel, evaluating, load_model
from ..model.object_graph import OBJECTS_KEY
from ..model.signature import SCORES_KEY, TASK_KEY
from ..model.task_bases import tasks_of
from ..scene.patch_choice import SIZE
from . import deepness, stac
from .class_names import name_classes
from .graph import check_kind, write_whole
from .objects import tell_facts, write_objects
from .report import ModelReport

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

_BACKBONES = '--format torchvision, timm, torchgeo, openmmlab or onnx for its backbone alone'

# tensors that a checkpoint of pre-training has, and no other
_PRE_TRAINING = 'backbone_momentum.'


def export_model(
    model: str | PathLike[str] | nn.Module,
    destination: str | PathLike[str],
    *,
    include_preprocessing: bool = False,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    task_class: 'str | type[LightningModule] | None' = None,
    overwrite: bool = False,
) -> ModelReport:
    """Write a whole fine-tuned model, backbone and head, as one ONNX graph (extra ``onnx``).

    ``predict_geotiff`` and ``classify_scene`` run the graph as they do the model. Batches are of
    any size, and so are rows and columns where the network allows that. The metadata hold the
    record with the names of classes, what scores mean, and where the model comes from.

    Without *include_preprocessing* the graph takes normalised images. With it, the graph takes
    values as stored (float32, NaN where there is none), scales and standardises them itself, and
    prediction does not do that again. If these are bytes, one date, and classes or values of
    pixels, the file follows the contract of the QGIS plugin Deepness: square patches of one size,
    values as stored divided by 255, and probabilities.

    A STAC item with the MLM extension is written beside it (extra ``stac``), ``NAME.stac.json``.
    Both appear only when they are complete. Before that, the graph is run on noise and compared
    with what prediction makes of it with the model; of a detector, all candidates are compared.

    Args:
        model: Lightning checkpoint of a task with a head, a file, ``hf-hub:ORG/NAME`` or a URL; or a
            module from images to scores.
        destination: The .onnx file to make.
        include_preprocessing: Put scaling and standardisation into the graph.
        preprocessing: Record, or JSON file of one; goes before that of the checkpoint.
        task_class: Class of the checkpoint's task, or its import path.
        overwrite: Replace existing files.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and *overwrite* is False.
        FileNotFoundError: If *model* does not exist.
        TypeError: If *model* is neither a path nor a module.
        ValueError: If *destination* does not end in .onnx or would replace the model, the model
            has no head, returns something else than scores, or cannot be written as a graph, or
            the extra ``onnx`` is not installed.
    """
    path = Path(destination)
    if path.suffix != '.onnx':
        raise ValueError(
            f'a whole model is written to .onnx, got {path.name}; pass such a file, or {_BACKBONES}'
        )
    item_path = path.with_suffix('.stac.json')
    source = model if isinstance(model, str | PathLike) else None
    check_not_read([path, item_path], read=[source])
    for file in (path, item_path):
        check_writable(file)
        check_absent(file, overwrite=overwrite)
    import_onnx()
    origin: dict[str, str] = {}
    if source is not None and is_elsewhere(source):
        remote = obtain_file(fspath(source), purpose='model')
        model, source, origin = remote.path, remote.path, remote.provenance
    provenance = _refuse_headless(Path(source)) if source is not None else {}
    loaded = load_model(model, preprocessing=preprocessing, task_class=task_class)
    if not isinstance(loaded.forward, nn.Module):
        raise TypeError(f'{loaded.name} is no module, and only modules are written as graphs')
    with evaluating(loaded.forward):
        return _write(
            loaded, path, item_path, provenance | origin, is_included=include_preprocessing,
            overwrite=overwrite,
        )  # fmt: skip


def _refuse_headless(path: Path) -> dict[str, str]:
    """Refuse what is no checkpoint of a task with a head.

    Returns:
        Where the model comes from.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if path.suffix == '.onnx':
        raise ValueError(f'{path} is a graph already; pass the checkpoint that it was made from')
    checkpoint: Mapping[str, Any] = {}
    if path.is_file() and path.suffix != '.safetensors':
        checkpoint = load_pickle(path)
    tensors = checkpoint.get('state_dict')
    is_task = isinstance(tensors, Mapping) and 'hyper_parameters' in checkpoint
    if not is_task or any(name.startswith(_PRE_TRAINING) for name in tensors or ()):
        what = 'is a checkpoint of pre-training' if is_task else 'holds weights of a backbone'
        raise ValueError(f'{path} {what}, which has no head to use; pass {_BACKBONES}')
    return configuration(checkpoint)


def _write(
    loaded: LoadedModel,
    path: Path,
    item_path: Path,
    provenance: Mapping[str, str],
    *,
    is_included: bool,
    overwrite: bool,
) -> ModelReport:
    """Write both files."""
    described, obstacle = _describe(loaded, path, provenance, is_included=is_included)
    metadata = _list_metadata(loaded, described, is_deepness=obstacle is None)
    missing = stac.find_missing()
    with ExitStack() as stack:
        graph = stack.enter_context(new_file(path, overwrite=overwrite))
        if _write_graph(loaded, described, graph, metadata, is_fixed=obstacle is None):
            described = replace(described, side=None)
        if missing is None:
            item = stac.make_item(described, path.name, size_bytes=graph.stat().st_size)
            file = stack.enter_context(new_file(item_path, overwrite=overwrite))
            file.write_text(json.dumps(item, indent=2, ensure_ascii=False), encoding='utf-8')
    if missing is not None:
        # one of an earlier graph of this name would describe another
        item_path.unlink(missing_ok=True)
    return ModelReport(
        path=path,
        source=loaded.name,
        described=described,
        without_deepness=obstacle,
        item=item_path if missing is None else None,
        without_item=missing,
    )


def _describe(
    loaded: LoadedModel, path: Path, provenance: Mapping[str, str], *, is_included: bool
) -> tuple[stac.Described, str | None]:
    """Decide what the graph is, and say why it is none for Deepness."""
    record, tasks = loaded.preprocessing, tasks_of(loaded.forward)
    side = int(record.size or USUAL_SIZE)
    has_objects = is_detector(loaded.forward)
    axes = 0 if has_objects else check_kind(loaded, side=side)
    obstacle = deepness.find_obstacle(
        record, scores=loaded.scores, dates=loaded.dates.count, axes=axes, is_included=is_included
    )
    side = int(record.size or SIZE) if obstacle is None else side
    # of objects: sides of their boxes
    channels = 4 if has_objects else _count(loaded, side=side)
    # what is known here goes before what a checkpoint says of itself
    made_from = {
        **provenance,
        'exported_by': ' '.join(f'{key} {value}' for key, value in software().items()),
        'file': loaded.name,
        **({} if loaded.sha256 is None else {'sha256': loaded.sha256}),
    }
    described = stac.Described(
        name=path.stem,
        architecture=_architecture(loaded),
        tasks=tasks or (type(loaded.forward).__name__,),
        record=record,
        form=_choose_form(loaded, channels, is_included=is_included, is_deepness=obstacle is None),
        scores=loaded.scores,
        dates=loaded.dates,
        side=side,
        channels=channels,
        axes=axes,
        names=name_classes(loaded, channels, has_objects=has_objects),
        parameters=sum(each.numel() for each in _module(loaded).parameters()),
        provenance=made_from,
    )
    return described, obstacle


def _list_metadata(
    loaded: LoadedModel, described: stac.Described, *, is_deepness: bool
) -> dict[str, str]:
    """List what the file says about itself."""
    record, tasks = described.record, tasks_of(loaded.forward)
    metadata = {
        PREPROCESSING_KEY: json.dumps(record.to_dict(), ensure_ascii=False),
        PROVENANCE_KEY: json.dumps(dict(described.provenance), ensure_ascii=False),
        FORM_KEY: json.dumps(described.form.to_dict()),
        SCORES_KEY: described.scores,
    }
    named = record.task_class or (f'torchgeo.tasks.{tasks[0]}' if tasks else None)
    if named is not None:
        metadata[TASK_KEY] = named
    if not described.axes:
        metadata[OBJECTS_KEY] = json.dumps(tell_facts(loaded).to_dict())
    if is_deepness and described.side is not None:
        metadata |= deepness.describe(
            record, scores=described.scores, channels=described.channels, side=described.side
        )
    return metadata


def _write_graph(
    loaded: LoadedModel,
    described: stac.Described,
    path: Path,
    metadata: Mapping[str, str],
    *,
    is_fixed: bool,
) -> bool:
    """Write the graph; says whether it takes patches of any size."""
    if not described.axes:
        write_objects(loaded, described.form, path, record=metadata)
        return True
    side = described.side or USUAL_SIZE
    return write_whole(loaded, described.form, path, side=side, is_fixed=is_fixed, record=metadata)


def _choose_form(
    loaded: LoadedModel, channels: int, *, is_included: bool, is_deepness: bool
) -> GraphForm:
    """Choose what the graph takes and returns."""
    if not is_included:
        return GraphForm()
    if 0 in loaded.preprocessing.scale:
        raise ValueError(
            f'preprocessing with a scale of 0, {loaded.preprocessing.scale}, is not put into a '
            'graph; leave --include-preprocessing out'
        )
    # a type of whole numbers has none that means that there is no value, so floats are taken
    form = GraphForm(factor=1.0, record=loaded.preprocessing)
    if not is_deepness:
        return form
    form = replace(form, factor=deepness.FACTOR)
    if loaded.scores == 'values':
        return form
    return replace(form, returned='sigmoid' if channels == 1 else 'softmax')


def _count(loaded: LoadedModel, *, side: int) -> int:
    """Count scores."""
    return int(loaded.score(torch.zeros(1, loaded.in_channels, side, side)).shape[1])


def _architecture(loaded: LoadedModel) -> str:
    """Name the network: that of the task, and its backbone."""
    hparams: Any = getattr(loaded.forward, 'hparams', {})
    names = [hparams.get('model')]
    if 'SemanticSegmentation' in tasks_of(loaded.forward) or 'backbone' in hparams:
        names.append(hparams.get('backbone') if names[0] != 'fcn' else None)
    known = [name for name in names if isinstance(name, str)]
    return ' '.join(known) or type(loaded.forward).__name__


def _module(loaded: LoadedModel) -> nn.Module:
    """Give what runs; only modules come here."""
    assert isinstance(loaded.forward, nn.Module)
    return loaded.forward
