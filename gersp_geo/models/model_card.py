"""The page that the Hugging Face hub shows of a folder of weights."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from huggingface_hub import ModelCardData

from ..messages import one_line
from ..preprocessing import Preprocessing
from ..provenance import software
from .backbone_weights import BackboneWeights
from .size_limits import LARGEST_JSON

CARD = 'README.md'

# what a licence is called in the lines at the top
_IDENTIFIER = re.compile(r'[a-z0-9][a-z0-9.-]*')

_LICENCES = 'https://huggingface.co/docs/hub/repositories-licenses'
_TO_FILL_IN = f'# license: to be filled in by whoever publishes this, see {_LICENCES}'


def write_card(weights: BackboneWeights, path: Path, *, name: str) -> None:
    """Write the page of a folder of timm, with what the weights know about themselves.

    Args:
        weights: What is in the folder.
        path: File to write.
        name: Title of the page.
    """
    source = weights.provenance
    made_by = ' '.join(f'{key} {value}' for key, value in software().items())
    text = '\n\n'.join(
        [
            _front_matter(source.get('license')),
            f'# {_plain(name)}',
            f'Backbone {weights.model}, {weights.in_channels} bands, without classifier.',
            _describe_use(weights.in_channels or 0),
            f'## Input\n\n{_describe_input(weights.preprocessing)}',
            f'## Data\n\n{_describe_data(source)}',
            f'## Figures\n\n{_describe_figures(source)}',
            f'## Licence\n\n{_describe_licence(source.get("license"))}',
            f'## Provenance\n\n{_block({"exported_by": made_by, **source})}',
        ]
    )
    # half a character, which JSON can hold, is no text
    text = text.encode('utf-8', 'replace').decode()
    path.write_bytes(f'{text}\n\n{_mark(text)}\n'.encode())


def is_untouched(path: Path) -> bool:
    """Say whether a page is as :func:`write_card` wrote it, and holds nothing of the user's."""
    if not path.is_file() or path.stat().st_size > LARGEST_JSON:
        return False
    text, _, last = path.read_bytes().decode('utf-8', 'replace').rpartition('\n\n')
    return last.rstrip('\n') == _mark(text)


def _mark(text: str) -> str:
    """Write the last line of a page, which tells whether somebody has edited it."""
    return f'<!-- gersp-geo export, SHA-256 {sha256(text.encode()).hexdigest()} -->'


def _front_matter(licence: str | None) -> str:
    """Write the lines by which the hub sorts models."""
    known = licence if licence and _IDENTIFIER.fullmatch(licence) else None
    data = ModelCardData(
        library_name='timm',
        license=known,
        pipeline_tag='image-feature-extraction',
        tags=['timm', 'image-feature-extraction', 'remote-sensing', 'gersp-geo'],
    )
    lines = ['---', data.to_yaml(), *([] if known else [_TO_FILL_IN]), '---']
    return '\n'.join(lines)


def _describe_use(bands: int) -> str:
    """Show how it is loaded."""
    return f"""\
```python
import timm

# (B, {bands}, H, W), prepared as below, to features
backbone = timm.create_model('hf-hub:ORG/NAME', pretrained=True, num_classes=0)
```

```python
from gersp_geo import load_backbone

# into a task of torchgeo, or a model of timm, torchvision or segmentation_models_pytorch
print(load_backbone(task, 'hf-hub:ORG/NAME'))
```"""


def _describe_input(record: Preprocessing | None) -> str:
    """Lay the record of preprocessing out as a table."""
    if record is None:
        return 'The weights do not say how their input was prepared.'
    lines = ['Of each band, the model sees `(value * scale - mean) / std`.', '']
    lines += ['| band | scale | mean | std |', '|---|---|---|---|']
    for band, *numbers in zip(record.bands, record.scale, record.mean, record.std, strict=True):
        lines.append(f'| {_plain(band)} | {" | ".join(f"{number:.9g}" for number in numbers)} |')
    known = {
        'Values as stored': record.dtype,
        'Side of training patches, pixels': record.size,
        'Ground resolution, metres per pixel': record.res_m,
        'Value without observation': record.nodata,
    }
    facts = [f'- {name}: {_plain(value)}' for name, value in known.items() if value is not None]
    return '\n'.join([*lines, '', *facts]).rstrip()


def _describe_data(source: Mapping[str, str]) -> str:
    """Say what they were learned from."""
    facts = [
        f'{name}: {_plain(source[key])}'
        for key, name in (('dataset', 'Data set'), ('publication', 'Publication'), ('repo', 'Code'))
        if key in source
    ]
    if 'data' in source:
        try:
            data = json.loads(source['data'])
        # RecursionError: brackets within brackets
        except (ValueError, RecursionError):
            data = source['data']
        facts.append(f'As configured:\n\n{_block(data)}')
    return '\n\n'.join(facts) or 'The weights do not say which data they were learned from.'


def _describe_figures(source: Mapping[str, str]) -> str:
    """Say how good they are, if that is known."""
    facts = [f'Trained for {source["epochs"]} epochs.'] if 'epochs' in source else []
    if 'figures' in source:
        facts.append(f'As its training or its authors report: {_plain(source["figures"])}')
    return '\n\n'.join(facts) or 'The weights carry none.'


def _describe_licence(licence: str | None) -> str:
    """Say it, or whose task it is."""
    if licence and _IDENTIFIER.fullmatch(licence):
        return licence
    said = f'The source says: {_plain(licence)}. ' if licence else 'The weights state none. '
    return (
        f'{said}Whoever publishes them decides, as far as the licences of data and code allow, and '
        f'puts it in the place of the line `# license:` at the top ({_LICENCES}).'
    )


def _plain(text: object) -> str:
    """Keep text of somebody else's from being more than text in a table or paragraph."""
    return re.sub(r'([\\`*_{}\[\]<>#|&])', r'\\\1', one_line(text))


def _block(value: object) -> str:
    """Write JSON as a block of code, which nothing in it can end."""
    lines = json.dumps(value, indent=2, ensure_ascii=False, default=str).splitlines()
    return '\n'.join(f'    {line}' for line in lines)
