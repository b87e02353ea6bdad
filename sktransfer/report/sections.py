"""The sections of a page, each a function from a comparison to HTML.

An explanation is HTML that was made from somebody's text, and may have come from
anywhere. What goes into the page is written anew: known tags, known properties.
"""

from __future__ import annotations

import html
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from typing import Any

from sktransfer.comparison.result import StrategyComparison
from sktransfer.plotting.compared import is_number, name_scoring, train_sizes_of
from sktransfer.report.page_table import result_table
from sktransfer.report.pictures import Picture

__all__ = [
    "keep_marks",
    "measured",
    "mistakes",
    "pictured",
    "tabled",
    "usage",
    "verdicts",
]

_TAGS = {"span", "mark", "b", "strong", "i", "em", "sup", "sub", "small", "br"}
_UNSHOWN = {"script", "style", "template", "title", "noscript", "iframe", "textarea"}
_PROPERTY = re.compile(
    r"(?P<name>background(?:-color)?|color|text-decoration|text-underline-offset"
    r"|border-radius|padding|font-size|font-weight|line-height|white-space"
    r"|overflow-wrap)\s*:\s*(?P<value>[\w\s#.,%()+-]+)"
)

_PACKAGES = ("sktransfer", "scikit-learn", "torch", "transformers", "gensim", "numpy")


def keep_marks(markup: str) -> str:
    """Rewrite the HTML of an explanation as text with marks, and nothing else.

    Parameters
    ----------
    markup : str
        For example what ``Explanation.to_html`` returns.

    Returns
    -------
    safe : str
        Tags that format letters, with colours, sizes and titles; all else is dropped or
        shown as text. Every tag that is opened is closed.

    Examples
    --------
    >>> from sktransfer.report.sections import keep_marks
    >>> keep_marks('<mark style="color:red;position:fixed" onclick="f()">good</mark>')
    '<mark style="color:red">good</mark>'
    >>> keep_marks("<script>f()</script><a href='x'>fine</a>")
    'fine'
    """
    rewriter = _Rewriter()
    rewriter.feed(markup)
    rewriter.close()
    return rewriter.finish()


class _Rewriter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSHOWN:
            self._unshown += 1
        if tag not in _TAGS or self._unshown:
            return
        given = {name: value or "" for name, value in attrs}
        kept = {"style": _keep_style(given.get("style", ""))}
        kept["title"] = given.get("title", "")
        shown = "".join(
            f' {name}="{html.escape(value)}"' for name, value in kept.items() if value
        )
        self._pieces.append(f"<{tag}{shown}>")
        if tag != "br":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSHOWN:
            self._unshown = max(self._unshown - 1, 0)
        elif tag in self._open and not self._unshown:
            while (last := self._open.pop()) != tag:
                self._pieces.append(f"</{last}>")
            self._pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self._pieces.append(html.escape(data))

    def finish(self) -> str:
        return "".join([*self._pieces, *(f"</{tag}>" for tag in reversed(self._open))])


def _keep_style(style: str) -> str:
    declarations = (declaration.strip() for declaration in style.split(";"))
    matches = (_PROPERTY.fullmatch(declaration) for declaration in declarations)
    # url() and the like would ask for something, or run it.
    return ";".join(
        f"{match['name']}:{match['value']}"
        for match in matches
        if match and not re.search(r"url|expression|var|image|attr", match["value"])
    )


def verdicts(comparison: StrategyComparison) -> str:
    """What follows, in the sentences of the comparison.

    Parameters
    ----------
    comparison : StrategyComparison

    Returns
    -------
    html : str
    """
    said = list(comparison.verdicts) or ["No strategy was run to its end."]
    items = "".join(f"<li>{html.escape(verdict)}</li>" for verdict in said)
    return f'<section class="verdicts"><h2>What follows</h2><ul>{items}</ul></section>'


def tabled(comparison: StrategyComparison) -> str:
    """The table of results, and how to read it.

    Parameters
    ----------
    comparison : StrategyComparison

    Returns
    -------
    html : str
    """
    note = "A click on a head sorts the table."
    if comparison.baseline is not None:
        baseline = html.escape(comparison.baseline)
        note += (
            f" Differences are to the baseline, {baseline}, on the same folds; p is of "
            "the corrected resampled t-test or of the paired predictions out of fold, "
            "whichever is larger, with Holm's correction for the number of strategies. "
            "A large p does not make two strategies equal. The badge best marks the "
            "highest score of this run."
        )
    table, sizes = result_table(comparison), train_sizes_of(comparison)
    more = ""
    if len(sizes) > 1:
        note = f"With {sizes[-1]:,} labelled texts. {note}"
        every = result_table(comparison, every_size=True)
        more = f"<details><summary>With fewer labelled texts</summary>{every}</details>"
    return (
        f"<section><h2>All strategies</h2>{table}<p class=note>{note}</p>{more}"
        "</section>"
    )


def pictured(pictures: Sequence[Picture]) -> str:
    """The pictures, side by side where there is room.

    Parameters
    ----------
    pictures : sequence of Picture

    Returns
    -------
    html : str
    """
    if not pictures:
        return ""
    shown = []
    for picture in pictures:
        width, height = picture.size()
        shown.append(
            f"<section><h2>{html.escape(picture.title)}</h2><figure>"
            f'<img src="{picture.embed()}" alt="{html.escape(picture.alt)}" '
            f'width="{width}" height="{height}"></figure></section>'
        )
    return f'<div class="pictures">{"".join(shown)}</div>'


