"""Fonts, colours, markers and lines that tell strategies apart, and their axes.

matplotlib's own font has no Chinese. An installed font that has the missing characters
is put behind it, for the texts of one picture only; no setting of matplotlib changes.

References
----------
Okabe, Ito (2008). "Color Universal Design: how to make figures and presentations that
are friendly to colorblind people".
"""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sktransfer.exceptions import FontWarning, warn
from sktransfer.packages import require_extra
from sktransfer.validation import Rule, check_parameters

__all__ = [
    "MUTED",
    "PALETTE",
    "Fonts",
    "Mark",
    "legend_below",
    "open_axes",
    "wrap_name",
]

_warned: set[str] = set()  # characters that a warning has already named

# Okabe and Ito's colours without black, which is left to the text, and without yellow,
# which is lost on white. Neighbours differ in lightness too.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"]
# Legible on white and on nearly black.
MUTED = "#7A7F87"
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "*", "h"]
_LINES = ["-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5))]
_HATCHES = ["", "//", "..", "\\\\", "xx", "++", "oo"]


@dataclass(frozen=True)
class Fonts:
    """Font families that show given texts, and the characters that none has.

    Attributes
    ----------
    families : tuple of str
        In order of preference, matplotlib's own setting first.
    missing : frozenset of str
        Characters that no installed font has.

    Examples
    --------
    >>> from sktransfer.plotting.style import Fonts
    >>> Fonts.of(["frozen", "fine-tuned"]).missing
    frozenset()
    """

    families: tuple[str, ...]
    missing: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Fonts:
        """Find fonts for `texts`, warning once about characters that none has."""
        from matplotlib import rcParams

        usual = tuple(rcParams["font.family"])
        letters = frozenset(letter for text in texts for letter in text if letter > "~")
        letters -= _letters_of_families(usual, letters)
        if not letters:
            return cls(usual, frozenset())
        found, missing = _choose_fonts(letters)
        if missing - _warned:
            _warned.update(missing)
            warn(
                f"No installed font has {_quote(missing)}, so pictures show the "
                "Unicode numbers of such characters instead. Install a font that has "
                "them, for Chinese for example Noto Sans CJK (on Debian and Ubuntu: "
                "apt install fonts-noto-cjk).",
                FontWarning,
            )
        return cls(usual + found, missing)

    def show(self, text: str) -> str:
        """The text with numbers in place of the characters that no font has."""
        return "".join(
            f"\\u{ord(letter):04x}" if letter in self.missing else letter
            for letter in text
        )

    def apply(self, *artists: Any) -> None:
        """Use the families for every text of the artists, legends included."""
        from matplotlib import rcParams
        from matplotlib.text import Text

        added = len(self.families) > len(rcParams["font.family"])
        for artist in artists:
            for text in artist.findobj(Text):
                text.set_fontfamily(list(self.families))
                if added:  # few of these fonts have a bold face, and matplotlib logs
                    text.set_fontweight("normal")


def _quote(letters: Iterable[str]) -> str:
    some = sorted(letters)
    more = f" and {len(some) - 5} more" if len(some) > 5 else ""
    return ", ".join(map(repr, some[:5])) + more


def _letters_of_families(
    families: tuple[str, ...], letters: frozenset[str]
) -> frozenset[str]:
    """Those of `letters` that the families as they are set have."""
    if not letters:
        return letters
    from matplotlib.font_manager import FontProperties, fontManager

    properties = FontProperties(family=list(families))
    return letters & _letters_of_file(fontManager.findfont(properties))


@functools.lru_cache(maxsize=64)
def _choose_fonts(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names of few fonts that have `letters` together, and what they lack."""
    chosen: list[str] = []
    for look in (_listed_fonts, _unlisted_fonts):
        for name, path in look():
            had = letters & _letters_of_file(path)
            if had:
                chosen.append(name)
                letters -= had
            if not letters:
                return tuple(chosen), letters
    return tuple(chosen), letters


def _listed_fonts() -> list[tuple[str, str]]:
    """Names and files of upright fonts; Chinese ones and whole families first."""
    from matplotlib.font_manager import fontManager

    def rank(font: Any) -> tuple[bool, bool, bool, str]:
        chinese = any(part in font.name for part in ("CJK SC", "WenQuanYi", "Hei"))
        regular = str(font.weight) in {"400", "regular", "normal", "book"}
        return not regular, not chinese, "Mono" in font.name, font.name

    # matplotlib's font of last resort has a box for every character, and no letters.
    upright = (
        font
        for font in fontManager.ttflist
        if font.style == "normal" and not font.name.startswith("Last Resort")
    )
    return [(font.name, font.fname) for font in sorted(upright, key=rank)]


def _unlisted_fonts() -> Iterable[tuple[str, str]]:
    """Fonts installed after matplotlib made its list, which it never makes anew."""
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError):  # a bitmap font, or one that is damaged
            continue
        yield font_manager.fontManager.ttflist[-1].name, path


@functools.lru_cache(maxsize=1024)
def _letters_of_file(path: str) -> frozenset[str]:
    """Characters beyond ASCII that a font's file has glyphs for."""
    from matplotlib.ft2font import FT2Font

    try:
        codes = FT2Font(path).get_charmap()
    except (OSError, RuntimeError):  # a bitmap font, or one that is damaged
        return frozenset()
    return frozenset(chr(code) for code in codes if 0x7E < code < 0x110000)


@dataclass(frozen=True)
class Mark:
    """How one strategy looks; any two of the first 60 differ without colour too.

    Examples
    --------
    >>> from sktransfer.plotting.style import Mark
    >>> Mark.number(0)
    Mark(color='#0072B2', marker='o', line='-', hatch='')
    """

    color: str
    marker: str
    line: Any
    hatch: str

    @classmethod
    def number(cls, position: int) -> Mark:
        """The mark of the strategy at `position` in the comparison's order."""
        return cls(
            PALETTE[position % len(PALETTE)],
            _MARKERS[position % len(_MARKERS)],
            _LINES[position % len(_LINES)],
            _HATCHES[position % len(_HATCHES)],
        )


_AXES = Rule(lambda value: hasattr(value, "figure"), "None or an Axes of matplotlib")


def check_axes(ax: object) -> None:
    """Refuse what is no Axes of matplotlib's."""
    check_parameters({"ax": ax}, {"ax": _AXES}, always=True)


def open_axes(ax: Any, purpose: str, size: tuple[float, float]) -> tuple[Any, Any]:
    """The figure and axes to draw on: those given, or new ones as pyplot makes them.

    `purpose` is who needs matplotlib, for the error where it is not installed; `size`
    is width and height of a new figure in inches.
    """
    require_extra("matplotlib", "plot", purpose)
    if ax is not None:
        check_axes(ax)
        return ax.figure, ax
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=size, layout="constrained")
    return figure, axes


def wrap_name(name: str, width: int = 26, n_lines: int = 3) -> str:
    """Break a long name into lines, and cut what does not fit.

    `width` counts Latin letters; Chinese characters take two each.

    Examples
    --------
    >>> from sktransfer.plotting.style import wrap_name
    >>> print(wrap_name("TF-IDF + logistic regression", width=16))
    TF-IDF +
    logistic
    regression
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    if wide > len(name) / 2:
        width //= 2
    lines = textwrap.wrap(
        name, width, max_lines=n_lines, placeholder=" …", break_on_hyphens=False
    )
    return "\n".join(lines) or name


def legend_below(figure: Any, ax: Any, handles: list[Any], n_columns: int = 2) -> Any:
    """A legend under the axes, where it hides nothing and costs no width."""
    own = figure.get_layout_engine() is not None and len(figure.axes) == 1
    options = {"handles": handles, "frameon": False, "fontsize": 9}
    options |= {"ncols": min(n_columns, len(handles)), "handlelength": 2.6}
    if own:  # the layout makes room for it
        return figure.legend(loc="outside lower center", **options)
    return ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), **options)
