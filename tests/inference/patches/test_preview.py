"""Pictures of patches: `gersp-geo predict --preview` with classifiers and backbones."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gersp_geo.geoio.read.reader import read_header
from gersp_geo.inference import classify_scene, embed_scene
from gersp_geo.inference.outputs.patch_grid import plan_grid
from gersp_geo.inference.preview import ShownScene, write_patches_preview
from gersp_geo.inference.preview.quicklook import NO_OBSERVATION
from gersp_geo.main import main
from gersp_geo.models.backbones import create_backbone
from tests.inference.patches.scenes import RECORD, write_scene

COLORS = ((200, 30, 40), (20, 90, 210))


def brightness(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))[:, None]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Dark on the left, bright on the right, nothing in the last row of patches."""
    pixels = np.full((2, 48, 64), 40, dtype=np.uint8)
    pixels[:, :, 16:] = 220
    pixels[:, 32:] = 0
    return write_scene(tmp_path / 'scene.tif', pixels, nodata=0)


def colors_of(picture: Path) -> Counter[tuple[int, ...]]:
    image = np.asarray(Image.open(picture).convert('RGB'))
    colors, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    return Counter(dict(zip(map(tuple, colors.tolist()), counts.tolist(), strict=True)))


def test_classes_have_their_colours_where_their_patches_are(tmp_path: Path, scene: Path) -> None:
    table, picture = tmp_path / 'classes.parquet', tmp_path / 'classes.png'
    classify_scene(
        brightness, scene, table, preprocessing=RECORD, size=16, device='cpu', progress=False
    )
    write_patches_preview(
        ShownScene(path=scene, bands=[1, 2]), table, picture, header=read_header(scene),
        tiles=plan_grid(48, 64, size=16, overlap=0), names=('dark', 'bright'), colors=COLORS,
    )  # fmt: skip
    colors = colors_of(picture)
    dark, bright = (colors[color] for color in COLORS)
    # a column of patches to three, but for the squares of the legend
    assert bright / dark == pytest.approx(3, rel=0.05)
    with pytest.raises(FileExistsError, match='overwrite'):
        write_patches_preview(
            ShownScene(path=scene, bands=[1, 2]), table, picture, header=read_header(scene),
            tiles=plan_grid(48, 64, size=16, overlap=0),
        )  # fmt: skip


def test_patches_of_like_vectors_have_one_colour(tmp_path: Path, scene: Path) -> None:
    table, picture = tmp_path / 'vectors.parquet', tmp_path / 'vectors.png'
    embed_scene(
        lambda images: images.mean((2, 3)), scene, table, preprocessing=RECORD, size=16,
        device='cpu', progress=False,
    )  # fmt: skip
    write_patches_preview(
        ShownScene(path=scene, bands=[1, 2]), table, picture, header=read_header(scene),
        tiles=plan_grid(48, 64, size=16, overlap=0),
    )  # fmt: skip
    vivid = Counter({c: n for c, n in colors_of(picture).items() if len(set(c)) > 1})
    (_, most), (_, fewer), *_ = vivid.most_common(3)
    assert most / fewer == pytest.approx(3, rel=0.05)


def test_a_scene_without_observations_is_drawn_too(tmp_path: Path) -> None:
    empty = write_scene(tmp_path / 'empty.tif', np.zeros((2, 48, 64), dtype=np.uint8), nodata=0)
    table, picture = tmp_path / 'vectors.parquet', tmp_path / 'vectors.png'
    embed_scene(
        lambda images: images.mean((2, 3)), empty, table, preprocessing=RECORD, size=16,
        device='cpu', progress=False,
    )  # fmt: skip
    write_patches_preview(
        ShownScene(path=empty, bands=[1, 2]), table, picture, header=read_header(empty),
        tiles=plan_grid(48, 64, size=16, overlap=0),
    )  # fmt: skip
    # both images are all grey, and nothing else is coloured
    colors = colors_of(picture)
    assert colors[NO_OBSERVATION] >= 2 * 450 * 600
    assert not [color for color in colors if len(set(color)) > 1]


def test_a_picture_that_could_not_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(create_backbone('resnet18', in_channels=2, size=32).state_dict(), tmp_path / 'b.pth')
    (tmp_path / 'rgb.json').write_text(json.dumps(RECORD.to_dict()))
    before = sorted(tmp_path.iterdir())
    for made, picture, message in (('x.parquet', 'x.jpg', '.png'), ('x.tif', 'x.png', 'a table')):
        words = [
            'predict', tmp_path / 'b.pth', scene, '--task', 'embed', '-o', tmp_path / made,
            '--preview', tmp_path / picture, '--preprocessing', tmp_path / 'rgb.json',
        ]  # fmt: skip
        assert main([str(word) for word in words]) == 1
        assert message in capsys.readouterr().err
        assert sorted(tmp_path.iterdir()) == before
