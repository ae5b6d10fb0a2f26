"""The functions for scenes of any size: maps, objects, vectors and classes of patches."""

from collections.abc import Callable
from dataclasses import Field, fields
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from os import PathLike
from pathlib import Path
from textwrap import fill
from typing import Any, Concatenate, cast

from ..models.remote_files import localize
from ..models.weight_sources import PublishedWeights
from .calibration import measure_costs
from .jobs import maker_of, predict_one
from .model.detector import Detect
from .model.load import Forward
from .options import MapOptions, ObjectOptions, PatchOptions
from .outputs.map_summary import PredictionSummary
from .outputs.object_summary import DetectionSummary
from .outputs.patch_summary import PatchSummary
from .plan import PredictionPlan
from .prepare import prepare
from .preview import check_picture
from .stored_results import made_as

type Source = str | PathLike[str]
"""Path or name of a file."""

type AnyModel = Source | PublishedWeights | Detect | Forward
"""A checkpoint, a graph, weights, or a module or function."""


def _with_options[**P, Made](
    kind: Callable[P, Any],
) -> Callable[
    [Callable[[Any, Any, Any, Any], Made]], Callable[Concatenate[AnyModel, Source, Source, P], Made]
]:
    """Give a function that takes options these as keyword arguments.

    Args:
        kind: Class of the options, a dataclass. Type checkers see its fields, and so does ``help``.

    Returns:
        A decorator.
    """

    def decorate(
        function: Callable[[Any, Any, Any, Any], Made],
    ) -> Callable[Concatenate[AnyModel, Source, Source, P], Made]:
        @wraps(function)
        def call(
            model: AnyModel, source: Source, destination: Source, *args: P.args, **options: P.kwargs
        ) -> Made:
            return function(model, source, destination, kind(*args, **options))

        described: Any = call
        described.__signature__ = _signature(function, kind)
        described.__doc__ = _document(function.__doc__ or '', kind)
        # its first arguments have names too, which a type with P cannot say
        return cast('Callable[Concatenate[AnyModel, Source, Source, P], Made]', call)

    return decorate


def _options_of(kind: Any) -> list[Field[Any]]:
    """List the options that a user has to do with."""
    return [each for each in fields(kind) if each.name not in ('part_pixels', 'step', 'variation')]


def _signature(function: Any, kind: Any) -> Signature:
    """Put the options in the place of the argument that holds them."""
    taken = signature(function)
    first = [each for each in taken.parameters.values() if each.name != 'options']
    keywords = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in _options_of(kind)
    ]
    return taken.replace(parameters=[*first, *keywords])


def _document(text: str, kind: Any) -> str:
    """Describe the options among the arguments of a docstring."""
    lines = []
    for each in _options_of(kind):
        described = f'{each.name}: {each.metadata["text"]}'
        lines.append(fill(described, 96, initial_indent=' ' * 4, subsequent_indent=' ' * 8))
    before, _, after = cleandoc(text).partition('    options: ')
    return f'{before}{"\n".join(lines)}\n{after.partition("\n")[2]}'


@_with_options(MapOptions)
def predict_geotiff(
    model: AnyModel, source: Source, destination: Source, options: MapOptions
) -> PredictionSummary:
    """Make a seamless map of a scene of any size, on the grid of the scene, in bounded memory.

    The scene is cut into overlapping patches; outside its borders it is reflected, so that pixels
    there see as much as all others. Probabilities (not logits) are blended with weights that sum to
    1 at every pixel. Patches without any observation are not forwarded, and pixels without one
    enter the model as the mean of their band and leave as nodata. The map is a Cloud Optimized
    GeoTIFF with the scene's CRS and transform, and appears only when complete; a map of classes
    carries names and colours, and a style for QGIS beside it.

    Finished parts lie in a hidden folder beside the map until it is complete. After a stop, even by
    a power cut, the same call goes on where it was, and the map is the same to the byte. A call
    that differs is refused.

    Args:
        model: Lightning checkpoint of a task, ONNX graph, or a module or function from images
            (B, C, H, W) to logits or values (B, K, H, W). One logit means two classes. A module is
            moved to *device*. One patch of zeros is forwarded first, to learn K and to fail early.
        source: Any raster that GDAL reads. Blocks that a sparse local GeoTIFF does not store hold
            no observation, also those of zeros that ``SPARSE_OK`` left out.
        destination: GeoTIFF to write (.tif), on a local disk.
        options: The other arguments.

    Returns:
        What was produced, with the area of every class.

    Raises:
        FileExistsError: If a map exists and *overwrite* is false.
        FileNotFoundError: If a file does not exist.
        ValueError: If an argument is out of range, a file is of another kind, or bands, classes or
            shapes do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    summary: PredictionSummary = predict_one('maps', model, source, destination, options)
    return summary


@_with_options(ObjectOptions)
def detect_objects(
    model: AnyModel, source: Source, destination: Source, options: ObjectOptions
) -> DetectionSummary:
    """Find the objects in a scene of any size, each once, as features with coordinates.

    The scene is cut into overlapping patches, read and resumed as by
    :func:`gersp_geo.predict_geotiff`. Boxes are placed in the scene and suppressed across patches:
    the result is that of greedy suppression of all boxes of the scene at once, without all of them
    in memory. A box that reaches a side of its patch may show a part of an object; it goes behind
    every whole one, and is dropped if most of it lies in a better box. An object whose box is less
    than *overlap* high and wide is whole in some patch. An object whose centre has no observation
    is dropped.

    Args:
        model: Lightning checkpoint of a detection task, a detector of torchvision, or a module or
            function from images (B, C, H, W) to one dictionary per image: ``boxes`` (n, 4), left,
            top, right, bottom in pixels of the patch, or (n, 5), oriented: x and y of the centre,
            width, height and degrees against the clock; ``labels`` (n,) and ``scores`` (n,); and
            maybe ``masks`` (n, H, W) or (n, 1, H, W), an object where they exceed 0.5. A module is
            moved to *device*. One patch of zeros is forwarded first, to fail early.
        source: Any raster with a CRS that GDAL reads.
        destination: File to write: .gpkg, .parquet or .geojson.
        options: The other arguments.

    Returns:
        What was found. Its ``notes`` say so if patches overlap too little for some objects.

    Raises:
        FileExistsError: If a file exists and *overwrite* is false.
        FileNotFoundError: If the model or the scene does not exist.
        ValueError: If an argument is out of range, the scene has no CRS, the model returns no
            detections, or bands or classes do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    picture = None if options.preview is None else Path(options.preview)
    if picture is not None:
        check_picture(picture, overwrite=options.overwrite)
    summary: DetectionSummary = predict_one('objects', model, source, destination, options, picture)
    return summary


