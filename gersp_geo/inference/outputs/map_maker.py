"""What makes maps: the model or the models, and which maps are made of what they return."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, override

import torch

from ...geoio.formats import GEOTIFF_SUFFIXES
from ...geoio.read import RasterHeader
from ...geoio.write import OverviewResampling
from ...stitching import Weighting
from ...tiling import TilePlan, plan_tile
from ..model.device import place_model
from ..model.ensemble import join_models
from ..model.load import LoadedModel, evaluating, load_model
from ..model.predictor import check_scores
from ..options import LayerKind, MapKind, MapOptions
from ..output_paths import FileToMake, beside, check_apart
from ..scene.bands import name_change
from ..scene.tiling import weigh_patches
from .agreement import shift_of, vary
from .map_rows import PlannedMap
from .map_values import OVERVIEW_RESAMPLING, layout_map
from .maps import MapOutput
from .output import Maker


@dataclass(frozen=True, slots=True, kw_only=True)
class MapMaker(Maker):
    """Makes maps of scenes, by one model."""

    made: ClassVar = 'maps'
    result: ClassVar = 'map'
    suffix: ClassVar = '.tif'

    channels: int = 0
    """Scores per pixel that it returns; 0 before :meth:`placed`."""

    @classmethod
    @override
    def load(cls, model: Any, options: MapOptions) -> Self:
        models = [
            load_model(
                each,
                preprocessing=options.preprocessing,
                task_class=options.task_class,
                dates=options.dates,
            )
            for each in (model, *options.ensemble)
        ]
        return cls(loaded=join_models(models) if options.ensemble else models[0])

    @staticmethod
    @override
    def list_files(destination: str | PathLike[str], options: MapOptions) -> list[FileToMake]:
        check_apart(destination, options.probabilities, holds='probabilities')
        paths = [Path(destination)]
        if options.probabilities is not None:
            paths.append(Path(options.probabilities))
        wanted = {'uncertainty': options.uncertainty, 'agreement': options.consistency}
        for what in [name for name, is_wanted in wanted.items() if is_wanted]:
            paths.append(beside(destination, what))
            check_apart(paths[-1], options.probabilities, holds='probabilities')
        return [FileToMake(path=path, suffixes=GEOTIFF_SUFFIXES, holds='a map') for path in paths]

    @override
    def cut(self, height: int, width: int, options: MapOptions) -> TilePlan:
        stride = options.side - options.shared
        return plan_tile(
            height, width, size=options.side, overlap=options.shared, step=options.step,
            shift=shift_of(options.variation, stride=stride),
        )  # fmt: skip

    @override
    def vary(self, options: MapOptions, folder: Path) -> list[tuple[Path, MapOptions]]:
        return vary(options, folder)

    @override
    def weigh(self, tiles: TilePlan, options: MapOptions) -> Weighting:
        return weigh_patches(tiles, blend=options.blend, margin=options.margin)

    def placed(self, device: str, options: MapOptions) -> 'MapMaker':
        """Move the model to its device, and count its channels."""
        loaded = place_model(self.loaded, device=device)
        channels = _count_channels(loaded, size=options.side, device=device)
        if options.after is not None and loaded.scores == 'classes' and options.output != 'values':
            record = name_change(loaded.preprocessing, channels=channels)
            loaded = replace(loaded, preprocessing=record)
        return MapMaker(loaded=loaded, channels=channels)

    @override
    def plan(
        self,
        header: RasterHeader,
        tiles: TilePlan,
        files: Sequence[FileToMake],
        options: MapOptions,
    ) -> MapOutput:
        kind = _choose_kind(self.loaded, options.output)
        kinds: list[LayerKind] = [kind]
        kinds += ['probabilities'] if options.probabilities is not None else []
        kinds += ['uncertainty'] if options.uncertainty else []
        kinds += ['agreement'] if options.consistency else []
        if kind != 'classes' and len(kinds) > 1:
            raise ValueError(f'{kinds[1]} goes beside a map of classes, and this is one of {kind}')
        maps = [
            PlannedMap(
                kind=kind,
                destination=file.path,
                layout=layout_map(
                    header, self.loaded.preprocessing, output=kind, channels=self.channels,
                    probability_type=options.probability_type,
                ),
                overviews=_choose_overviews(kind, options),
            )
            for kind, file in zip(kinds, files, strict=True)
        ]  # fmt: skip
        return MapOutput(
            files=tuple(made.destination for made in maps),
            channels=self.channels,
            maps=tuple(made for made in maps if made.kind != 'agreement'),
            agreement=next((made for made in maps if made.kind == 'agreement'), None),
            options=options,
        )


def _count_channels(loaded: LoadedModel, *, size: int, device: str) -> int:
    """Count the scores per pixel by forwarding one patch of zeros, and check their shape."""
    zeros = torch.zeros((1, loaded.in_channels, size, size), device=device)
    with evaluating(loaded.forward):
        return check_scores(loaded.score(zeros), zeros).shape[1]


def _choose_kind(loaded: LoadedModel, kind: MapKind | Literal['auto']) -> MapKind:
    """Choose the kind of map by what the model returns."""
    if kind == 'auto':
        automatic: dict[str, MapKind] = {'classes': 'classes', 'labels': 'probabilities'}
        return automatic.get(loaded.scores, 'values')
    if kind == 'classes' and loaded.scores == 'labels':
        raise ValueError("labels do not exclude each other; pass output='probabilities'")
    if kind != 'values' and loaded.scores == 'values':
        raise ValueError(f"a regression has no classes; pass output='values', got {kind!r}")
    return kind


def _choose_overviews(kind: LayerKind, options: MapOptions) -> OverviewResampling:
    """Choose how overviews are made: class numbers have no mean."""
    if options.overviews == 'auto':
        return OVERVIEW_RESAMPLING[kind]
    if kind == 'classes' and options.overviews == 'average':
        raise ValueError("overviews of classes are made by 'mode' or 'nearest', got 'average'")
    return options.overviews
