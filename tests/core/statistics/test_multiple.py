"""Holm and Benjamini–Hochberg: worked lists and invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError
from trueline.core.statistics import benjamini_hochberg, holm

ps = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_by_hand() -> None:
    # Sorted .01 .02 .03 .04: Holm ×4 ×3 ×2 ×1 = .04 .06 .06 .04, made monotone; BH ×4/1 ×4/2 ×4/3 ×1 = .04.
    given_order = [0.03, 0.01, 0.04, 0.02]
    assert holm(given_order) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert benjamini_hochberg(given_order) == pytest.approx([0.04, 0.04, 0.04, 0.04])
    assert benjamini_hochberg([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.03])
    assert holm([]).shape == benjamini_hochberg([]).shape == (0,)


@settings(deadline=None)
@given(ps)
def test_order_and_bounds(values: list[float]) -> None:
    raw = np.array(values)
    strict, lenient = holm(raw), benjamini_hochberg(raw)
    assert (raw <= lenient + 1e-15).all() and (lenient <= strict + 1e-12).all() and (strict <= 1).all()
    assert (strict <= np.minimum(1, raw * len(raw)) + 1e-12).all(), "Holm never loses to Bonferroni"
    order = np.argsort(raw, kind="stable")
    assert (np.diff(strict[order]) >= 0).all() and (np.diff(lenient[order]) >= -1e-15).all()
    assert holm(raw[::-1]) == pytest.approx(strict[::-1])


def test_not_p_values() -> None:
    for wrong in ([1.2], [float("nan")], [-0.1], [[0.1]]):
        with pytest.raises(InputError, match="p-values"):
            holm(wrong)
