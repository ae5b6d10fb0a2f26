"""Choose the form in which a model runs: the fastest of those that return the same."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Self

from torch import OutOfMemoryError, Tensor, nn

from ....messages import one_line
from ...options import RuntimeName
from ..load import LoadedModel
from ..onnx import OnnxGraph
from .availability import FORMS, find_obstacle
from .forms import Setting, UnbuildableFormError, build
from .trials import TOLERANCE, Trial, compare, time_patches

# Of the expected time of a job, what finding the fastest form may take.
BUDGET = 0.05

# Patches from which on looking at one of them in two forms is worth it.
FEWEST_PATCHES = 8

# Side of a patch that is enough to see whether a form without a size of its own returns the same.
LOOKED_AT = 512

# Seconds to build a form per layer with weights, measured on two slow cores; the cheapest first.
_LAYER_SECONDS: dict[RuntimeName, float] = {
    'channels-last': 0.002, 'openvino': 0.1, 'onnx': 0.15, 'compiled': 0.8,
}  # fmt: skip
_BY_COST = tuple(_LAYER_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The form in which a model runs, and what it was chosen from."""

    name: RuntimeName
    """The form."""

    trials: tuple[Trial, ...] = ()
    """What became of the forms that were looked at; empty if none was."""

    @classmethod
    def of(cls, name: object, trials: object) -> Self | None:
        """Read a choice from plain values; None if it is none."""
        if name not in FORMS or not isinstance(trials, list):
            return None
        with suppress(TypeError, ValueError, KeyError):
            return cls(name=name, trials=tuple(Trial.of(trial) for trial in trials))
        return None

    def __str__(self) -> str:
        """Say it in one line."""
        chosen = next((trial for trial in self.trials if trial.name == self.name), self.name)
        others = [str(trial) for trial in self.trials if trial.name != self.name]
        return '; '.join([str(chosen), *others])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Tries the forms of one model on patches of a scene."""

    loaded: LoadedModel
    """The model as it is, in evaluation mode, without gradients."""

    setting: Setting
    """How it is to run."""

    batches: Sequence[Tensor]
    """Images of the scene, (B, C, H, W), which are timed; none of an empty scene."""

    forms: Sequence[RuntimeName] = FORMS
    """Forms that what is made of the scene can do with."""

    built: dict[RuntimeName, LoadedModel] = field(default_factory=dict)
    """Forms that are made."""

    def as_it_is(self) -> Choice:
        """Leave the model as it is."""
        return Choice(name=self._as_it_is, trials=(self._check(self._as_it_is),))

    def named(self, name: RuntimeName) -> Choice:
        """Bring the model into a form that was asked for.

        Raises:
            ValueError: If this machine cannot run it, or it does not return the same.
        """
        trial = self._obstacle(name) or self._check(name)
        if trial.reason is not None:
            raise ValueError(f'runtime {name!r} {trial.reason}')
        return Choice(name=name, trials=(trial,))

    def plain(self) -> Choice:
        """Choose without timing: bands last where that returns the same, else as it is."""
        as_it_is = self.as_it_is().trials[0]
        if not isinstance(self.loaded.forward, nn.Module) or not count_layers(self.loaded):
            # no form that could be had for nothing, or no weights to lay out
            return Choice(name=as_it_is.name, trials=(as_it_is,))
        trial = self._obstacle('channels-last') or self._check('channels-last', side=LOOKED_AT)
        if trial.reason is None:
            return Choice(name=trial.name, trials=(trial,))
        return Choice(name=as_it_is.name, trials=(as_it_is, trial))

    def fastest(self, *, patches: int, known: Sequence[Trial] = (), tries: bool = True) -> Choice:
        """Choose by time, as far as the job is worth it.

        Args:
            patches: Of the job.
            known: Trials of the same model in the same setting before.
            tries: Whether to time forms of which nothing is known.

        Returns:
            The choice, which :attr:`built` holds.
        """
        forwards = 1 + len(self.batches)
        is_short = 2 * forwards * len(self.batches[0]) > BUDGET * patches
        if not known and (is_short or not tries):
            return self.plain()
        started = perf_counter()
        trials = {trial.name: trial for trial in known}
        if self._as_it_is not in trials:
            trials[self._as_it_is] = self._time(self._as_it_is)
        for name in _BY_COST if tries else ():
            if name in trials or name == self._as_it_is:
                continue
            best = min(trial.patch_seconds or float('inf') for trial in trials.values())
            cost = _LAYER_SECONDS[name] * count_layers(self.loaded) + best * forwards * len(
                self.batches[0]
            )
            left = BUDGET * best * patches - (perf_counter() - started)
            trials[name] = self._obstacle(name) or (
                self._time(name) if cost <= left else _too_dear(name, cost, job=best * patches)
            )
        return self._pick(trials, patches=patches)

    def _pick(self, trials: Mapping[RuntimeName, Trial], *, patches: int) -> Choice:
        """Take the fastest form that is there and returns the same."""
        by_time = sorted(trials.values(), key=lambda trial: trial.patch_seconds or float('inf'))
        for number, trial in enumerate(by_time):
            if trial.reason is not None:
                continue
            if trial.name not in self.built:
                # known from before: what was true then is looked at again
                by_time[number] = self._again(trial, patches=patches)
            if by_time[number].reason is None:
                return Choice(name=trial.name, trials=tuple(by_time))
        return self.plain()

    def _again(self, trial: Trial, *, patches: int) -> Trial:
        """Build a form that was timed before, if the job is worth it."""
        seconds, building = trial.patch_seconds or 0.0, trial.building_seconds or 0.0
        if building > BUDGET * seconds * patches:
            return _too_dear(trial.name, building, job=seconds * patches)
        again = self._obstacle(trial.name) or self._check(trial.name)
        return replace(again, patch_seconds=seconds, building_seconds=building)

    @property
    def is_graph(self) -> bool:
        """Whether the model is a graph of ONNX."""
        return isinstance(self.loaded.forward, OnnxGraph)

    @property
    def _as_it_is(self) -> RuntimeName:
        """The form that all others are compared with."""
        return 'onnx' if self.is_graph else 'eager'

    def _obstacle(self, name: RuntimeName) -> Trial | None:
        """Say why a form is out of the question."""
        if name not in self.forms:
            return Trial(name=name, reason='is not for this kind of model')
        found = find_obstacle(
            name, self.loaded, device=self.setting.device, precision=self.setting.precision
        )
        return None if found is None else Trial(name=name, reason=found)

    def _time(self, name: RuntimeName) -> Trial:
        """Build, compare and time a form."""
        started = perf_counter()
        trial = self._check(name, patches=len(self.batches[0]))
        if trial.reason is not None:
            return trial
        building = perf_counter() - started
        run = self.built[name].score
        seconds = time_patches(run, self.batches, device=self.setting.device)
        return replace(trial, patch_seconds=seconds, building_seconds=building)

    def _check(self, name: RuntimeName, *, patches: int = 1, side: int | None = None) -> Trial:
        """Build a form, and compare what it returns for some patches with what the model does."""
        try:
            if name not in self.built:
                self.built[name] = build(name, self.loaded, self.setting)
            if name == self._as_it_is or not self.batches:
                return Trial(name=name)
            images = self.batches[0][:patches, :, :side, :side]
            found = self.built[name].score(images)
        except UnbuildableFormError as error:
            return Trial(name=name, reason=f'cannot be made of this model: {error}')
        except OutOfMemoryError:
            # which another job may have
            refused = self._refused(name, 'needs more memory than there is')
            return replace(refused, is_final=False)
        # a compiler compiles when it is first used, and raises anything
        except Exception as error:  # noqa: BLE001 - see above
            reason = one_line(error) or type(error).__name__
            return self._refused(name, f'fails on this model: {reason}')
        difference = compare(self.loaded.score(images), found)
        limit = TOLERANCE[self.setting.precision]
        if difference > limit:
            return self._refused(
                name,
                f'does not return the same: values differ by {difference:.1e} of the largest, and '
                f'at most {limit:.0e} is allowed',
            )
        return Trial(name=name, difference=difference)

    def _refused(self, name: RuntimeName, reason: str) -> Trial:
        """Forget a form that was built in vain."""
        self.built.pop(name, None)
        return Trial(name=name, reason=reason)


def count_layers(loaded: LoadedModel) -> int:
    """Count the layers with weights: one of a graph, whose runtime reads it at once."""
    module = loaded.forward
    if not isinstance(module, nn.Module):
        return int(isinstance(module, OnnxGraph))
    return sum(
        any(weights.ndim > 1 for weights in layer.parameters(recurse=False))
        for layer in module.modules()
    )


def _too_dear(name: RuntimeName, cost: float, *, job: float) -> Trial:
    """Say that a form would take too much of the time of a job."""
    reason = f'not tried: that takes about {cost:.0f} s, and the job {job:.0f} s'
    return Trial(name=name, reason=reason, is_final=False)
