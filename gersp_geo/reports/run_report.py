"""A page about a training: losses, measurements, what validation found, and how it was set up."""

import json
import platform
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ..messages import name_some
from .matrices import shaded_table
from .page import (
    Child,
    bullet_list,
    captioned,
    check_page,
    element,
    facts_table,
    fold,
    paragraph,
    section,
    stored_picture,
    table,
    write_page,
)
from .run_charts import draw_charts, last_and_best
from .runs import Run, find_runs, newest_checkpoint

_WORDS = {'gersp_geo': 'gersp-geo'}
_STAGES = {'val': 'validation', 'test': 'test'}
# a report of more classes than this has its matrix as a picture alone
_MOST_CLASSES = 40


def write_run_report(
    folder: str | PathLike[str], destination: str | PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a page of HTML about a training, which opens from disk and needs no network.

    Args:
        folder: Of one run, or one that holds several: then of the newest training, and of what was
            validated or tested after it.
        destination: File that ends in .html.
        overwrite: Replace an existing file.

    Returns:
        *destination*.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If *folder* holds no run, or the page cannot be written.
        ValueError: If a file of the run is damaged, or *destination* does not end in .html.
    """
    check_page(destination, overwrite=overwrite)
    runs, older = find_runs(folder)
    sections = [part for run in runs for part in describe_run(run, alone=len(runs) == 1)]
    checkpoint = newest_checkpoint([Path(folder), *(run.folder for run in runs)])
    if checkpoint is not None:
        sections.append(show_checkpoint(checkpoint))
    sections.append(show_environment())
    notes = [f'Older runs are left out: {name_some(older)}; pass one of them.'] if older else []
    main = runs[0]
    lead = [
        paragraph(f'{count(main.epochs, "epoch")}, {count(main.steps, "step")}', kind='lead'),
        paragraph(f'{main.folder}, {span_of(main)}', kind='soft'),
    ]
    return write_page(
        destination,
        title=f'Run {Path(folder).absolute().name}',
        lead=lead,
        notes=notes,
        sections=sections,
        overwrite=overwrite,
    )


def count(number: int, noun: str) -> str:
    """Write a number before a noun."""
    return f'{number:,} {noun}{"" if number == 1 else "s"}'


def span_of(run: Run) -> str:
    """Say from when to when a run lasted, by the times of its files."""
    times = sorted(path.stat().st_mtime for path in run.folder.iterdir() if path.is_file())
    first, last = (datetime.fromtimestamp(time) for time in (times[0], times[-1]))
    return f'files written {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}'


def describe_run(run: Run, *, alone: bool) -> list[Element]:
    """Make the sections of one run."""
    sections = []
    if run.is_training:
        charts, missing = draw_charts(run.logged)
        curves: list[Child] = [element('div', *charts, class_='charts')]
        if missing:
            curves.append(bullet_list(missing, kind='soft'))
        sections.append(section('Curves', *curves))
    for stage, name in _STAGES.items():
        found = show_stage(run, stage, title=f'What the {name} found')
        if found is not None:
            sections.append(found)
    views = run.read_picture('view_pairs.png')
    if views is not None:
        image = stored_picture(views, 'png', text='Images as loaded, and as the network sees them.')
        caption = 'The first images of the run, as loaded and as student and teacher see them.'
        sections.append(section('View pairs', captioned(image, caption, kind='wide')))
    return [*sections, show_setup(run, alone=alone)]


def show_setup(run: Run, *, alone: bool) -> Element:
    """Show all that was logged, and the configuration."""
    heads = ('Name', 'Last', 'Lowest', 'Highest', 'Values')
    parts: list[Child] = []
    if run.logged:
        rows = last_and_best(run.logged)
        parts.append(fold(f'All {len(rows)} values that were logged', table(rows, head=heads)))
    name, text = run.read_text('config.yaml', 'hparams.yaml')
    if name == 'hparams.yaml':
        parts.append(paragraph('There is no config.yaml: options of trainer and data are unknown.'))
    if text:
        parts.append(fold(name, element('pre', text)))
    else:
        parts.append(paragraph('The run left neither config.yaml nor hparams.yaml.'))
    return section('Configuration' if alone else f'Configuration of {run.folder.name}', *parts)


def show_stage(run: Run, stage: str, *, title: str) -> Element | None:
    """Show the report of a validation or a test; None where there is none."""
    place = f'report/{stage}'
    metrics = run.read_json(f'{place}/metrics.json')
    if not metrics:
        return None
    parts: list[Child] = [paragraph(describe_origin(metrics), kind='soft'), metrics_table(metrics)]
    matrix = run.read_json(f'{place}/confusion_matrix.json')
    if matrix and len(matrix['true']) <= _MOST_CLASSES:
        rows, columns = matrix['true'], matrix['predicted']
        parts.append(
            shaded_table(
                # as in the error matrix of a map
                np.array(matrix['counts']).T, rows=columns, columns=rows, totals=rows == columns,
                caption=f'{str(metrics.get("counted", "Counts")).capitalize()}. Rows: predicted; '
                'columns: true.',
            )
        )  # fmt: skip
    elif matrix and (drawn := run.read_picture(f'{place}/confusion_matrix.png')):
        parts.append(captioned(stored_picture(drawn, 'png', text='Confusion matrix.'), kind='wide'))
    patches = run.read_picture(f'{place}/patches.png')
    if patches is not None:
        image = stored_picture(patches, 'png', text='Patches with truth and prediction.')
        parts.append(captioned(image, 'Patches, with truth and prediction.', kind='wide'))
    return section(title, *parts)


def describe_origin(metrics: Mapping[str, Any]) -> str:
    """Say which weights were judged, and by what."""
    names = {'epoch': 'epoch', 'step': 'step', 'checkpoint': 'checkpoint', 'counted': 'counted in'}
    return ', '.join(f'{word} {metrics[key]}' for key, word in names.items() if key in metrics)


def metrics_table(metrics: Mapping[str, Any]) -> Element:
    """Write metrics per class, and over all."""
    overall, classes = metrics.get('overall', {}), metrics.get('classes', {})

    def write(value: object) -> str:
        return f'{value:.4g}' if isinstance(value, int | float) else '–'

    rows = [
        [name, f'{found.get("count", 0):,}', *(write(found.get(title)) for title in overall)]
        for name, found in classes.items()
    ]
    total = sum(found.get('count', 0) for found in classes.values())
    rows.append(['all', f'{total:,}', *map(write, overall.values())])
    return table(rows, head=['Class', 'Count', *overall], kind='cards')


def show_checkpoint(path: Path) -> Element:
    """Show what the newest checkpoint says about itself: software, data and record."""
    from ..models.checkpoint_files import load_pickle
    from ..preprocessing import Preprocessing
    from ..provenance import configuration

    facts: dict[str, Child] = {'Newest checkpoint': str(path)}
    parts: list[Child] = []
    try:
        content = load_pickle(path)
    except ValueError as error:
        return section('Record and software', facts_table(facts), paragraph(f'Not read: {error}.'))
    named = configuration(content)
    facts |= {
        _WORDS.get(key, key.replace('_', ' ')): list_facts(text)
        for key, text in named.items()
        if key != 'config'
    }
    record = content.get('gersp_geo')
    if isinstance(record, dict):
        known = Preprocessing.from_dict(record)
        rows = [
            (band, *(f'{value:.5g}' for value in values))
            for band, *values in zip(known.bands, known.scale, known.mean, known.std, strict=True)
        ]
        heads = ('Band', 'Scale', 'Mean', 'Standard deviation')
        parts.append(table(rows, head=heads, caption='How values become input.'))
        facts |= {'classes': ', '.join(known.class_names)} if known.class_names else {}
    else:
        parts.append(paragraph('The checkpoint holds no record of how values become input.'))
    return section('Record and software', facts_table(facts), *parts)


def list_facts(text: str) -> str:
    """Write names and values of JSON as words; other text stays as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return ', '.join(f'{name} {value}' for name, value in found.items())


def show_environment() -> Element:
    """Name the machine and the packages of this report, as runs write down no others."""
    from importlib import metadata

    facts: dict[str, Child] = {'Python': platform.python_version(), 'System': platform.platform()}
    for name in ('torch', 'lightning', 'torchgeo', 'kornia', 'timm', 'rasterio', 'numpy'):
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    text = 'Where this page was written; the run itself may have had others.'
    return section('Environment', paragraph(text, kind='soft'), facts_table(facts))
