"""Checks of settings that configurations share."""

from types import SimpleNamespace

import pytest

from wm.settings import check_choices, check_numbers, check_whole


def test_what_is_right_passes():
    own = SimpleNamespace(model="gru", units=4, share=0.0, rate=1e-3)
    check_choices(own, {"model": ("rnn", "gru")})
    check_whole(own, {"units": 4})
    check_numbers(own, ("share", "rate"), "0 or more and finite")
    check_numbers(own, ("share",), "from 0 to 1")
    check_numbers(own, ("rate",), "above 0 and finite")


@pytest.mark.parametrize("given", ["grv", ""])
def test_an_unknown_name_is_told_with_the_nearest(given):
    with pytest.raises(ValueError, match=rf"unknown model '{given}'.*gru"):
        check_choices(SimpleNamespace(model=given), {"model": ("rnn", "gru")})


@pytest.mark.parametrize("given", [3, 4.0, "4", -1])
def test_what_is_no_whole_number_or_too_small_is_told(given):
    with pytest.raises(ValueError, match="units must be a whole number of at least 4, got"):
        check_whole(SimpleNamespace(units=given), {"units": 4})


@pytest.mark.parametrize(
    ("range_", "wrong"),
    [
        ("0 or more and finite", (-1e-9, float("inf"), float("nan"))),
        ("above 0 and finite", (0, float("inf"), float("nan"))),
        ("from 0 to below 1", (-1e-9, 1, float("nan"))),
        ("from 0 to 1", (-1e-9, 1.01, float("nan"))),
    ],
)
def test_a_number_out_of_its_range_is_told(range_, wrong):
    for given in wrong:
        with pytest.raises(ValueError, match=f"rate must be {range_}, got {given}"):
            check_numbers(SimpleNamespace(rate=given), ("rate",), range_)
