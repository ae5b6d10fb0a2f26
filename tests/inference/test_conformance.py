"""Laws that hold for any engine of tiled prediction: what a map holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from gersp_geo.stitching import axis_weights
from gersp_geo.tiling import plan_tile
from tests.inference.engines import (
    ENGINES,
    Blend,
    Engine,
    Model,
    identity,
    noise,
    on_every_engine,
    write_scene,
)

SHAPES = {
    'odd': (67, 101),
    'one patch': (32, 32),
    'a patch and a pixel': (33, 33),
    'smaller than a patch': (9, 20),
    'a pixel wide': (50, 1),
    'a pixel high': (1, 50),
    'one pixel': (1, 1),
}
# how far a model sees, and how much more than twice that patches share
RADII_AND_SPARES = [(radius, spare) for radius in (1, 4, 7) for spare in (0, 5)]
every_blend = pytest.mark.parametrize('blend', ['hann', 'crop'])
every_shape = pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
# the surroundings of a single pixel are that pixel, however they are made
WIDER_SHAPES = {name: shape for name, shape in SHAPES.items() if shape != (1, 1)}
every_wider_shape = pytest.mark.parametrize('shape', WIDER_SHAPES.values(), ids=WIDER_SHAPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scene and how it is cut."""

    height: int
    width: int
    size: int
    overlap: int
    margin: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 32))
    overlap = draw(st.integers(0, size * 9 // 10))
    return Case(
        height=draw(st.integers(1, 60)),
        width=draw(st.integers(1, 60)),
        size=size,
        overlap=overlap,
        margin=draw(st.integers(0, overlap // 2)),
    )


def constant(images: Tensor) -> Tensor:
    logits = torch.tensor([0.0, 3.0, 1.0])[None, :, None, None]
    return logits.expand(len(images), 3, *images.shape[2:]).clone()


def ones(images: Tensor) -> Tensor:
    return torch.ones_like(images)


def convolution(radius: int) -> nn.Module:
    """Make a model of two bands whose output depends on *radius* pixels to every side."""
    torch.manual_seed(radius)
    conv = nn.Conv2d(2, 3, 2 * radius + 1, padding=radius)
    with torch.no_grad():
        conv.weight /= conv.weight.abs().sum(dim=(1, 2, 3), keepdim=True)
    return conv


def layers(radius: int) -> nn.Module:
    """Make a model of two bands that sees *radius* pixels through as many layers."""
    torch.manual_seed(radius)
    convs = [nn.Conv2d(2 if n == 0 else 4, 4, 3, padding=1) for n in range(radius)]
    return nn.Sequential(*(module for conv in convs for module in (conv, nn.ReLU())))


def on_reflected_whole(
    model: Model, scene: NDArray[np.float32], *, radius: int
) -> NDArray[np.float32]:
    """Run a model once, on the whole scene with *radius* pixels reflected around it."""
    sides = (radius, radius)
    padded = np.pad(scene, ((0, 0), sides, sides), mode='reflect')
    with torch.inference_mode():
        whole = model(torch.from_numpy(padded)[None])[0].numpy()
    _, height, width = scene.shape
    cropped: NDArray[np.float32] = whole[:, radius : radius + height, radius : radius + width]
    return cropped


@on_every_engine()
@every_blend
@every_shape
def test_a_constant_model_gives_a_constant_map(
    tmp_path: Path, engine: Engine, blend: Blend, shape: tuple[int, int]
) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise((1, *shape)))
    probabilities = engine.predict(constant, source, tmp_path, blend=blend, output='probabilities')
    expected = torch.tensor([0.0, 3.0, 1.0]).softmax(0).numpy()[:, None, None]
    np.testing.assert_allclose(
        probabilities, np.broadcast_to(expected, (3, *shape)), rtol=0, atol=1e-6
    )
    classes = engine.predict(constant, source, tmp_path, blend=blend, output='classes')
    np.testing.assert_array_equal(classes, np.ones((1, *shape)))


@pytest.mark.quick('a quarter', 'nine tenths')
@on_every_engine()
@every_blend
@every_shape
@pytest.mark.parametrize('overlap', [0, 8, 28], ids=['none', 'a quarter', 'nine tenths'])
def test_an_identity_model_returns_the_scene(
    tmp_path: Path, engine: Engine, blend: Blend, shape: tuple[int, int], overlap: int
) -> None:
    pixels = noise((2, *shape))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    stitched = engine.predict(identity, source, tmp_path, blend=blend, overlap=overlap)
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=2e-6)


@pytest.mark.quick('odd', 'smaller than a patch', 'a pixel high')
@on_every_engine('reflection', 'crop')
@every_wider_shape
def test_cropping_equals_the_reflected_whole_scene(
    tmp_path: Path, engine: Engine, shape: tuple[int, int]
) -> None:
    pixels = noise((2, *shape))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    for radius, spare in RADII_AND_SPARES:
        model = layers(radius) if spare else convolution(radius)
        stitched = engine.predict(model, source, tmp_path, overlap=2 * radius + spare, blend='crop')
        expected = on_reflected_whole(model, pixels, radius=radius)
        np.testing.assert_allclose(stitched, expected, rtol=0, atol=1e-5)


@pytest.mark.quick('odd', 'smaller than a patch', 'a pixel wide')
@on_every_engine('reflection', 'margin')
@every_wider_shape
def test_blending_within_margins_equals_the_reflected_whole_scene(
    tmp_path: Path, engine: Engine, shape: tuple[int, int]
) -> None:
    pixels = noise((2, *shape))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    for radius, spare in RADII_AND_SPARES:
        model = layers(radius) if spare else convolution(radius)
        stitched = engine.predict(
            model, source, tmp_path, overlap=2 * radius + spare, margin=radius
        )
        expected = on_reflected_whole(model, pixels, radius=radius)
        np.testing.assert_allclose(stitched, expected, rtol=0, atol=1e-5)


@on_every_engine()
@pytest.mark.parametrize('radius', [1, 7])
def test_a_single_pixel_is_its_own_surroundings(
    tmp_path: Path, engine: Engine, radius: int
) -> None:
    pixels = noise((2, 1, 1))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    model = layers(radius)
    stitched = engine.predict(model, source, tmp_path, overlap=2 * radius, blend='crop')
    expected = on_reflected_whole(model, pixels, radius=radius)
    np.testing.assert_allclose(stitched, expected, rtol=0, atol=1e-5)


@on_every_engine('margin')
def test_the_margin_of_no_patch_is_used(tmp_path: Path, engine: Engine) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise((1, 67, 101)))

    def framed(images: Tensor) -> Tensor:
        # garbage in the outer four pixels of every patch
        scores = torch.full_like(images, torch.nan)
        scores[..., 4:-4, 4:-4] = 1
        return scores

    for overlap in (8, 13):
        stitched = engine.predict(framed, source, tmp_path, overlap=overlap, margin=4)
        np.testing.assert_allclose(stitched, np.ones((1, 67, 101)), rtol=0, atol=1e-6)


@on_every_engine()
@every_blend
@pytest.mark.parametrize(
    ('count', 'bands'),
    [(1, None), (1, (1, 1, 1)), (4, None), (4, (4, 3, 2)), (13, None), (13, (13, 1, 8, 4))],
)
def test_bands_enter_in_the_order_asked_for(
    tmp_path: Path, engine: Engine, blend: Blend, count: int, bands: tuple[int, ...] | None
) -> None:
    pixels = noise((count, 40, 50))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    stitched = engine.predict(identity, source, tmp_path, blend=blend, bands=bands)
    expected = pixels if bands is None else pixels[[band - 1 for band in bands]]
    np.testing.assert_allclose(stitched, expected, rtol=0, atol=2e-6)


@on_every_engine()
@every_blend
def test_sixteen_bits_enter_unscaled_however_bright_a_patch_is(
    tmp_path: Path, engine: Engine, blend: Blend
) -> None:
    # geoai 0.43 divides by 255 whatever patch exceeds 1.5, samgeo stretches patch by patch
    pixels = np.ones((1, 70, 90), dtype='uint16')
    pixels[:, :, 45:] = 65535
    pixels[:, 30:35, 20:70] = 3000
    source = write_scene(tmp_path / 'scene.tif', pixels)
    stitched = engine.predict(identity, source, tmp_path, blend=blend)
    np.testing.assert_allclose(stitched, pixels.astype('float32'), rtol=2e-6)


@on_every_engine()
def test_three_hundred_classes_keep_their_numbers(tmp_path: Path, engine: Engine) -> None:
    pixels = np.random.default_rng(0).integers(0, 300, (1, 40, 45), dtype='uint16')
    pixels[0, -1, -1] = 299
    source = write_scene(tmp_path / 'scene.tif', pixels)

    def nearest(images: Tensor) -> Tensor:
        return -((images - torch.arange(300)[None, :, None, None]) ** 2)

    classes = engine.predict(nearest, source, tmp_path, output='classes')
    assert classes.dtype == np.uint16
    np.testing.assert_array_equal(classes, pixels)


@on_every_engine()
@given(case=cases())
def test_cropping_returns_each_of_many_different_pixels(
    tmp_path: Path, engine: Engine, case: Case
) -> None:
    shape = (1, case.height, case.width)
    pixels = np.arange(case.height * case.width, dtype='float32').reshape(shape)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    stitched = engine.predict(
        identity, source, tmp_path, size=case.size, overlap=case.overlap, blend='crop'
    )
    np.testing.assert_array_equal(stitched, pixels)


@on_every_engine('crop')
@given(case=cases())
def test_cropping_takes_each_pixel_from_one_patch(
    tmp_path: Path, engine: Engine, case: Case
) -> None:
    # no sum of two or more of them is another one
    # enough for a patch per pixel, and for what an engine asks a model first
    marks = np.random.default_rng(0).random(5000, dtype='float32') + 1
    seen: Iterator[float] = iter(marks)

    def number(images: Tensor) -> Tensor:
        numbers = [next(seen) for _ in images]
        return torch.tensor(numbers)[:, None, None, None].expand(images.shape).clone()

    source = write_scene(tmp_path / 'scene.tif', noise((1, case.height, case.width)))
    stitched = engine.predict(
        number, source, tmp_path, size=case.size, overlap=case.overlap, blend='crop'
    )
    assert np.isin(stitched, marks).all()


@on_every_engine()
@given(case=cases())
def test_weights_of_blending_sum_to_one(tmp_path: Path, engine: Engine, case: Case) -> None:
    shape = (1, case.height, case.width)
    source = write_scene(tmp_path / 'scene.tif', noise(shape))
    stitched = engine.predict(
        ones, source, tmp_path, size=case.size, overlap=case.overlap, blend='hann'
    )
    np.testing.assert_allclose(stitched, np.ones(shape), rtol=0, atol=1e-6)


@given(case=cases())
def test_the_plan_keeps_each_pixel_once_and_its_weights_sum_to_one(case: Case) -> None:
    plan = plan_tile(case.height, case.width, size=case.size, overlap=case.overlap)
    hits = np.zeros((case.height, case.width), dtype=int)
    for patch in plan.patches:
        keep = patch.keep
        hits[keep.row_off : keep.row_stop, keep.col_off : keep.col_stop] += 1
    assert (hits == 1).all()
    for offsets, length in ((plan.row_offs, case.height), (plan.col_offs, case.width)):
        weights = axis_weights(offsets, size=case.size, length=length, margin=case.margin)
        total = np.zeros(length)
        for offset, row in zip(offsets, weights, strict=True):
            inside = np.arange(case.size) + offset
            is_inside = (inside >= 0) & (inside < length)
            total[inside[is_inside]] += row[is_inside]
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)
        # also a patch at the border has no use for what the model makes of its rim
        rim = np.r_[: case.margin, case.size - case.margin : case.size]
        assert (weights[:, rim] == 0).all()


