"""Bring the model of a plan into the form in which it runs."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..geoio.gdal import gdal_cache
from ..geoio.read import recall, remember
from .estimate import GDAL_CACHE
from .model.device import name_device
from .model.load import LoadedModel, evaluating
from .model.predictor import computing
from .model.runtimes.availability import versions
from .model.runtimes.choice import FEWEST_PATCHES, LOOKED_AT, Choice, Chooser, count_layers
from .model.runtimes.forms import Setting
from .model.runtimes.int8 import CALIBRATED, HELD_OUT, Rounding
from .model.runtimes.trials import Trial
from .options import RuntimeName
from .progress import waiting
from .scene.batches import PatchBatch, read_rows

if TYPE_CHECKING:
    from .plan import PredictionPlan

# batches of a scene that forms are tried on
_BATCHES = 2

# rows of patches that are looked through for observations, spread over the scene
_ROWS = 8

_CACHE = 'runtimes'


def choose_runtime(
    plan: 'PredictionPlan', *, key: str | None, progress: bool, tries: bool = True
) -> 'PredictionPlan':
    """Choose the form in which the model runs, and bring it into that.

    What an interrupted call or another shard has chosen stays, as the last bits depend on it. Of
    several scenes, what was chosen for one is known for the next.

    Args:
        plan: With the model as it is.
        key: Tells the model from all others; None where nothing does.
        progress: Whether to say what is being waited for.
        tries: Whether to time forms of which nothing is known.

    Returns:
        The plan, with the form and the choice.

    Raises:
        ValueError: If a form was asked for, or chosen before, that this machine cannot run.
        OSError: If the scene cannot be read.
    """
    with (
        waiting('the fastest runtime', shown=progress),
        gdal_cache(GDAL_CACHE),
        evaluating(plan.loaded.forward),
        computing(plan.device, plan.options.precision),
        torch_threads(plan.torch_threads),
    ):
        setting = Setting(
            device=plan.device, precision=plan.options.precision, size=plan.tiles.size,
            batch_size=plan.batch_size, threads=plan.torch_threads,
        )  # fmt: skip
        if plan.options.precision == 'int8':
            form, choice = _round(plan, setting)
            return replace(plan, loaded=form, output=plan.output.run_by(form), runtime=choice)
        chooser = Chooser(
            loaded=plan.loaded,
            setting=setting,
            batches=_sample(plan),
            forms=plan.output.forms,
            built=_built(plan, setting),
        )
        choice = _choose(plan, chooser, key=key, tries=tries)
    form = chooser.built[choice.name]
    return replace(plan, loaded=form, output=plan.output.run_by(form), runtime=choice)


def _round(plan: 'PredictionPlan', setting: Setting) -> tuple[LoadedModel, Choice]:
    """Round the model to int8, for this scene only, and choose what runs it."""
    asked, begun = plan.options.form, plan.runtime
    if begun is not None and asked not in ('auto', begun.name):
        # which the journal refuses
        begun = None
    rounding = Rounding(
        loaded=plan.loaded,
        setting=setting,
        patches=_spread(plan) if begun is None else [],
        forms=plan.output.forms,
    )
    return rounding.choose(
        None if asked == 'auto' else asked, begun=begun, timed=plan.shard is None
    )


def _choose(plan: 'PredictionPlan', chooser: Chooser, *, key: str | None, tries: bool) -> Choice:
    """Choose a form, which is then built."""
    asked, begun, patches = plan.options.form, plan.runtime, plan.costs.patches
    if begun is not None and asked in ('auto', begun.name):
        chooser.named(begun.name)
        return begun
    if asked == 'auto' and chooser.is_graph and plan.options.precision == 'bfloat16':
        # onnxruntime would compute in float32, and the map would say something else
        asked = 'openvino'
    if asked != 'auto':
        return chooser.named(asked)
    if _is_short(plan) or not chooser.batches:
        return chooser.as_it_is()
    if plan.shard is not None:
        return chooser.plain()
    address = None if key is None else _address(chooser, key)
    known = {} if address is None else _recall(address)
    choice = chooser.fastest(patches=patches, known=[*known.values()], tries=tries)
    found = {trial.name: trial for trial in choice.trials if trial.is_final}
    # of a job that was too short to be timed, nothing is known
    is_timed = any(trial.patch_seconds is not None for trial in found.values())
    if address is not None and is_timed and found.keys() - known.keys():
        trials = (known | found).values()
        remember(_CACHE, address, [asdict(trial) for trial in trials])
    return choice


def _is_short(plan: 'PredictionPlan') -> bool:
    """Say whether a job is not worth looking at one patch, or a part of it, in two forms."""
    looked_at = min(plan.tiles.size, LOOKED_AT) ** 2
    return plan.costs.pixels_forwarded < FEWEST_PATCHES * looked_at


def _built(plan: 'PredictionPlan', setting: Setting) -> dict[RuntimeName, LoadedModel]:
    """Find the forms that were made for the scene before; those of other settings are dropped."""
    forms = plan.loaded.forms
    if setting not in forms:
        forms.clear()
    return forms.setdefault(setting, {})


def _sample(plan: 'PredictionPlan') -> list[Tensor]:
    """Read some batches of the scene, from its middle first, and prepare them for the model."""
    asked = plan.options.form if plan.runtime is None else plan.runtime.name
    has_one_form = _is_short(plan) or not count_layers(plan.loaded)
    if asked == 'eager' or (asked == 'auto' and has_one_form):
        return []
    views = plan.views()
    # the next batch is written where this one lies
    found = [
        views.normalise(batch.pixels, batch.known).clone()
        for batch in islice(_read(plan), _BATCHES)
    ]
    # the fullest comes first: it is the one that is compared
    return sorted(found, key=len, reverse=True)


def _spread(plan: 'PredictionPlan') -> list[Tensor]:
    """Read patches from all over the scene, the same ones each time, and prepare them."""
    views, rows = plan.views(), len(plan.tiles.row_offs)
    count, chosen = CALIBRATED + HELD_OUT, min(rows, _ROWS)
    panel = plan.panels[len(plan.panels) // 2]
    step = max(1, len(panel.patches) * chosen // count)
    found: list[Tensor] = []
    for row in sorted({(2 * k + 1) * rows // (2 * chosen) for k in range(chosen)}):
        with suppress(OSError), closing(read_rows(plan, panel, range(row, row + 1))) as events:
            for batch in (event for event in events if isinstance(event, PatchBatch)):
                wanted = [k for k, col in enumerate(batch.cols) if (col + row) % step == 0]
                if wanted:
                    images = views.normalise(batch.pixels, batch.known)
                    found.extend(images[k].clone() for k in wanted)
    return found[:: max(1, len(found) // count)][:count]


def _read(plan: 'PredictionPlan') -> Iterator[PatchBatch]:
    """Read the first batch of some rows of patches."""
    panel, rows = plan.panels[len(plan.panels) // 2], len(plan.tiles.row_offs)
    places = [(2 * k + 1) * rows // 2**n for n in range(1, 5) for k in range(2 ** (n - 1))]
    for row in list(dict.fromkeys(places))[:_ROWS]:
        # what cannot be read is said when its turn comes, and what lies before it is done then
        with suppress(OSError), closing(read_rows(plan, panel, range(row, row + 1))) as events:
            yield from islice((e for e in events if isinstance(e, PatchBatch)), 1)


def _recall(address: str) -> dict[RuntimeName, Trial]:
    """Find the trials of earlier jobs."""
    choice = Choice.of('eager', recall(_CACHE, address))
    return {} if choice is None else {trial.name: trial for trial in choice.trials}


def _address(chooser: Chooser, key: str) -> str:
    """Name what decides how long which forms take: model, patches, machine and software."""
    setting, forms = chooser.setting, list(chooser.forms)
    return json.dumps([key, asdict(setting), forms, name_device(setting.device), versions()])


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use some threads within an operation of torch, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
