"""A STAC item with the Machine Learning Model extension, beside a graph."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...geoio.write import class_color
from ...messages import one_line
from ...preprocessing import Preprocessing
from ..model.graph_form import GraphForm
from ..model.signature import Dates, Scores

# bytes and their largest value, between which a graph of Deepness scales by itself
_LARGEST_BYTE = 255

# what the classification extension takes no other characters than for a name
_NOT_IN_NAMES = re.compile(r'[^0-9A-Za-z_-]+')

# what the extension calls the task of a torchgeo's; it has no word for change
_TASKS = {
    'SemanticSegmentation': 'semantic-segmentation',
    'ChangeDetection': 'semantic-segmentation',
    'Classification': 'scene-classification',
    'PixelwiseRegression': 'regression',
    'Regression': 'regression',
    'ObjectDetection': 'object-detection',
    'InstanceSegmentation': 'instance-segmentation',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What there is to say about a graph."""

    name: str
    """Of the model."""

    architecture: str
    """Of its network."""

    tasks: Sequence[str]
    """Names of torchgeo's task, the most special first."""

    record: Preprocessing
    """How images are prepared."""

    form: GraphForm
    """What the graph takes and returns."""

    scores: Scores
    """What its numbers mean."""

    dates: Dates
    """That it takes."""

    side: int | None
    """Of its patches; None if any will do."""

    channels: int
    """Of what it returns."""

    axes: int
    """Of what it returns: 4 of pixels, 2 of patches, 0 of objects."""

    names: Mapping[int, str]
    """Of classes, by the numbers that prediction gives them; none of a regression."""

    parameters: int
    """Numbers that were learned."""

    provenance: Mapping[str, str]
    """Where the model comes from."""


def find_missing() -> str | None:
    """Say why no item can be written; None where it can."""
    try:
        import_module('stac_model.schema')
        import_module('pystac.validation.stac_validator')
    except ImportError as error:
        return f"pip install 'gersp-geo[stac]' ({one_line(error)})"
    return None


def make_item(described: Described, asset: str, *, size_bytes: int) -> dict[str, Any]:
    """Describe a graph as a STAC item; its core is checked with the schemas that pystac brings.

    Args:
        described: The graph.
        asset: Name of its file, beside which the item lies.
        size_bytes: Of the file.

    Returns:
        The item, as JSON holds it.

    Raises:
        ValueError: If it is no valid STAC.
    """
    pystac, schema = import_module('pystac'), import_module('stac_model.schema')
    validation = import_module('pystac.validation.stac_validator')
    item = pystac.Item(
        id=Path(asset).stem, geometry=None, bbox=None, datetime=datetime.now(UTC),
        properties={
            'title': described.name,
            'description': f'{" ".join(described.tasks[:1]) or "Model"} as an ONNX graph',
            **{f'gersp_geo:{key}': text for key, text in described.provenance.items()},
        },
    )  # fmt: skip
    item.add_asset(
        'model',
        pystac.Asset(
            href=f'./{asset}', title='ONNX graph', roles=['mlm:model'],
            media_type='application/octet-stream; application=onnx',
            extra_fields={'mlm:artifact_type': 'onnx'},
        ),
    )  # fmt: skip
    schema.MLModelExtension.ext(item, add_if_missing=True).apply(
        _properties(described, size_bytes=size_bytes)
    )
    if described.names:
        # of which the extension for models takes its classes
        classes = import_module('pystac.extensions.classification').ClassificationExtension
        item.stac_extensions.append(classes.get_schema_uri())
    found: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    try:
        # only the core: schemas of extensions would be downloaded
        validation.JsonSchemaSTACValidator().validate_core(
            found, pystac.STACObjectType.ITEM, found['stac_version']
        )
    except pystac.STACError as error:
        raise ValueError(f'{asset} makes no valid STAC item: {one_line(error)}') from error
    return found


