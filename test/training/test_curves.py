import numpy as np

from training.curves import COLOURS, SIZE, draw_curves, smooth


def rows_of(picture, colour):
    """Rows of the left and of the right end of a curve."""
    columns = np.arange(70, 751)
    distance = np.abs(picture[:, columns].astype(int) - colour).sum(-1)
    found = distance < 90
    rows = [np.flatnonzero(found[:, i]).mean() for i in np.flatnonzero(found.any(0))[[0, -1]]]
    return rows[0], rows[1]


def test_a_falling_curve_falls_and_another_lies_below():
    falling = [(step, 100 / (step + 1)) for step in range(100)]
    low = [(step, 0.5) for step in range(100)]
    picture = draw_curves({"loss": falling, "size": low}, "step")

    assert picture.shape == (*SIZE, 3)
    start, end = rows_of(picture, COLOURS[0])
    assert start < 60
    assert end > start + 150
    flat_start, flat_end = rows_of(picture, COLOURS[1])
    assert flat_start == flat_end > end


def test_nothing_to_draw_is_an_empty_picture():
    for curves in ({}, {"loss": []}, {"loss": [(1, 0.0), (2, float("nan"))]}):
        assert (draw_curves(curves, "step") == 255).all()


def test_smoothing_keeps_means_and_short_curves():
    assert smooth([(1, 5), (2, 7)]) == [(1, 5), (2, 7)]
    assert smooth([(x, x % 2) for x in range(8)], count=2) == [(1.5, 0.5), (5.5, 0.5)]
    assert smooth([]) == []
