"""Other people's text on our terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.render.escape import ASCII, cells, fit, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("python -m app", "python -m app"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("bad\udcff", "bad\\xff"),
        ("e\u0301", "é"),
        ("x\u0336", "x\\u0336"),
        ("nbsp\u00a0", "nbsp\\xa0"),
        ("日本", "日本"),
    ],
)
def test_what_could_deceive_is_escaped(raw, shown):
    """Controls, directions, invisible and combining characters appear as escapes."""
    assert visible(raw) == shown


@given(st.text())
def test_nothing_raw_is_left(text):
    """Whatever the text, nothing in the result can move the cursor or hide."""
    shown = visible(text)

    assert all(
        unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Mn", "Me")
        for c in shown
    )


@given(st.text(), st.integers(1, 40))
def test_fit_fills_the_column_exactly(text, width):
    """A fitted text takes exactly the cells that it is given."""
    assert cells(fit(visible(text), width)) == width


def test_ascii_replaces_cell_by_cell():
    """Every sign of the screen has a stand-in of one character."""
    assert all(len(stand_in) == 1 and stand_in.isascii() for stand_in in ASCII.values())
