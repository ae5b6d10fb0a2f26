import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.preprocessing import Preprocessing
from gersp_geo.windows import Window

numbers = st.floats(-1e4, 1e4)


@st.composite
def preprocessings(draw: st.DrawFn) -> Preprocessing:
    count = draw(st.integers(1, 13))

    def values(strategy: st.SearchStrategy[float]) -> tuple[float, ...]:
        return tuple(draw(st.lists(strategy, min_size=count, max_size=count)))

    # what neither GDAL nor XML take in a name is refused
    text = st.text(
        st.characters(exclude_categories=['Cc', 'Cs'], exclude_characters='\ufffe\uffff'),
        max_size=5,
    )
    names = draw(st.lists(text, max_size=4))
    color = st.tuples(*[st.integers(0, 255)] * 3)
    return Preprocessing(
        bands=tuple(f'B{i}' for i in range(count)),
        scale=values(numbers),
        mean=values(numbers),
        std=values(st.floats(1e-3, 1e4)),
        size=draw(st.none() | st.integers(1, 999)),
        res_m=draw(st.none() | numbers),
        class_names=tuple(names),
        class_colors=tuple(draw(color) for _ in names),
    )


@given(preprocessings())
def test_a_record_survives_the_way_through_json(record: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(record.to_dict()))) == record


VALID = {'bands': ['red'], 'scale': [1.0], 'mean': [0.0], 'std': [1.0]}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'std': [0.0]}, 'std must be > 0 in every band'),
        ({'mean': [0.0, 1.0]}, r'mean must have one value per band \(1\), got 2'),
        ({'colour': 'red'}, r"preprocessing has unknown fields \['colour'\]"),
        ({'class_names': ['a', 'b'], 'class_colors': [[0, 0, 0]]}, 'one colour per class'),
    ],
)
def test_a_record_that_cannot_be_right_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(VALID | change)


def test_a_record_without_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the fields \['mean'\]"):
        Preprocessing.from_dict({k: v for k, v in VALID.items() if k != 'mean'})


def test_a_window_ends_where_the_next_begins() -> None:
    window = Window(row_off=2, col_off=3, height=5, width=7)
    assert (window.row_stop, window.col_stop) == (7, 10)
