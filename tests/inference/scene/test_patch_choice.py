"""Laws of choosing patches: enough overlap, few pixels, never more than patches of usual size."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.scene.patch_choice import Cut, choose_cut, list_sizes, needed_overlap
from gersp_geo.tiling import plan_tile

STEPS = st.sampled_from((1, 14, 16, 32))


def counting(height: int, width: int) -> Callable[[Cut], float]:
    def forwarded(cut: Cut) -> float:
        tiles = plan_tile(height, width, size=cut.size, overlap=cut.overlap, step=cut.step)
        return len(tiles) * cut.size**2

    return forwarded


@given(st.integers(600, 9000), st.integers(600, 9000), STEPS, st.none() | st.integers(0, 256))
def test_a_chosen_cut_forwards_no_more_than_the_usual_one_and_sees_enough(
    height: int, width: int, step: int, radius: int | None
) -> None:
    forwarded = counting(height, width)
    usual = forwarded(Cut(size=512, overlap=64))
    sizes = list_sizes(step=step, pixel_bytes=256, memory_bytes=2**30, is_counted=False)
    cut = choose_cut(
        sizes, radius, height=height, width=width, step=step, margin=0, forwarded=forwarded, usual_pixels=usual,
    )  # fmt: skip
    assert cut.size in sizes
    assert 0 <= 2 * cut.margin <= cut.overlap < cut.size
    if radius is not None and cut.overlap >= 2 * radius:
        # neither of two neighbours is taken where it sees its side
        assert cut.margin == radius or 'no seams' in (cut.reason or '')
    elif radius is not None:
        assert (
            forwarded(cut)
            <= min(forwarded(Cut(size=size, overlap=64)) for size in sizes if size > 64) * 1.2
        )
    assert (
        choose_cut(
            sizes,
            radius,
            height=height,
            width=width,
            step=step,
            margin=0,
            forwarded=forwarded,
            usual_pixels=usual,
        )
        == cut
    )


def test_large_scenes_are_cut_into_large_patches_that_overlap_as_far_as_needed() -> None:
    forwarded = counting(8192, 8192)
    sizes = list_sizes(step=32, pixel_bytes=512, memory_bytes=2**30, is_counted=False)
    usual = forwarded(Cut(size=512, overlap=64))
    near = choose_cut(
        sizes,
        60,
        height=8192,
        width=8192,
        step=32,
        margin=0,
        forwarded=forwarded,
        usual_pixels=usual,
    )
    assert (near.overlap, near.margin, near.step) == (128, 60, 32)
    assert forwarded(near) < 0.98 * usual
    far = choose_cut(
        sizes,
        230,
        height=8192,
        width=8192,
        step=32,
        margin=0,
        forwarded=forwarded,
        usual_pixels=usual,
    )
    assert far.overlap == 64
    assert forwarded(far) < 0.87 * usual
    assert '--overlap 512' not in (far.reason or '')
    assert 'an overlap of 480 leaves no seams' in (far.reason or '')
    boundless = choose_cut(
        sizes,
        None,
        height=8192,
        width=8192,
        step=32,
        margin=0,
        forwarded=forwarded,
        usual_pixels=usual,
    )
    assert (boundless.size, boundless.overlap) == (512, 64)


def test_what_is_given_stays() -> None:
    forwarded = counting(8192, 8192)
    cut = choose_cut(
        [1024],
        60,
        height=8192,
        width=8192,
        step=32,
        margin=0,
        forwarded=forwarded,
        usual_pixels=1e9,
    )
    assert (cut.size, cut.overlap) == (1024, 128)
    sizes = list_sizes(step=32, pixel_bytes=512, memory_bytes=2**30, is_counted=False)
    cut = choose_cut(
        sizes,
        None,
        height=8192,
        width=8192,
        overlap=100,
        step=32,
        margin=0,
        forwarded=forwarded,
        usual_pixels=1e9,
    )
    assert cut.overlap == 100
    assert cut.step == 1
    assert cut.size == 1280


@given(STEPS, st.integers(0, 300))
def test_an_overlap_is_a_multiple_of_the_step_and_holds_the_radius_twice(
    step: int, radius: int
) -> None:
    overlap = needed_overlap(radius, step=step)
    assert overlap % step == 0
    assert 2 * radius <= overlap < 2 * radius + step


def test_sizes_are_bounded_by_memory_and_multiples_of_the_step() -> None:
    def listed(*, step: int = 32, pixel_bytes: int, memory_bytes: int = 2**30) -> list[int]:
        return [
            *list_sizes(
                step=step, pixel_bytes=pixel_bytes, memory_bytes=memory_bytes, is_counted=False
            )
        ]

    assert listed(pixel_bytes=1)[-1] == 1536
    assert listed(pixel_bytes=2**11)[-1] == 704
    assert listed(pixel_bytes=2**20, memory_bytes=2**20) == [512]
    assert all(size % 14 == 0 for size in listed(step=14, pixel_bytes=64))