def mistakes(
    comparison: StrategyComparison,
    explanations: Mapping[int, Any] | None,
    n_mistakes: int,
) -> str:
    """The most confident mistakes of the best strategy, with what spoke for them.

    Parameters
    ----------
    comparison : StrategyComparison
    explanations : mapping of int to Explanation or str, or None
        Rows of the texts to what explains them.
    n_mistakes : int

    Returns
    -------
    html : str
        Nothing where no strategy was run to its end.
    """
    if not any(map(is_number, comparison.results["score"])):
        return ""
    best = comparison.best_strategy
    table = comparison.mistakes(best, n_mistakes)
    items = []
    for mistake in table.to_dict("records"):
        # An explanation is the text itself, with marks.
        text = html.escape(str(mistake["text"]))
        said = _explain(explanations, mistake["row"]) or text
        sure = mistake["probability"]
        sureness = f", p = {sure:.2f}" if is_number(sure) else ""
        items.append(
            f"<li><p class=said dir=auto>{said}</p>"
            f"<p class=labels>predicted <b>{html.escape(str(mistake['predicted']))}</b>"
            f"{sureness}, labelled <b>{html.escape(str(mistake['label']))}</b>"
            f" (row {mistake['row']})</p></li>"
        )
    shown = f"<ol class=mistakes>{''.join(items)}</ol>"
    if not items:
        shown = "<p>It made none.</p>"
    return (
        "<section><h2>Most confident mistakes of "
        f"{html.escape(best)}</h2>{shown}<p class=note>Out of fold: the model had not "
        "seen these texts. Look for wrong labels, irony and missing context.</p>"
        "</section>"
    )


def measured(comparison: StrategyComparison) -> str:
    """How the numbers came about: data, folds, seconds, versions.

    Parameters
    ----------
    comparison : StrategyComparison

    Returns
    -------
    html : str
    """
    facts = {"Target texts": _describe(comparison.texts, comparison.labels)}
    if comparison.source is not None:
        facts["Source texts"] = _describe(*comparison.source)
    if comparison.domain_distance is not None:
        facts["Domain distance"] = (
            f"{comparison.domain_distance:.2f} (proxy A-distance: 0 where source and "
            "target cannot be told apart, 2 where they always can)"
        )
    folds = comparison.folds
    pairs = folds[["repeat", "fold"]].drop_duplicates()
    n_repeats = int(pairs["repeat"].nunique()) if len(pairs) else 0
    facts["Folds"] = f"{len(pairs)}, the same for all strategies" + (
        f" ({n_repeats} repeats)" if n_repeats > 1 else ""
    )
    sizes = train_sizes_of(comparison)
    if sizes:
        listed = ", ".join(f"{size:,}" for size in sizes)
        facts["Labelled texts to learn from"] = listed
    facts["Metric"] = name_scoring(comparison.scoring)
    facts["Time"] = _tell_time(folds)
    facts["Versions"] = _tell_versions()
    listed = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>"
        for name, fact in facts.items()
    )
    return f"<section><h2>How it was measured</h2><dl>{listed}</dl></section>"


def usage(comparison: StrategyComparison, model_folder: str | Path | None) -> str:
    """Three lines of code that use the best model.

    Parameters
    ----------
    comparison : StrategyComparison
    model_folder : path-like or None
        Where the model was saved; None fits it anew.

    Returns
    -------
    html : str
        Nothing where no strategy was run to its end.
    """
    if not any(map(is_number, comparison.results["score"])):
        return ""
    last = f"model.predict([{comparison.texts[0][:60]!r}])"
    if model_folder is not None:
        lines = [
            "from sktransfer import load",
            f"model = load({str(model_folder)!r})",
            last,
        ]
    else:
        lines = [
            "from sktransfer import save",
            "model = comparison.best_estimator()  # fitted on all texts",
            last + '; save(model, "model")',
        ]
    code = html.escape("\n".join(lines))
    return f"<section><h2>How to use it</h2><pre><code>{code}</code></pre></section>"


def _explain(explanations: Mapping[int, Any] | None, row: int) -> str:
    explanation = (explanations or {}).get(row)
    if explanation is None:
        return ""
    markup = explanation if isinstance(explanation, str) else explanation.to_html()
    return keep_marks(markup)


def _describe(texts: Sequence[str], labels: Any) -> str:
    counts = Counter(str(label) for label in labels)
    listed = ", ".join(f"{label}: {n:,}" for label, n in sorted(counts.items()))
    return f"{len(texts):,} ({listed})"


def _tell_time(folds: Any) -> str:
    """Seconds of all folds together."""
    spent = [
        float(folds[name].sum())
        for name in ("fit_seconds", "predict_seconds")
        if name in folds
    ]
    if not spent:
        return "not kept"
    fit, predict = (*spent, 0.0)[:2]
    return (
        f"{fit:,.1f} s of training and {predict:,.1f} s of predicting, over all folds"
    )


def _tell_versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
