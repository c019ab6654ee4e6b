"""A lesson's text at any width."""

import pytest

from manualgrad.exercises.course import COURSE
from manualgrad.exercises.prose import hints, paragraphs, styled, wrap

SECTION = """\
One sentence that goes on over
two lines, with ``grad_output`` in it:

    a = b                    where b is
    ∂L/∂x = Σ_o G · W        G W

where it goes on.

- An item of a list, which is longer than a line has room for.
- Another."""


def test_what_belongs_together_stays_together():
    (first, second) = paragraphs(SECTION)
    assert first.endswith("where it goes on.")
    assert second.startswith("- An item")


def test_text_flows_and_formulas_keep_their_columns():
    wide = wrap(SECTION, 80)
    assert "goes on over two lines" in wide
    assert "    ∂L/∂x = Σ_o G · W        G W" in wide
    narrow = wrap(SECTION, 30).splitlines()
    assert narrow[narrow.index("    ∂L/∂x = Σ_o G · W") + 1] == "        G W"
    assert "  longer than a line has room" in narrow

    assert (
        wrap("    r  = 1 / √v      one over the deviation", 30)
        == "    r  = 1 / √v\n        one over the deviation"
    )
    assert wrap("    y = x + 1      z = y²", 20) == "    y = x + 1\n    z = y²", (
        "equations stand below each other"
    )
    assert wrap("    a = g · r  -  r/M · Σ_m g", 24) == "    a = g · r\n        -  r/M · Σ_m g"


def test_markup_becomes_style():
    text = styled("with ``grad_output`` in it")
    assert text.plain == "with grad_output in it"
    assert [span.style for span in text.spans if span.style] == ["bold"]


@pytest.mark.parametrize("width", [80, 60])
def test_every_hint_fits(width):
    for hint in (hint for exercise in COURSE for hint in hints(exercise)):
        lines = wrap(hint, width).splitlines()
        assert max(map(len, lines)) <= width
        assert set(hint.split()) == set(" ".join(lines).split()), "no word is broken"


def test_the_last_hint_alone_has_the_formula_and_the_sentence_that_leads_to_it():
    for *others, last in (hints(e) for e in COURSE if e.kind == "function"):
        assert "\n    " in f"\n{last}"
        assert not any(hint.endswith(":") for hint in others)
