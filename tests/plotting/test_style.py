"""Characters are shown by an installed font that has them, or named in a warning."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import pytest

from sktransfer.exceptions import FontWarning
from sktransfer.plotting import style
from sktransfer.plotting.confusion import ConfusionDisplay
from sktransfer.plotting.style import Fonts


@pytest.fixture
def only_own_fonts(monkeypatch):
    """As on a machine that has matplotlib's own fonts alone."""
    from matplotlib import font_manager

    monkeypatch.setattr(style, "_warned", set())
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    own = [
        font
        for font in font_manager.fontManager.ttflist
        if "matplotlib" in str(font.fname)
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    style._choose_fonts.cache_clear()
    yield
    style._choose_fonts.cache_clear()


def test_plain_letters_need_nothing():
    assert Fonts.of(["déjà vu", "µ"]) == Fonts(("sans-serif",), frozenset())


def test_what_no_font_has_is_numbered_with_one_warning(only_own_fonts):
    with pytest.warns(FontWarning, match=r"fonts-noto-cjk") as told:
        lettering = Fonts.of(["好评", "fine"])
    assert len(told) == 1
    Fonts.of(["好评"])  # a second warning would be an error
    assert lettering.show("好 ok") == r"\u597d ok"


def test_pictures_without_such_a_font_draw_without_further_warnings(only_own_fonts):
    with pytest.warns(FontWarning):
        display = ConfusionDisplay.from_predictions(["好", "差"], ["好", "好"])
    display.figure_.canvas.draw()
    assert [text.get_text() for text in display.ax_[0].get_yticklabels()] == [
        r"\u597d",
        r"\u5dee",
    ]


def test_a_font_that_has_the_characters_is_put_behind_the_usual_one(monkeypatch):
    monkeypatch.setattr(style, "_letters_of_file", lambda path: frozenset("好"))
    monkeypatch.setattr(style, "_listed_fonts", lambda: [("Own Hei", "own.ttf")])
    monkeypatch.setattr(style, "_letters_of_families", lambda *_: frozenset())
    style._choose_fonts.cache_clear()
    lettering = Fonts.of(["好"])
    style._choose_fonts.cache_clear()
    assert lettering == Fonts(("sans-serif", "Own Hei"), frozenset())
    _, ax = plt.subplots()
    ax.set_title("好", fontweight="bold")
    lettering.apply(ax)
    assert ax.title.get_fontfamily() == ["sans-serif", "Own Hei"]


def test_chinese_renders_where_a_font_is_installed(monkeypatch):
    monkeypatch.setattr(style, "_warned", set())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FontWarning)
        lettering = Fonts.of(["好评"])
    if lettering.missing:
        pytest.skip("no installed font has Chinese characters")
    display = ConfusionDisplay.from_predictions(["好", "差"], ["好", "好"])
    display.figure_.canvas.draw()  # a missing glyph would be a warning
    assert display.ax_[0].get_yticklabels()[0].get_text() == "好"