@_with_options(PatchOptions)
def embed_scene(
    model: AnyModel, source: Source, destination: Source, options: PatchOptions
) -> PatchSummary:
    """Give every patch of a scene of any size a vector, the output of a backbone.

    Patches start every ``size - overlap`` pixels from the first pixel of the scene; the last row
    and column may hang over, where the scene is reflected. Scenes are read and resumed as by
    :func:`gersp_geo.predict_geotiff`, in bounded memory. Patches without any observation of
    interest are left out; else pixels without one enter as the mean of their band.

    Args:
        model: Weights of a backbone: a file of any known format or a folder of timm, an enum member
            or its name; or an ONNX graph, or a module or function from images (B, C, H, W) to
            vectors (B, D). A module is moved to *device*.
        source: Any raster that GDAL reads.
        destination: Table to write, GeoParquet (.parquet): per patch its polygon, ``row`` and
            ``col`` in the grid, ``observed``, the share of its pixels that are observations, and
            ``embedding``. Or a map of one pixel per patch (.tif), with D bands.
        options: The other arguments.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and *overwrite* is false.
        FileNotFoundError: If the model or the scene does not exist.
        ValueError: If an argument is out of range, the scene of a table has no CRS, the model
            returns no vectors, or bands do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    summary: PatchSummary = predict_one('embed', model, source, destination, options)
    return summary


@_with_options(PatchOptions)
def classify_scene(
    model: AnyModel, source: Source, destination: Source, options: PatchOptions
) -> PatchSummary:
    """Give every patch of a scene of any size a class, or labels.

    Scenes are cut and read as by :func:`embed_scene`.

    Args:
        model: Lightning checkpoint of a classification task, an ONNX graph, or a module or function
            from images (B, C, H, W) to logits (B, K). One logit means two classes.
        source: Any raster that GDAL reads.
        destination: Table to write, as in :func:`embed_scene`, with ``class``, ``class_name``,
            ``score`` (the probability of the class), ``probabilities`` of all, and ``embedding`` if
            the network is one of timm. Labels that do not exclude each other have probabilities
            only. Or a map of one pixel per patch (.tif): classes with colours and names, or one
            band of probabilities per label.
        options: The other arguments.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and *overwrite* is false.
        FileNotFoundError: If the model or the scene does not exist.
        ValueError: If an argument is out of range, the scene of a table has no CRS, the record
            names another number of classes than the model returns, or bands do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    summary: PatchSummary = predict_one('classify', model, source, destination, options)
    return summary


def plan_prediction(
    model: AnyModel, source: Source, destination: Source, *, calibrate: bool = False, **options: Any
) -> PredictionPlan:
    """Say what :func:`predict_geotiff` would do with the same arguments, and what it would cost.

    Nothing is read but headers and a few places of the scene, which are compared with the record,
    unless *calibrate* is set. The model is run on patches of zeros.

    Args:
        model: The model that would predict.
        source: The scene.
        destination: The map that would be made.
        calibrate: Decode up to 32 cells of the scene, to know how long reading takes.
        **options: The other arguments of :func:`predict_geotiff`.

    Returns:
        The plan; ``print(plan)`` shows it as a table.

    Raises:
        FileExistsError: If a map exists and *overwrite* is false.
        FileNotFoundError: If a file does not exist.
        TypeError: If an option has another name.
        ValueError: If an argument is out of range, a file is of another kind, or bands, classes or
            shapes do not fit.
    """
    chosen = MapOptions(**options)
    final = made_as(destination, chosen.work)
    plan = prepare(maker_of('maps')[0], localize(model), source, final, chosen)
    return measure_costs(plan, calibrate=calibrate)
