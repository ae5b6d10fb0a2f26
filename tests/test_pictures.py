"""Laws of images as they are shown: colours are where their bands and classes are."""

import numpy as np
import pytest

from gersp_geo.pictures import draw_blocks, draw_images, find_limits, paint_classes, stretch


def test_bands_become_red_green_and_blue_with_one_range() -> None:
    image = np.stack([np.full((4, 5), value) for value in (9.0, 30.0, 20.0, 10.0)])
    shown = stretch(image, ('nir', 'blue', 'green', 'red'))
    assert shown.shape == (4, 5, 3)
    np.testing.assert_allclose(shown, np.broadcast_to((0, 0.5, 1), (4, 5, 3)), atol=1e-12)
    # without names, the first three
    assert (stretch(image, ())[..., 1] == 1).all()


@pytest.mark.parametrize(('value', 'expected'), [(7, 0), (np.nan, 0), (np.inf, 1), (-np.inf, 0)])
def test_images_of_one_value_have_a_colour_and_one_band_is_grey(
    value: float, expected: float
) -> None:
    shown = stretch(np.full((1, 3, 2), value), ())
    assert shown.shape == (3, 2, 3)
    assert (shown == expected).all()


def test_what_is_missing_moves_no_contrast() -> None:
    image = np.linspace(10, 20, 100).reshape(1, 10, 10)
    holed = np.concatenate([image, np.full((1, 90, 10), np.nan)], axis=1)
    np.testing.assert_array_equal(stretch(holed, ())[:10], stretch(image, ()))


def test_nearly_all_values_lie_between_the_limits() -> None:
    assert find_limits(np.arange(101)) == (2.0, 98.0)
    low, high = find_limits(np.full(5, 3))
    assert low == 3 < high
    assert find_limits(np.zeros(0)) == (0.0, 1.0)


def test_classes_have_their_colours_and_what_is_none_another() -> None:
    colors = ((1, 2, 3), (4, 5, 6))
    painted = paint_classes(np.array([[0, 1, 2], [-1, 255, 1]]), colors)
    white = (255, 255, 255)
    assert painted.tolist() == [
        [list(c) for c in (colors[0], colors[1], white)],
        [list(c) for c in (white, white, colors[1])],
    ]
    assert (paint_classes(np.array([[9]]), colors, others=(7, 7, 7)) == 7).all()


def test_every_image_is_drawn_below_its_name() -> None:
    figure = draw_images({'Image': np.zeros((2, 3, 3)), 'Mask': np.ones((2, 3, 3))}, title='here')
    assert [axes.get_title(loc='left') for axes in figure.axes] == ['Image', 'Mask']
    assert [len(axes.images) for axes in figure.axes] == [1, 1]
    figure.canvas.draw()


def test_blocks_stand_below_each_other_column_by_column() -> None:
    one = np.zeros((2, 2, 3))
    figure = draw_blocks({'first': {'a': [one] * 3, 'b': [one] * 2}, 'second': {'c': [one]}})
    figure.canvas.draw()
    grid = np.array(figure.axes).reshape(3, 3)
    assert [[len(axes.images) for axes in row] for row in grid] == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    lefts = {round(row[0].get_position().x0, 6) for row in grid}
    assert len(lefts) == 1
