"""Which band is which: by description, else by colour interpretation, else by order."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rasterio.transform import from_origin
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

RED, GREEN, BLUE, NIR = (
    ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir,
)  # fmt: skip
PIXELS = np.random.default_rng(0).integers(1, 200, (4, 40, 40), dtype=np.uint8)
"""Red, green, blue and near infrared."""

type Model = Callable[..., Path]


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A checkpoint whose record gives bands some names; one network per number of bands."""
    folder = tmp_path_factory.mktemp('models')
    tasks: dict[int, SemanticSegmentation] = {}

    def make(*bands: str) -> Path:
        count = len(bands)
        if count not in tasks:
            torch.manual_seed(0)
            tasks[count] = SemanticSegmentation(
                'unet', 'tu-test_resnet', in_channels=count, num_classes=2
            )
        record = Preprocessing(
            bands=bands, scale=(1 / 255,) * count, mean=tuple(0.1 * i for i in range(count)),
            std=(0.2,) * count, class_names=('land', 'water'), dtype='uint8',
            task_class='torchgeo.tasks.SemanticSegmentation',
        )  # fmt: skip
        path = folder / f'{"-".join(bands)}.ckpt'
        task = tasks[count]
        saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
        more = {'gersp_geo': record.to_dict(), 'pytorch-lightning_version': '2.6.0'}
        torch.save(saved | more, path)
        return path

    return make


def write(
    path: Path,
    pixels: NDArray[np.uint8],
    colors: Sequence[ColorInterp] | None = None,
    names: Sequence[str | None] = (),
    photometric: str = 'MINISBLACK',
    **profile: Any,
) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', count=count, height=height, width=width, dtype='uint8', crs='EPSG:32633',
        transform=from_origin(4e5, 5e6, 10, 10), driver='GTiff', photometric=photometric, alpha='NO',
        **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        if colors:
            dst.colorinterp = colors
        for band, name in enumerate(names, start=1):
            if name:
                dst.set_band_description(band, name)
    return path


def scores(model: Path, scene: Path, *words: str) -> NDArray[np.float32]:
    """Predict logits by the command."""
    found = scene.with_suffix('.map.tif')
    line = ['predict', str(model), str(scene), '-o', str(found), '--output', 'values']
    assert (
        main([*line, '--size', '64', '--overlap', '16', '--overwrite', '--no-progress', *words])
        == 0
    )
    with rasterio.open(found) as src:
        pixels: NDArray[np.float32] = src.read()
    return pixels


def plan_line(
    capsys: pytest.CaptureFixture[str], name: str, model: Path, scene: Path, *words: str
) -> str | None:
    """Take one line of the plan."""
    capsys.readouterr()
    line = ['plan', str(model), str(scene), '-o', str(scene.with_suffix('.none.tif'))]
    assert main([*line, '--size', '64', '--overlap', '16', '--batch-size', '1', *words]) == 0
    found = [text for text in capsys.readouterr().out.splitlines() if text.startswith(name)]
    return found[0].removeprefix(name).strip() if found else None


def refusal(capsys: pytest.CaptureFixture[str], model: Path, scene: Path, *words: str) -> str:
    """Expect one line from plan and predict alike, and no file."""
    said = []
    for command in ('plan', 'predict'):
        capsys.readouterr()
        line = [command, str(model), str(scene), '-o', str(scene.parent / 'none.tif'), *words]
        assert main([*line, '--size', '64']) == 1
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert said[0].count('\n') == 1
    assert not (scene.parent / 'none.tif').exists()
    return said[0]


@pytest.mark.quick('order1')
@pytest.mark.parametrize(
    ('order', 'driver'), [((2, 1, 0), 'GTiff'), ((3, 2, 1, 0), 'VRT'), ((0, 3, 1, 2), 'GTiff')]
)
def test_colour_interpretation_names_the_bands_that_descriptions_do_not(
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    order: tuple[int, ...],
    driver: str,
) -> None:
    colors = (RED, GREEN, BLUE, NIR)
    count = len(order)
    wanted = model('red', 'green', 'blue', 'nir') if count == 4 else model('red', 'green', 'blue')
    places = list(order)
    scene = write(tmp_path / 's.tif', PIXELS[places], [colors[place] for place in places])
    if driver == 'VRT':
        copy(scene, tmp_path / 's.vrt', driver='VRT')
        scene = tmp_path / 's.vrt'
    given = ','.join(str(places.index(color) + 1) for color in range(count))
    plain = write(tmp_path / 'plain.tif', PIXELS[:count])
    assert np.array_equal(scores(wanted, scene), scores(wanted, plain))
    names = ('red', 'green', 'blue', 'nir')
    pairs = ', '.join(f'{b} {name}' for b, name in zip(given.split(','), names, strict=False))
    assert plan_line(capsys, 'bands', wanted, scene) == f'{pairs} (by colour interpretation)'