@on_every_engine()
@every_blend
@pytest.mark.parametrize(
    ('shape', 'size', 'overlap'),
    [
        # geoai 0.43: outer ring nodata (linear, cosine); 1.3e-5 instead of 1 in corners (spline)
        ((300, 280), 128, 64),
        # terratorch 1.2: pixels without a value; nothing at all where patches do not overlap
        ((500, 113), 128, 32),
        ((500, 113), 128, 0),
        # geo-inference 3.2: 0.2 % of the pixels lost; nothing but background below one patch
        ((512, 512), 512, 0),
        ((512, 512), 512, 64),
        ((300, 200), 512, 64),
        # rslearn 0.1: a pixel of shift at the last patch; geoai: last row and column twice
        ((513, 130), 128, 16),
    ],
    ids=str,
)
def test_every_pixel_has_full_probability_and_its_own_place(
    tmp_path: Path, engine: Engine, blend: Blend, shape: tuple[int, int], size: int, overlap: int
) -> None:
    pixels = np.indices(shape).astype('float32')
    source = write_scene(tmp_path / 'scene.tif', pixels)

    def places_and_one(images: Tensor) -> Tensor:
        return torch.cat([images, torch.ones_like(images[:, :1])], dim=1)

    stitched = engine.predict(
        places_and_one, source, tmp_path, size=size, overlap=overlap, blend=blend
    )
    assert stitched.shape == (3, *shape)
    np.testing.assert_allclose(stitched[2], 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(stitched[:2], pixels, rtol=0, atol=1e-3)


def test_another_engine_is_held_to_the_same_laws(tmp_path: Path) -> None:
    pixels = noise((2, 33, 50))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    monai = ENGINES[1]
    stitched = monai.predict(identity, source, tmp_path, blend='crop')
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=2e-6)
    # and falls short of what it is said not to do
    assert 'reflection' in monai.shortcomings
    model = layers(4)
    expected = on_reflected_whole(model, pixels, radius=4)
    stitched = monai.predict(model, source, tmp_path, overlap=8, blend='crop')
    assert np.abs(stitched - expected).max() > 1e-3
