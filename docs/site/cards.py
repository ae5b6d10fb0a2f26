"""The part of a picture that each card of the front page shows."""

from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx
from sphinx.config import Config

# left, top, right, bottom in pixels of a picture in docs/images
PARTS = {
    'fine_tuner': ('demo', (779, 110, 1127, 310)),
    'pre_trainer': ('patches', (466, 55, 836, 268)),
    'operator': ('objects', (120, 250, 520, 480)),
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Cut the parts out before Sphinx looks for them."""
    app.connect('config-inited', cut)
    return {'parallel_read_safe': True}


def cut(app: Sphinx, config: Config) -> None:
    """Write each part, unless it is there."""
    source = Path(app.srcdir)
    folder = source / '_generated' / 'cards'
    folder.mkdir(parents=True, exist_ok=True)
    for card, (picture, box) in PARTS.items():
        with Image.open(source / 'images' / f'{picture}.png') as image:
            image.crop(box).save(folder / f'{card}.png')
