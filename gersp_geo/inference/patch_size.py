"""Turn patches of no given size into numbers, before a scene is cut."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from ..geoio.gdal import gdal_cache
from ..messages import one_line
from .estimate import GDAL_CACHE
from .model.load import LoadedModel, evaluating
from .model.onnx import OnnxGraph
from .model.predictor import PixelPredictor, check_scores, computing
from .model.receptive_field import COST, SIDE, Layers, measure_layers, measure_radius
from .options import MapOptions, PredictionOptions
from .outputs.maps import MapOutput
from .plan import PredictionPlan
from .progress import waiting
from .runtime import torch_threads
from .scene.batches import PatchBatch, read_rows
from .scene.patch_choice import OVERLAP, SIZE, Cut, choose_cut, list_sizes

type Make = Callable[[PredictionOptions], PredictionPlan]
"""From options with numbers to a plan."""

# of the pixels that a job forwards, those that measuring may forward
_SHARE = 0.05

# images on which the radius is measured, at most; their rows, from the middle of the scene
_IMAGES = 3
_PLACES = (1 / 2, 1 / 4, 3 / 4)

# patches of a row that are looked through for observations
_LOOKED_AT = 8

# letters of an error of a model that are shown
_LONGEST = 120

# Share of a patch that has to be observed: a model sees no side of what is 0, as beyond the side.
_LEAST_KNOWN = 0.5


def take_fixed_side(options: PredictionOptions, loaded: LoadedModel) -> PredictionOptions:
    """Give patches the one size that a graph takes, unless another is asked for."""
    sides = set(loaded.forward.shape[-2:]) if isinstance(loaded.forward, OnnxGraph) else set()
    side = sides.pop() if len(sides) == 1 else None
    return replace(options, size=side) if side and options.size == 'auto' else options


def settle_patches(options: PredictionOptions, make: Make) -> PredictionPlan:
    """Choose the size of patches and what they share, where that is left open, and plan for it.

    The same scene and model give the same numbers: nothing is timed. Where measuring would forward
    more than a twentieth of what the job does, patches are as large as ever.

    Args:
        options: What was asked for.
        make: Plans for numbers.

    Returns:
        The plan.

    Raises:
        ValueError: If no patch fits.
    """
    if not isinstance(options, MapOptions) or 'auto' not in (options.size, options.overlap):
        return make(options)
    asked = Cut(size=options.side, overlap=options.shared, margin=options.margin)
    usual = _costs(make, options, Cut(size=SIZE, overlap=OVERLAP))
    images = min(_IMAGES, int(_SHARE * usual // COST)) if usual < float('inf') else 0
    found = _measure(make, options, images=images) if images and not options.merge else None
    if found is None or isinstance(found, str):
        return replace(make(_with(options, asked)), reach=found)
    (layers, radius), plan = found, make(_with(options, asked))
    sizes = list_sizes(
        step=layers.step,
        pixel_bytes=layers.pixel_bytes,
        memory_bytes=options.memory_bytes,
        is_counted=plan.stored is not None or plan.area is not None,
    )
    cut = choose_cut(
        sizes if options.size == 'auto' else [options.size],
        radius,
        height=plan.tiles.height,
        width=plan.tiles.width,
        overlap=None if options.overlap == 'auto' else options.overlap,
        step=layers.step,
        margin=options.margin,
        forwarded=lambda each: _costs(make, options, each),
        usual_pixels=usual,
    )
    chosen = replace(make(_with(options, cut)), reach=cut.reason)
    return chosen if options.size != 'auto' or _takes_patches_of(chosen) else plan


def _with(options: MapOptions, cut: Cut) -> MapOptions:
    """Fill in the numbers of a cut."""
    return replace(
        options, size=cut.size, overlap=cut.overlap, step=cut.step,
        margin=0 if options.blend == 'crop' else cut.margin,
    )  # fmt: skip


def _costs(make: Make, options: MapOptions, cut: Cut) -> float:
    """Count the pixels that are forwarded, infinity where memory does not allow a cut."""
    try:
        return make(_with(options, cut)).costs.pixels_forwarded
    except ValueError:
        return float('inf')


def _measure(
    make: Make, options: MapOptions, *, images: int
) -> tuple[Layers, int | None] | str | None:
    """Measure a model on a scene; says why it does not take such images; None of an empty scene."""
    try:
        plan = make(_with(options, Cut(size=SIDE, overlap=0)))
        with (
            waiting('how far the model looks', shown=options.progress),
            gdal_cache(GDAL_CACHE),
            evaluating(plan.loaded.forward),
            computing(plan.device, options.precision),
            torch_threads(plan.torch_threads),
        ):
            small = torch.zeros((1, plan.loaded.in_channels, SIDE // 4, SIDE // 4))
            layers = measure_layers(plan.loaded, small.to(plan.device))
            if options.overlap != 'auto':
                return layers, None
            views = plan.views()
            found = [
                measure_radius(_scores(plan, image), image)
                for image in (views.normalise(*each).clone() for each in _sample(plan, images))
            ]
    # models that do not take images of every size raise anything
    except Exception as error:  # noqa: BLE001 - see above
        reason = (one_line(error) or type(error).__name__)[:_LONGEST]
        return f'how far the model looks cannot be measured: {reason}'
    if not found:
        return None
    far = [radius for radius in found if radius is not None]
    return layers, max(far) if len(far) == len(found) else None


def _takes_patches_of(plan: PredictionPlan) -> bool:
    """Say whether a model takes patches of a size: windows of attention, say, divide few of them."""
    side = plan.tiles.size
    if side in (SIDE // 4, SIZE):
        return True
    images = torch.zeros((1, plan.loaded.in_channels, side, side), device=plan.device)
    # models raise anything
    with (
        suppress(Exception),
        evaluating(plan.loaded.forward),
        computing(plan.device, plan.options.precision),
        torch_threads(plan.torch_threads),
    ):
        check_scores(plan.loaded.score(images), images)
        return True
    return False


def _scores(plan: PredictionPlan, image: Tensor) -> Callable[[Tensor], Tensor]:
    """Make scores of images that can be compared: probabilities, or values in deviations."""
    loaded = plan.loaded
    has_values = isinstance(plan.output, MapOutput) and plan.output.kind == 'values'
    activate = PixelPredictor(
        loaded.score, plan.views(), scores='values' if has_values else loaded.scores
    ).activate

    def score(images: Tensor) -> Tensor:
        return activate(check_scores(loaded.score(images), images).float())

    if not has_values:
        return score
    part = image[..., : SIDE // 4, : SIDE // 4]
    spread = score(part).std(dim=(0, 2, 3), keepdim=True)
    # what is the same everywhere differs by nothing
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    return lambda images: score(images) / spread


def _sample(plan: PredictionPlan, count: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Read patches here and there, of those in a row the first that is fullest, and where known."""
    panel, rows = plan.panels[len(plan.panels) // 2], len(plan.tiles.row_offs)
    for row in list(dict.fromkeys(int(place * rows) for place in _PLACES))[:count]:
        most = _LEAST_KNOWN
        best: tuple[Tensor, Tensor | None] | None = None
        with closing(read_rows(plan, panel, range(row, row + 1))) as events:
            batches = (event for event in events if isinstance(event, PatchBatch))
            for batch in islice(batches, _LOOKED_AT):
                known = None if batch.known is None else batch.known[:1]
                full = 1.0 if known is None else float(known.float().mean())
                if full > most:
                    best = batch.pixels[:1].clone(), None if known is None else known.clone()
                    most = full
                if full == 1:
                    break
        if best is not None:
            yield best
