import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.models import adapt_input_conv
from torch.nn import functional as F

from gersp_geo.models.first_layer import FilterRule, adapt_stem, spread_filters

WEIGHT = torch.rand(8, 3, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@given(in_channels=st.integers(1, 16), dates=st.integers(1, 3), data=st.data())
def test_an_image_equal_in_all_bands_keeps_its_response(
    in_channels: int, dates: int, data: st.DataObject
) -> None:
    places = st.permutations(range(max(in_channels, 3))).map(lambda order: tuple(order[:3]))
    adapted = adapt_stem(WEIGHT, in_channels, rgb_bands=data.draw(places), dates=dates)
    assert adapted.shape == (8, in_channels * dates, 7, 7)
    image = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    before = F.conv2d(image.expand(1, 3, -1, -1), WEIGHT)
    after = F.conv2d(image.expand(1, in_channels * dates, -1, -1), adapted)
    torch.testing.assert_close(after, before)


def test_three_bands_in_order_change_nothing() -> None:
    assert adapt_stem(WEIGHT, 3) is WEIGHT


def test_as_many_bands_as_the_weights_change_nothing() -> None:
    weight = torch.rand(4, 13, 3, 3)
    assert adapt_stem(weight, 13) is weight


@given(places=st.permutations(range(5)).map(lambda order: tuple(order[:3])))
def test_colour_filters_lie_where_the_bands_are(places: tuple[int, ...]) -> None:
    adapted = adapt_stem(WEIGHT, 5, rgb_bands=places)
    torch.testing.assert_close(adapted[:, list(places)], WEIGHT * 3 / 5)
    others = [band for band in range(5) if band not in places]
    mean = WEIGHT.mean(dim=1, keepdim=True).expand(-1, 2, -1, -1) * 3 / 5
    torch.testing.assert_close(adapted[:, others], mean)


def test_swapped_colours_of_three_bands_swap_the_filters() -> None:
    torch.testing.assert_close(adapt_stem(WEIGHT, 3, rgb_bands=(2, 1, 0)), WEIGHT.flip(1))


@given(
    order=st.permutations(range(3)).map(tuple),
    places=st.permutations(range(5)).map(lambda order: tuple(order[:3])),
)
def test_filters_of_colours_in_another_order_go_where_those_of_colours_in_order_go(
    order: tuple[int, ...], places: tuple[int, ...]
) -> None:
    # red, green and blue filters stand where *order* says
    shuffled = torch.empty_like(WEIGHT)
    shuffled[:, list(order)] = WEIGHT
    for bands in (1, 3, 5):
        where = places if bands == 5 else (2, 0, 1)
        torch.testing.assert_close(
            adapt_stem(shuffled, bands, rgb_bands=where, order=order),
            adapt_stem(WEIGHT, bands, rgb_bands=where),
        )


@pytest.mark.parametrize('places', [(0, 1), (0, 0, 1), (0, 1, 4), (-1, 0, 1), (0, 1, 2, 3)])
def test_places_that_are_no_three_bands_are_refused(places: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r'rgb_bands must be three different bands in \[0, in_ch'):
        adapt_stem(WEIGHT, 4, rgb_bands=places)


def test_other_weights_than_three_bands_are_not_spread() -> None:
    with pytest.raises(ValueError, match='weights for 13 bands fit a model of 13, got in_chan'):
        adapt_stem(torch.rand(4, 13, 3, 3), 4)


@given(in_channels=st.integers(1, 16))
def test_repeated_filters_are_those_of_timm(in_channels: int) -> None:
    weight = WEIGHT.float()
    theirs = adapt_input_conv(in_channels, weight)
    torch.testing.assert_close(spread_filters(weight, in_channels, rule='repeat'), theirs)


@given(in_channels=st.integers(1, 16), data=st.data())
def test_an_image_equal_in_all_bands_keeps_its_response_with_the_mean(
    in_channels: int, data: st.DataObject
) -> None:
    places = st.permutations(range(max(in_channels, 3))).map(lambda order: tuple(order[:3]))
    adapted = spread_filters(WEIGHT, in_channels, rule='mean', rgb_bands=data.draw(places))
    torch.testing.assert_close(adapted.sum(dim=1), WEIGHT.sum(dim=1))
    if in_channels != 3:
        assert torch.equal(adapted, adapted[:, :1].expand_as(adapted))


@pytest.mark.parametrize('rule', ['scaled', 'repeat', 'mean', 'random'])
def test_three_bands_and_equal_numbers_of_bands_know_no_rule(rule: FilterRule) -> None:
    assert spread_filters(WEIGHT, 3, rule=rule) is WEIGHT
    many = torch.rand(4, 13, 3, 3)
    assert spread_filters(many, 13, rule=rule) is many
    with pytest.raises(ValueError, match='weights for 13 bands fit a model of 13, got in_chan'):
        spread_filters(many, 4, rule=rule)


@given(
    order=st.permutations(range(3)).map(tuple),
    rule=st.sampled_from(['scaled', 'repeat', 'mean', 'random']),
)
def test_every_rule_takes_colours_by_their_order(order: tuple[int, ...], rule: FilterRule) -> None:
    shuffled = torch.empty_like(WEIGHT)
    shuffled[:, list(order)] = WEIGHT
    fresh = torch.rand(8, 5, 7, 7, dtype=torch.float64)
    one, other = (
        spread_filters(weight, 5, rule=rule, rgb_bands=(4, 2, 0), order=by, fresh=fresh)
        for weight, by in ((WEIGHT, (0, 1, 2)), (shuffled, order))
    )
    torch.testing.assert_close(one, other)
    if rule == 'random':
        assert torch.equal(one[:, [4, 2, 0]], WEIGHT)
        assert torch.equal(one[:, [1, 3]], fresh[:, [1, 3]])


def test_random_filters_need_three_bands_and_fresh_ones() -> None:
    with pytest.raises(ValueError, match='rgb_bands must be three different bands'):
        spread_filters(WEIGHT, 2, rule='random', fresh=torch.rand(8, 2, 7, 7))
    with pytest.raises(ValueError, match="rule='random' needs the filters"):
        spread_filters(WEIGHT, 4, rule='random')
    with pytest.raises(ValueError, match="spread by scaled, repeat, mean, random, got 'median'"):
        spread_filters(WEIGHT, 4, rule='median')  # type: ignore[arg-type]
