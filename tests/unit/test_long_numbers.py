"""Numbers that some readers take for another than others do: a card's number may be one, and would be looked for in the wrong digits."""

from __future__ import annotations

import pytest

from extproc.core.body import Malformed, read


@pytest.mark.parametrize(
    "number",
    [
        "6291417776317066901",
        "6291417776317066901.0",
        "6291417776317066901e0",
        "-6291417776317066901.00",
        "62914177763170669.01e2",
        "9007199254740993.0",
    ],
)
def test_a_number_with_more_digits_than_a_double_has_is_refused(number: str) -> None:
    """However it is written."""
    with pytest.raises(Malformed, match="whole number that not every parser can hold"):
        read(f'{{"x": {number}}}'.encode(), max_depth=64)


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740992",
        "9007199254740994.0",
        "1e300",
        "1.7976931348623157e308",
        "4111111111111111.0",
        "1152921504606846976",
        "0.12345678901234567890",
    ],
)
def test_a_number_that_is_the_same_for_all_is_read(number: str) -> None:
    """Small fractions are no one's number, however many digits they have."""
    assert read(f'{{"x": {number}, "s": "6291417776317066901.0"}}'.encode(), max_depth=64).tree["x"] == float(number)