def _properties(described: Described, *, size_bytes: int) -> Any:
    """Fill in the extension's properties, which its own classes check."""
    schema = import_module('stac_model.schema')
    tasks = {_TASKS.get(name) for name in described.tasks} - {None}
    if not tasks:
        usual = {4: 'semantic-segmentation', 2: 'scene-classification', 0: 'object-detection'}
        tasks = {usual[described.axes]}
    return schema.MLModelProperties(
        name=described.name,
        architecture=described.architecture,
        tasks=tasks,
        input=[_input(described)],
        output=[_output(described, tasks)],
        framework='ONNX',
        framework_version=version('onnx'),
        file_size=size_bytes,
        total_parameters=described.parameters,
        pretrained=True,
    )


def _input(described: Described) -> Any:
    """Describe the images."""
    base, module = import_module('stac_model.base'), import_module('stac_model.input')
    record, dates, side = described.record, described.dates, described.side or -1
    shape, order = [-1, len(record.bands), side, side], ['batch', 'bands', 'height', 'width']
    if dates.apart:
        shape, order = [-1, dates.count, *shape[1:]], ['batch', 'time', *order[1:]]
    else:
        shape[1] *= dates.count
    prepared = 'values as stored; NaN where there is none, which the graph takes for the mean'
    if described.form.factor is None:
        prepared = 'standardised per band, 0 where there is no value'
    elif described.form.factor != 1:
        prepared = 'values as stored, divided by 255'
    return module.ModelInput(
        name='image',
        bands=list(record.bands) * (1 if dates.apart else dates.count),
        input=module.InputStructure(shape=shape, dim_order=order, data_type='float32'),
        value_scaling=_scaling(described, module),
        pre_processing_function=base.ProcessingExpression(
            format='text', expression=prepared, description='What the input holds'
        ),
    )


def _scaling(described: Described, module: Any) -> list[Any] | None:
    """Say what is to be done with values as stored, per band, before the graph sees them."""
    record, factor = described.record, described.form.factor
    # a band whose values count for nothing has no mean as stored
    if factor == 1 or (factor is None and 0 in record.scale):
        return None
    repeats = 1 if described.dates.apart else described.dates.count
    if factor is not None:
        scaled = module.ValueScalingMinMax(minimum=0, maximum=_LARGEST_BYTE)
        return [scaled] * len(record.bands)
    return [
        module.ValueScalingZScore(mean=mean / scale, stddev=std / scale)
        for scale, mean, std in zip(record.scale, record.mean, record.std, strict=True)
    ] * repeats


def _output(described: Described, tasks: set[Any]) -> Any:
    """Describe what is returned."""
    base, module = import_module('stac_model.base'), import_module('stac_model.output')
    shape, order = [-1, described.channels], ['batch', 'class']
    if described.axes == 4:
        side = described.side or -1
        shape, order = [*shape, side, side], [*order, 'height', 'width']
    if not described.axes:
        shape, order = [-1, described.channels], ['object', 'box']
    kinds = {'softmax': 'probabilities, which sum to 1', 'sigmoid': 'probabilities of their own'}
    logits = {'values': 'quantities', 'labels': 'logits of labels (sigmoid)'}
    if not described.axes:
        logits = {'classes': 'left, top, right, bottom in pixels; labels and scores beside them'}
    what = kinds.get(described.form.returned) or logits.get(described.scores, 'logits of classes')
    return module.ModelOutput(
        name='probabilities' if described.form.returned != 'scores' else 'scores',
        tasks=tasks,
        result=module.ModelResult(shape=shape, dim_order=order, data_type='float32'),
        classes=_classes(described, module) or None,
        post_processing_function=base.ProcessingExpression(
            format='text', expression=what, description='What the output holds'
        ),
    )


def _classes(described: Described, module: Any) -> list[Any]:
    """List classes, in the colours that maps of them have."""
    colors = described.record.class_colors
    found = []
    for place, (value, name) in enumerate(described.names.items()):
        color = colors[place] if len(colors) == len(described.names) else class_color(value)
        short = _NOT_IN_NAMES.sub('-', name).strip('-') or f'class-{value}'
        found.append(
            module.MLMClassification(
                value=value,
                name=short,
                description=name,
                color_hint='{:02X}{:02X}{:02X}'.format(*color),
            )
        )
    return found
