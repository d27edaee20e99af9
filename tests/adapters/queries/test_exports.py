"""What a spreadsheet is given, it only shows."""

import pytest

from adapters.queries.exports import harmless


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize("before", ["", "x;", "x\t", ";"])
def test_wherever_a_cell_may_begin_a_formula_is_a_text(before: str, sign: str) -> None:
    told = harmless(f"{before}{sign}1+1")
    assert isinstance(told, str)
    assert f"'{sign}1+1" in told
    assert told.startswith(before[:1] or "'")


@pytest.mark.parametrize("text", ["a-b", "a+b;c", "1;2", "ORD-1=2", ""])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
