"""A lesson's text at any width, and its hints."""

from manualgrad.exercises.course import COURSE
from manualgrad.exercises.stub import hints, paragraphs, styled, wrap

SECTION = """\
One sentence that goes on over
two lines, with ``grad_output`` in it:

    a = b                    where b is
    ∂L/∂x = Σ_o G · W        G W

where it goes on.

- An item of a list, which is longer than a line has room for.
- Another."""


def test_text_flows_and_formulas_keep_their_columns():
    first, second = paragraphs(SECTION)
    assert first.endswith("where it goes on.")
    assert second.startswith("- An item")
    wide = wrap(SECTION, 80)
    assert "goes on over two lines" in wide
    assert "    ∂L/∂x = Σ_o G · W        G W" in wide
    narrow = wrap(SECTION, 30).splitlines()
    assert narrow[narrow.index("    ∂L/∂x = Σ_o G · W") + 1] == "        G W"
    assert "  longer than a line has room" in narrow
    remark = "    r  = 1 / √v\n        one over the deviation"
    assert wrap("    r  = 1 / √v      one over the deviation", 30) == remark
    equations = "    y = x + 1\n    z = y²"
    assert wrap("    y = x + 1      z = y²", 20) == equations
    assert wrap("    a = g · r  -  r/M · Σ_m g", 24) == "    a = g · r\n        -  r/M · Σ_m g"


def test_markup_becomes_style():
    text = styled("with ``grad_output`` in it")
    assert text.plain == "with grad_output in it"
    assert [span.style for span in text.spans if span.style] == ["bold"]


def test_hints_fit_and_give_away_little_by_little():
    for exercise in COURSE:
        every = hints(exercise)
        assert len(set(every)) == len(every) >= 3
        for hint in every:
            for width in (80, 60):
                lines = wrap(hint, width).splitlines()
                assert max(map(len, lines)) <= width
                assert set(hint.split()) == set(" ".join(lines).split()), "no word is broken"
        if exercise.kind == "function":
            *others, last = every
            assert "\n    " in f"\n{last}", "the formula"
            assert not any(hint.endswith(":") for hint in others), "the sentence that leads to it is with it"