@pytest.mark.parametrize(
    'words', [('--res', '20'), ('--res', '20', '--nodata', '0'), ('--crs', 'EPSG:3857')]
)
def test_resampled_scenes_keep_their_names(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    scene = write(tmp_path / 's.tif', PIXELS[[2, 1, 0]], (BLUE, GREEN, RED), nodata=1)
    said = plan_line(capsys, 'bands', model('red', 'green', 'blue'), scene, *words)
    assert said == '3 red, 2 green, 1 blue (by colour interpretation)'


def test_red_green_blue_in_order_stays_in_order(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = write(tmp_path / 'named.tif', PIXELS[:3], photometric='RGB')
    plain = write(tmp_path / 'plain.tif', PIXELS[:3])
    wanted = model('red', 'green', 'blue')
    assert np.array_equal(scores(wanted, named), scores(wanted, plain))
    told = plan_line(capsys, 'bands', wanted, plain)
    assert told == '1 red, 2 green, 3 blue (in order: the scene names none)'
    told = plan_line(capsys, 'bands', wanted, named)
    assert told == '1 red, 2 green, 3 blue (by colour interpretation)'
    told = plan_line(capsys, 'bands', model('VV', 'VH', 'ratio'), named)
    assert told == '1 VV, 2 VH, 3 ratio (in order; colour interpretation says red, green, blue)'


def test_descriptions_win_over_colour_interpretation_and_the_plan_says_so(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ('blue', 'green', 'red')
    scene = write(tmp_path / 's.tif', PIXELS[[2, 1, 0]], (RED, GREEN, BLUE), names)
    assert plan_line(capsys, 'bands', model('red', 'green', 'blue'), scene) == (
        '3 red, 2 green, 1 blue (by description; colour interpretation says blue, green, red)'
    )


def test_nothing_is_guessed_where_names_speak_against_the_order(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, wanted = (
        write(tmp_path / 's.tif', PIXELS[:3], (NIR, RED, GREEN)),
        model('red', 'green', 'blue'),
    )
    said = refusal(capsys, wanted, scene)
    assert 'the model wants the bands red, green, blue, but ' in said
    assert 'has nir (by colour interpretation), red (by colour interpretation), green (by' in said
    assert 'pass bands (--bands 1,2,3)' in said
    # that is a way out
    assert plan_line(capsys, 'bands', wanted, scene, '--bands', '2,3,1')


def indices(path: Path) -> Path:
    """A file of indices into a table of colours."""
    write(path, PIXELS[:1] % 3, photometric='PALETTE')
    with rasterio.open(path, 'r+') as dst:
        dst.write_colormap(1, {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 0, 255)})
    return path


def test_a_palette_is_refused_for_colours_and_its_indices_are_never_blended(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, wanted = indices(tmp_path / 'p.tif'), model('red', 'green', 'blue')
    said = refusal(capsys, wanted, scene)
    assert (
        'p.tif holds indices into a table of colours (a palette), and the model wants red' in said
    )
    assert 'expand it (gdal_translate -expand rgb), or pass bands (--bands 1,1,1)' in said
    # the way out that needs no other file
    plain = write(tmp_path / 'plain.tif', (PIXELS[:1] % 3).repeat(3, axis=0))
    assert np.array_equal(scores(wanted, scene, '--bands', '1,1,1'), scores(wanted, plain))
    assert plan_line(capsys, 'bands', model('x'), scene) == '1 x (in order: the scene names none)'
    for words in (('--res', '20'), ('--crs', 'EPSG:3857')):
        said = refusal(capsys, model('x'), scene, *words)
        assert 'band 1 of ' in said
        assert '(a palette), which resampling would blend' in said


def test_scale_and_offset_are_told_and_not_applied(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, wanted = write(tmp_path / 's.tif', PIXELS[:3]), model('red', 'green', 'blue')
    before = scores(wanted, scene)
    assert plan_line(capsys, 'values', wanted, scene) is None
    with rasterio.open(scene, 'r+') as dst:
        dst.scales, dst.offsets = (2.75e-05,) * 3, (-0.2,) * 3
    told = 'taken as stored; the file tags scale 2.75e-05 and offset -0.2'
    for words in ((), ('--res', '20'), ('--crs', 'EPSG:4326', '--nodata', '0')):
        assert plan_line(capsys, 'values', wanted, scene, *words) == told
    capsys.readouterr()
    assert np.array_equal(scores(wanted, scene), before)
    assert f'values   {told}\n' in capsys.readouterr().out
