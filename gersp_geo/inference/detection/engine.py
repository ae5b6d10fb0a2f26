"""Find the objects in a scene, and write them."""

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from lightning.pytorch import LightningModule

from ...geoio.read import Observed
from ...geoio.vector import Features, check_geojson, new_features
from ...preprocessing import Preprocessing
from ...suppression import Detections, Match
from ..model.detector import Detect
from ..model.load import Forward
from ..preview import check_picture, write_objects_preview
from ..progress import waiting
from .features import OBJECT_ATTRIBUTES, to_features, to_frame
from .options import DetectionOptions
from .preparing import Detection, prepare_detection
from .streaming import Tally, find_objects
from .summary import DetectionSummary

# of a box, the first one once more
_CORNERS = 5


def detect_objects(
    model: str | PathLike[str] | Detect | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    size: int = 512,
    overlap: int | None = None,
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
    match: Match = 'iou',
    batch_size: int | Literal['auto'] = 'auto',
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    area: str | PathLike[str] | None = None,
    area_layer: str | None = None,
    crs: str | None = None,
    res: float | tuple[float, float] | None = None,
    device: str = 'auto',
    memory_limit: int | str = '1GiB',
    threads: int | Literal['auto'] = 'auto',
    task_class: str | type[LightningModule] | None = None,
    preview: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> DetectionSummary:
    """Find the objects in a scene of any size, each once, as features with coordinates.

    The scene is cut into overlapping patches and read as by :func:`gersp_geo.predict_geotiff`.
    Boxes are placed in the scene and suppressed across patches: the result is that of greedy
    suppression of all boxes of the scene at once, without all of them in memory: objects are kept,
    and boxes that a later patch may still change. A box that reaches a side of its patch may show a
    part of an object; it goes behind every whole one, and is dropped if most of it lies in a better
    box. An object whose box is less than *overlap* high and wide is whole in some patch.

    Args:
        model: Lightning checkpoint of a detection task, a detector of torchvision, or a module or
            function from images (B, C, H, W) to one dictionary per image: ``boxes`` (n, 4), left,
            top, right, bottom in pixels of the patch, or (n, 5), oriented: x and y of the centre,
            width, height and degrees against the clock; ``labels`` (n,) and ``scores`` (n,); and
            maybe ``masks`` (n, H, W) or (n, 1, H, W), an object where they exceed 0.5. A module is
            moved to *device*. One patch of zeros is forwarded first, to fail early.
        source: Any raster with a CRS that GDAL reads.
        destination: File to write: .gpkg, .parquet or .geojson.
        size: Side of a patch in pixels.
        overlap: Pixels that neighbouring patches share, in [0, size); more than the largest object.
            None means 64, or half of *size* if that is less.
        score_threshold: Lowest score of an object, in [0, 1].
        iou_threshold: Overlap of two boxes of a class above which they show one object, in [0, 1].
        match: Overlap is the shared area over that of both boxes together ('iou'), or over that of
            the smaller one ('ios'). Oriented boxes are measured as such, masks by their boxes.
        batch_size: As in ``predict_geotiff``.
        bands: As in ``predict_geotiff``.
        preprocessing: As in ``predict_geotiff``. Its class names are those of labels; with a
            detector of torchvision, whose label 0 is the background, they may begin at label 1.
        nodata: As in ``predict_geotiff``. An object whose centre has no observation is dropped.
        observed: As in ``predict_geotiff``.
        area: Vector file, in any CRS, of polygons; an object whose centre lies outside is dropped.
            Also a folder or an archive, as in :func:`~gersp_geo.inference.predict_geotiff`.
        area_layer: Layer of *area* to take, where several hold features.
        crs: As in ``predict_geotiff``.
        res: As in ``predict_geotiff``.
        device: As in ``predict_geotiff``.
        memory_limit: As in ``predict_geotiff``. Boxes come on top.
        threads: Threads that read. 'auto' means one per core, 8 at most.
        task_class: As in ``predict_geotiff``.
        preview: PNG file to write: the scene with the objects over it.
        overwrite: Whether an existing file may be replaced.
        progress: Whether to show a progress bar on the standard error stream.

    Returns:
        What was found. Its ``notes`` say so if patches overlap too little for some objects.

    Raises:
        FileExistsError: If a file exists and *overwrite* is false.
        FileNotFoundError: If the model or the scene does not exist.
        ValueError: If an argument is out of range, the scene has no CRS, the model returns no
            detections, or bands or classes do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    options = DetectionOptions.of(locals())
    picture = None if preview is None else Path(preview)
    if picture is not None:
        check_picture(picture, overwrite=overwrite)
    detection = prepare_detection(model, source, destination, options)  # type: ignore[arg-type]
    return run_detection(detection, picture=picture, progress=progress)


def run_detection(
    detection: Detection, *, picture: Path | None = None, progress: bool
) -> DetectionSummary:
    """Carry a detection out.

    Args:
        detection: What is to be done.
        picture: PNG file to write, replaced where it exists.
        progress: Whether to show a progress bar.

    Returns:
        What was found.

    Raises:
        FileExistsError: If the file exists and may not be replaced.
        ValueError: If the model returns something else than detections.
        OSError: If a file cannot be read or written.
    """
    started = perf_counter()
    plan = detection.plan
    tally = Tally()
    # closed after an error too: it has switched off gradients
    with closing(find_objects(detection, tally, progress=progress)) as parts:
        objects = _collect(parts, detection.destination)
    with waiting('the file of objects', shown=progress):
        features = to_features(objects, plan.header, names=detection.detector.names)
        with new_features(
            detection.destination,
            crs=plan.header.crs,
            attributes=OBJECT_ATTRIBUTES,
            overwrite=detection.options.cutting.overwrite,
        ) as write:
            left_out = write(features)
        if picture is not None:
            _draw(detection, features, picture)
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    return DetectionSummary(
        destination=str(detection.destination),
        picture=None if picture is None else str(picture),
        objects=len(objects),
        left_out=left_out,
        class_objects=_count_classes(objects, detection),
        cut=int(np.count_nonzero(objects.is_cut)),
        largest_px=float(sides.max(initial=0)),
        boxes=tally.boxes,
        full_patches=tally.full_patches,
        overlap=plan.tiles.overlap,
        pixels=plan.tiles.height * plan.tiles.width,
        valid_pixels=tally.valid_pixels,
        patches=plan.patches,
        forwarded=tally.forwarded,
        seconds=perf_counter() - started,
        values=plan.values,
        place=plan.place,
    )


def _collect(parts: Iterable[Detections], destination: Path) -> Detections:
    """Keep the objects that are wanted, if the file may hold so many."""
    held = [Detections.none()]
    count = 0
    for part in parts:
        held.append(part.take(part.is_wanted))
        count += len(held[-1])
        if destination.suffix.lower() == '.geojson':
            # said as soon as it is known
            check_geojson(count, vertices=_CORNERS * count)
    return Detections.join(held)


def _draw(detection: Detection, features: Features, picture: Path) -> None:
    """Draw the objects over the scene."""
    plan, record = detection.plan, detection.loaded.preprocessing
    labels = detection.detector.names or {}
    write_objects_preview(
        plan.source,
        to_frame(features, plan.header),
        picture,
        bands=plan.bands,
        name=detection.destination.name,
        grid=plan.header,
        nodata=plan.nodata,
        observed=plan.observed,
        colors=dict(zip(labels, record.class_colors, strict=False)),
        overwrite=True,
    )


def _count_classes(objects: Detections, detection: Detection) -> dict[str, int]:
    """Count objects per class, in the order of labels."""
    names = detection.detector.names or {}
    counts = Counter(objects.labels.tolist())
    return {names.get(label, str(label)): counts[label] for label in sorted(counts)}
