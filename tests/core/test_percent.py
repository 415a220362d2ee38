"""Shares in sentences: what isn't none or all is not told as 0 or 100 %."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscaling.core.errors import percent


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.25, "25 %"),
        (0.006, "1 %"),
        (0.005, "0.5 %"),
        (0.004, "0.4 %"),
        (0.998, "99.8 %"),
        (0.9951, "99.5 %"),
        (0.9996, "more than 99.9 %"),
        (1 / 5000, "less than 0.1 %"),
    ],
)
def test_shares_in_words(share, words):
    assert percent(share) == words


@given(part=st.integers(0, 3000), whole=st.integers(1, 3000))
def test_only_none_and_all_are_round(part, whole):
    share = min(part, whole) / whole
    words = percent(share)
    assert (words == "0 %") == (share == 0) and (words == "100 %") == (share == 1)
    assert abs(float(words.split()[-2]) / 100 - share) <= 0.005 + 1e-12
