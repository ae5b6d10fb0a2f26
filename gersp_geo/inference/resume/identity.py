"""What tells one prediction from another."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ... import __version__
from ...geoio.read import list_files
from ...geoio.storage import look_up, object_read
from ..model.device import name_device
from ..plan import PredictionPlan
from ..stored_results import goes_to_store


def identify(plan: PredictionPlan) -> dict[str, Any]:
    """Say in plain values for JSON what decides a result, but for the last bits.

    These are the files of the scenes by size and time of change, the model by its checksum (a
    function by its name alone), its record, and every option that matters.
    """
    loaded = plan.loaded
    # these may stand in files that are not looked at otherwise
    place = {'georeference': plan.georeference.to_record()} if plan.georeference else {}
    return {
        'source': plan.source,
        'source_files': [_stamp(path) for path in list_files(plan.source)],
        'after': _later(plan),
        'model': loaded.name,
        'model_sha256': loaded.sha256 or _digest(loaded.forward),
        'preprocessing': loaded.preprocessing.to_dict(),
        'size': plan.tiles.size,
        'overlap': plan.tiles.overlap,
        # only where it is not 1, as above
        **({} if plan.options.step == 1 else {'step': plan.options.step}),
        'averaging': plan.options.averaging,
        'bands': list(plan.bands),
        'nodata': None if plan.nodata is None else repr(plan.nodata),
        # only where it is given, so that what was made without it is known again
        **({} if plan.options.observed == 'auto' else {'observed': plan.options.observed}),
        'crs': None if plan.options.crs is None else str(plan.options.crs),
        'res': plan.options.res,
        'area_sha256': plan.area_sha256,
        'precision': plan.options.precision,
        **place,
        **plan.output.identity,
    }


def _later(plan: PredictionPlan) -> dict[str, Any] | None:
    """Say what is compared with the scene, and which of its values."""
    after = plan.after
    if after is None:
        return None
    return {
        'file': after.path,
        'files': [_stamp(path) for path in list_files(after.path)],
        'bands': list(after.bands),
        'nodata': None if after.nodata is None else repr(after.nodata),
    }


def running(plan: PredictionPlan) -> dict[str, Any]:
    """Say what decides the last bits, and how a scene is cut into parts, as plain values."""
    return {
        # of GPUs, which one: two models of them differ in last bits
        'device': 'cpu' if plan.device == 'cpu' else name_device(plan.device),
        'batch_size': plan.batch_size,
        'torch_threads': plan.torch_threads,
        'runtime': None if plan.runtime is None else plan.runtime.name,
        # those of values that are rounded to int8
        'ranges': []
        if plan.runtime is None
        else [t.ranges for t in plan.runtime.trials if t.ranges],
        'software': {'gersp_geo': __version__, **_software(plan)},
        **_objects_read(plan),
        **layout_of_parts(plan),
    }


def trials_of(plan: PredictionPlan) -> dict[str, Any]:
    """Say what became of the forms of a model, for whoever goes on, as plain values."""
    return {'runtime_trials': [asdict(t) for t in plan.runtime.trials] if plan.runtime else []}


def _software(plan: PredictionPlan) -> dict[str, str]:
    """List the packages whose versions decide the last bits."""
    by_form = {'onnx': 'onnxruntime', 'openvino': 'openvino'}
    rounding = ['onnxruntime'] if plan.options.precision == 'int8' else []
    names = ['torch', *rounding, by_form.get(plan.runtime.name if plan.runtime else '', 'torch')]
    return {name: version(name) for name in names}


def layout_of_parts(plan: PredictionPlan) -> dict[str, Any]:
    """Say how a scene is cut into parts, and what of it they hold, as plain values."""
    return {
        # also where it is not given: parts of older versions had another rule
        'observed': plan.options.observed,
        'panels': [[panel.col_off, panel.col_stop] for panel in plan.panels],
        'rows_per_part': plan.rows_per_part,
    }


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Shorten an identity to 16 hexadecimal digits."""
    text = json.dumps(dict(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def object_fingerprint(plan: PredictionPlan, identity: Mapping[str, Any]) -> str:
    """Shorten an identity, and what is known of scenes in stores, for the metadata of an object."""
    return fingerprint({**identity, **_objects_read(plan)})


def _objects_read(plan: PredictionPlan) -> dict[str, Any]:
    """Say what changes with the content of scenes in stores, where results go to stores too.

    From other stores, GDAL may be all that can read. It is no part of the identity: a map is the
    same wherever it is written.
    """
    if not goes_to_store(plan.output.files, plan.options.work):
        return {}
    scenes = [plan.source] if plan.after is None else [plan.source, plan.after.path]
    names = {object_read(file) for scene in scenes for file in list_files(scene)} - {None}
    found: dict[str, Any] = {}
    for name in sorted(map(str, names)):
        with suppress(OSError):
            stored = look_up(name)
            found |= {} if stored is None else {name: [stored.size, stored.e_tag]}
    return {'objects_read': found} if found else {}


def _stamp(path: str) -> list[object]:
    """Name a file, with size and time of change where it is local."""
    try:
        status = Path(path).stat()
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def _digest(forward: object) -> str | None:
    """Compute a checksum of the weights of a module; None for any other function."""
    if not isinstance(forward, nn.Module):
        return None
    digest = hashlib.sha256(repr(forward).encode())
    for name, tensor in forward.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        plain = tensor.detach().cpu().contiguous().flatten()
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
