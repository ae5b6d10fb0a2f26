"""Round the weights and values of a model to 8 bits, for ranges found on patches of a scene."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....messages import one_line
from ...options import RuntimeName
from ..load import LoadedModel
from ..onnx import OnnxGraph
from .availability import find_obstacle
from .choice import Choice
from .forms import Setting, UnbuildableFormError, build, quiet
from .openvino import OpenVinoGraph
from .trials import Trial, time_patches

# Patches that ranges are found on, and those that the rounded model is compared on.
CALIBRATED, HELD_OUT = 32, 8

# Share of pixels with the same class, or R2, below which the result is another one.
LEAST = 0.9

# the faster one first, for shards, which are not timed: each would decide for itself
_FORMS: tuple[RuntimeName, ...] = ('openvino', 'onnx')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """Rounds one model on patches of a scene."""

    loaded: LoadedModel
    """The model as it is, on the CPU, in evaluation mode, without gradients."""

    setting: Setting
    """How it is to run."""

    patches: Sequence[Tensor]
    """Of the scene, (C, H, W) each, normalised, spread over it."""

    forms: Sequence[RuntimeName]
    """Forms that what is made of the scene can do with."""

    def choose(
        self, asked: RuntimeName | None, *, begun: Choice | None, timed: bool
    ) -> tuple[LoadedModel, Choice]:
        """Round the model, and choose what runs it.

        Args:
            asked: The runtime; None for the faster of those that are there.
            begun: What was chosen when the job began: its ranges make the same graph anywhere.
            timed: Whether to choose by time; else the one that is faster as a rule.

        Returns:
            The rounded model and the choice.

        Raises:
            ValueError: If it cannot be rounded, or is another model then.
        """
        asked = asked if begun is None else begun.name
        found = {name: self._obstacle(name) for name in _FORMS if asked in (None, name)}
        able = [name for name, obstacle in found.items() if obstacle is None]
        if not able:
            name, obstacle = next(iter(found.items()))
            raise ValueError(f'runtime {name!r} {obstacle}')
        stored = None if begun is None else next((t.ranges for t in begun.trials if t.ranges), None)
        if stored is None and not self.patches:
            raise ValueError(
                'precision int8 is made on patches of the scene, and no observation was found in '
                'it; pass precision float32'
            )
        started = perf_counter()
        graph, ranges = self._round(stored)
        seconds = perf_counter() - started
        if begun is not None and stored is not None:
            return self._form(begun.name, graph), begun
        tried = [
            self._try(name, graph, timed=timed and len(able) > 1)
            for name in (able if timed else able[:1])
        ]
        good = [pair for pair in tried if pair[1].reason is None]
        if not good:
            raise ValueError(f'precision int8 {tried[0][1].reason}; pass precision float32')
        form, best = min(good, key=lambda pair: pair[1].patch_seconds or 0.0)
        best = replace(best, ranges=ranges, building_seconds=seconds if timed else None)
        others = [trial for _, trial in tried if trial.name != best.name]
        return form, Choice(name=best.name, trials=(best, *others))

    def _obstacle(self, name: RuntimeName) -> str | None:
        """Say why the rounded model cannot be run so."""
        if name not in self.forms:
            return 'is not for this kind of model, which int8 needs; pass precision float32'
        return find_obstacle(name, self.loaded, device=self.setting.device, precision='int8')

    def _round(self, ranges: str | None) -> tuple[OnnxGraph, str]:
        """Make the rounded graph, and say for which ranges."""
        plain = replace(self.setting, precision='float32')
        try:
            graph: Any = build('onnx', self.loaded, plain).forward
        except UnbuildableFormError as error:
            raise ValueError(
                f'precision int8 cannot be made of this model: {error}; pass precision float32'
            ) from error
        fed: list[NDArray[np.generic]] = []
        for patch in self.part(held_out=False) if ranges is None else ():
            graph.run_by(_keeping(fed), self.loaded.arrange(patch[None]))
        try:
            with quiet():
                content, ranges = quantise(graph, fed, ranges=ranges)
        # what rounds raises anything
        except Exception as error:
            reason = one_line(error) or type(error).__name__
            raise ValueError(
                f'precision int8 cannot be made of this model: {reason}; pass precision float32'
            ) from error
        name = Path(self.loaded.name)
        rounded = OnnxGraph(name, content=content, threads=self.setting.threads, form=graph.form)
        return rounded, ranges

    def _form(self, name: RuntimeName, graph: OnnxGraph) -> LoadedModel:
        """Give the rounded graph to what runs it."""
        forward: Any = graph
        if name == 'openvino':
            forward = OpenVinoGraph(graph, precision='int8', threads=self.setting.threads)
        return replace(self.loaded, forward=forward, is_channels_last=False)

    def _try(
        self, name: RuntimeName, graph: OnnxGraph, *, timed: bool
    ) -> tuple[LoadedModel, Trial]:
        """Compare and time what runs the rounded graph."""
        form = self._form(name, graph)
        share, text = self._agreement(form)
        trial = Trial(name=name, agreement=text)
        if not share >= LEAST:
            return form, replace(trial, reason=f'{text}, and at least {LEAST:.0%} is asked for')
        if timed:
            few = self.patches[: self.setting.batch_size]
            batches = [torch.stack([*few])] * 3
            seconds = time_patches(form.score, batches, device=self.setting.device)
            trial = replace(trial, patch_seconds=seconds)
        return form, trial

    def _agreement(self, form: LoadedModel) -> tuple[float, str]:
        """Compare with the model as it is on patches that ranges were not found on."""
        held_out = self.part(held_out=True)
        pairs = [
            (self.loaded.score(patch[None]).float(), form.score(patch[None]).float())
            for patch in held_out
        ]
        wanted, found = (torch.cat(each) for each in zip(*pairs, strict=True))
        kind = 'held-out ' if len(self.patches) > 1 else ''
        patches = f'{len(held_out)} {kind}patch{"" if len(held_out) == 1 else "es"}'
        gap = (wanted - found).abs()
        differences = f'scores differ by {gap.mean():.2g} on average, {gap.max():.2g} at most'
        if self.loaded.scores == 'values':
            spread = (wanted - wanted.mean()).square().mean().clamp_min(1e-30)
            share = 1 - float((wanted - found).square().mean() / spread)
            return share, f'agrees with float32 to R2 {share:.4f} in {patches}; {differences}'
        share = float(
            (_classes(self.loaded, wanted) == _classes(self.loaded, found)).float().mean()
        )
        what = 'pixels of ' if wanted.ndim == 4 else ''
        return (
            share,
            f'agrees with float32 in {100 * share:.2f} % of {what}{patches}; {differences}',
        )

    def part(self, *, held_out: bool) -> list[Tensor]:
        """Take one part of the patches; of a single one, that one for both."""
        every = 1 + CALIBRATED // HELD_OUT
        last = len(self.patches) - 1
        chosen = [
            patch
            for number, patch in enumerate(self.patches)
            # the last one where there are few
            if (number % every == every - 1 or (last < every and number == last)) == held_out
        ]
        return chosen or list(self.patches)


def quantise(
    graph: OnnxGraph, fed: Sequence[NDArray[np.generic]], *, ranges: str | None
) -> tuple[bytes, str]:
    """Round a graph: weights per channel, values to unsigned 8 bits.

    Args:
        graph: In floats.
        fed: Batches as it takes them, on which ranges are found unless they are given.
        ranges: As returned before.

    Returns:
        The rounded graph, and the ranges of its values as JSON. Both are the same for the same
        graph and ranges.

    Raises:
        ValueError: If the installed onnxruntime cannot keep ranges.
        Exception: Anything, if the graph cannot be rounded.
    """
    rounding = import_module('onnxruntime.quantization')
    preparing = import_module('onnxruntime.quantization.shape_inference')
    if 'calibration_cache_path' not in inspect.signature(rounding.quantize_static).parameters:
        raise ValueError("int8 needs a newer onnxruntime: pip install -U 'onnxruntime>=1.32'")
    with TemporaryDirectory(prefix='gersp-geo-') as folder:
        plain, ready, rounded = (Path(folder, f'{name}.onnx') for name in ('a', 'b', 'c'))
        cache = Path(folder, 'ranges.json')
        # what is given as a file stays as it is
        if graph.content is not None:
            plain.write_bytes(graph.content)
        preparing.quant_pre_process(
            str(graph.path if graph.content is None else plain), str(ready),
            skip_symbolic_shape=True,
        )  # fmt: skip
        if ranges is not None:
            cache.write_text(ranges, encoding='utf-8')
        rounding.quantize_static(
            str(ready), str(rounded), None if ranges else _Reader(graph.input_name, fed),
            per_channel=True, activation_type=rounding.QuantType.QUInt8,
            weight_type=rounding.QuantType.QInt8, calibration_cache_path=str(cache),
        )  # fmt: skip
        return rounded.read_bytes(), cache.read_text(encoding='utf-8')


class _Reader:
    """Hands batches out in the way that onnxruntime asks for them."""

    def __init__(self, name: str, fed: Iterable[NDArray[np.generic]]) -> None:
        """Take the name of the input and the batches."""
        self._left = ({name: values} for values in fed)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """Give the next batch; None after the last."""
        return next(self._left, None)

    def __iter__(self) -> Iterator[dict[str, NDArray[np.generic]]]:
        """Give all of them."""
        return self._left


def _keeping(fed: list[NDArray[np.generic]]) -> Any:
    """Make what keeps batches instead of running them."""

    def keep(values: NDArray[np.generic]) -> NDArray[np.generic]:
        fed.append(values)
        return values

    return keep


def _classes(loaded: LoadedModel, scores: Tensor) -> Tensor:
    """Say what scores mean: labels, or the best class; one score per pixel is that of a label."""
    return scores > 0 if loaded.scores == 'labels' or scores.shape[1] == 1 else scores.argmax(1)
