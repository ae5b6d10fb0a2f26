"""Decide everything about the patches of a scene before a pixel is read."""

from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from typing import Any

from ...geoio.vector import Attribute
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import MapLayout
from ..cutting import CuttingPlan, plan_cutting
from ..model.device import find_device
from ..model.embedder import PatchModel, load_classifier, load_embedder
from ..outputs.map_values import layout_map
from .grid import coarse_header, plan_grid
from .options import PatchFiles, PatchOptions, PatchTask


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchJob:
    """What is to be done with the patches of a scene."""

    model: PatchModel
    """On its device."""

    plan: CuttingPlan
    """How the scene is read and cut."""

    files: PatchFiles
    """What is written."""

    layout: MapLayout
    """Of the map of patches."""

    attributes: tuple[Attribute, ...]
    """Columns of the table."""

    class_names: tuple[str, ...]
    """Names of the logits' classes or labels; empty without logits."""

    options: PatchOptions
    """The other arguments."""

    @property
    def has_classes(self) -> bool:
        """Whether each patch is of one class."""
        return self.model.scores == 'classes'

    def __str__(self) -> str:
        """Lay the plan out for a terminal."""
        kind = {None: 'vectors', 'classes': 'classes', 'labels': 'probabilities of labels'}
        lines = [str(self.plan)]
        if self.files.table is not None:
            names = ', '.join(attribute.name for attribute in self.attributes)
            lines.append(f'{"table":<10} {self.files.table}: {names}')
        if self.files.raster is not None:
            count = len(self.layout.descriptions)
            lines.append(
                f'{"map":<10} {self.files.raster}: {kind[self.model.scores]}, '
                f'{self.layout.height:,} x {self.layout.width:,} px, {count:,} band(s), '
                f'{self.layout.dtype}'
            )
        return '\n'.join(lines)


def load_patch_model(task: PatchTask, model: Any, options: PatchOptions) -> PatchModel:
    """Load what a task needs.

    Args:
        task: Vectors or classes.
        model: As in :func:`.engine.embed_scene` or :func:`.engine.classify_scene`.
        options: The other arguments.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is of no known format.
    """
    cutting = options.cutting
    if task == 'embed':
        if cutting.task_class is not None:
            raise ValueError(
                f'task_class is for classifiers, and embeddings need a backbone only; got '
                f'{cutting.task_class!r}, leave it out'
            )
        return load_embedder(model, preprocessing=cutting.preprocessing, size=cutting.size)
    return load_classifier(
        model, preprocessing=cutting.preprocessing, task_class=cutting.task_class
    )


def prepare_patches(
    model: PatchModel,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PatchOptions,
) -> PatchJob:
    """Read the header of the scene, and check that all fits together.

    Args:
        model: The model.
        source: As in :func:`.engine.embed_scene`.
        destination: As there.
        options: The other arguments.

    Returns:
        What is to be done.

    Raises:
        FileExistsError: As there.
        FileNotFoundError: As there.
        ValueError: As there.
    """
    cutting = options.cutting
    files = PatchFiles.of(destination, options.raster, source=source, overwrite=cutting.overwrite)
    device = find_device(cutting.device)
    plan = plan_cutting(
        source, model.preprocessing, cutting, device=device,
        cut=partial(plan_grid, size=cutting.size, overlap=cutting.shared),
    )  # fmt: skip
    if plan.header.crs is None and files.table is not None:
        raise ValueError(
            f'{fspath(source)} {describe_lack(plan.header)}, and polygons without a CRS lie '
            f'nowhere; {advise_place(plan.header)}; or write a map of patches (.tif) only'
        )
    probed = model.probed(size=cutting.size, device=device, channels_last=cutting.channels_last)
    layout = _lay_out(probed, plan)
    names = _class_names(probed, layout)
    return PatchJob(
        model=probed, plan=plan, files=files, layout=layout, class_names=names, options=options,
        attributes=_list_attributes(probed, len(names)),
    )  # fmt: skip


def _lay_out(model: PatchModel, plan: CuttingPlan) -> MapLayout:
    """Decide what the map of patches holds: classes, probabilities of labels, or vectors."""
    header = coarse_header(plan.header, plan.tiles)
    if model.scores == 'classes':
        assert model.channels is not None
        return layout_map(header, model.preprocessing, output='classes', channels=model.channels)
    if model.scores == 'labels':
        assert model.channels is not None
        return layout_map(
            header, model.preprocessing, output='probabilities', channels=model.channels
        )
    assert model.length is not None
    return MapLayout(
        height=header.height, width=header.width, crs=header.crs, transform=header.transform,
        dtype='float32', nodata=float('nan'),
        descriptions=tuple(f'feature {index}' for index in range(model.length)),
        georeference=header.georeference.carried(),
    )  # fmt: skip


def _class_names(model: PatchModel, layout: MapLayout) -> tuple[str, ...]:
    """Name classes or labels, as the map does."""
    if model.scores is None:
        return ()
    return layout.class_names or layout.descriptions


def _list_attributes(model: PatchModel, classes: int) -> tuple[Attribute, ...]:
    """List the columns of the table."""
    columns = [
        Attribute(name='row', kind='int32'),
        Attribute(name='col', kind='int32'),
        Attribute(name='observed', kind='float32'),
    ]
    if model.scores == 'classes':
        columns += [
            Attribute(name='class', kind='int32'),
            Attribute(name='class_name', kind='string'),
            Attribute(name='score', kind='float32'),
        ]
    if classes:
        columns.append(Attribute(name='probabilities', kind='float32', length=classes))
    if model.length is not None:
        columns.append(Attribute(name='embedding', kind='float32', length=model.length))
    return tuple(columns)
