"""write_report: a comparison as a folder with a page, a table and pictures."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sktransfer.comparison.findings.rendering import render_csv
from sktransfer.comparison.result import StrategyComparison
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.explanation.contributions import LINE_STYLE, SIGN_STYLE, Explanation
from sktransfer.packages import require_extra
from sktransfer.plotting.compared import is_number, train_sizes_of
from sktransfer.report.contents import (
    best_of,
    list_checks,
    list_facts,
    list_mistakes,
    list_suspects,
    result_table,
    usage,
)
from sktransfer.report.page_folder import PAGE, SUSPECTS, TABLE, write_files
from sktransfer.report.pictures import Picture, draw_pictures
from sktransfer.validation import (
    FLAG,
    PATH,
    check_parameters,
    exactly,
    instance,
    on_disk,
    show,
    whole,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_report"]

_RULES = {
    "model_folder": exactly(None) | PATH,
    "title": exactly(None) | instance(str, "a str"),
    "n_mistakes": whole(1),
    "overwrite": FLAG,
}


def write_report(
    comparison: StrategyComparison,
    folder: str | os.PathLike[str],
    *,
    model_folder: str | os.PathLike[str] | None = None,
    explanations: Mapping[int, Explanation] | None = None,
    title: str | None = None,
    n_mistakes: int = 10,
    overwrite: bool = False,
) -> Path:
    """Write a comparison as a page that needs no network, with its table and pictures.

    Parameters
    ----------
    comparison : StrategyComparison
        What `compare_strategies` returned.
    folder : path-like
        Made if it is missing. Written into it are ``report.html``, ``results.csv``,
        ``suspects.csv`` with the labels that look wrong where a strategy can tell,
        each picture as SVG and PNG, and ``report.json``, which lists them; an earlier
        report is replaced, and other files in it stay. A text in a CSV file that a
        spreadsheet would run, such as ``=1+1``, has an apostrophe before it.
    model_folder : path-like, default=None
        Where the best model was saved, for the lines that load it.
    explanations : mapping of int to Explanation, default=None
        What explains a mistake, by the row of its text, as ``comparison.mistakes()``
        has it.
    title : str, default=None
        Title of the page.
    n_mistakes : int, default=10
        How many of the most confident mistakes are listed, and how many of the labels
        that look wrong.
    overwrite : bool, default=False
        Whether files of these names are replaced that are not, or no longer, as an
        earlier report has left them.

    Returns
    -------
    path : pathlib.Path
        The page.

    Raises
    ------
    InvalidInputError
        If `comparison` is none, or `explanations` no mapping, or holds anything else
        than explanations, such as HTML.
    InvalidParameterError
        If such files are in the folder and `overwrite` is false. They stay.
    MissingExtraError
        If matplotlib or jinja2 is not installed.

    See Also
    --------
    compare_strategies : Makes a comparison.
    explain : Makes an explanation.

    Notes
    -----
    The page may be sent around and opened by others: every text in it is escaped, and
    it carries a policy under which browsers run no script but its own and load nothing.
    It quotes texts, though, and whoever has the page can read them.

    Examples
    --------
    >>> import tempfile
    >>> from sktransfer import compare_strategies, load_mini_reviews, write_report
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> comparison = compare_strategies(
    ...     texts, labels, strategies=["majority", "tfidf"], cv=3, random_state=0
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(comparison, folder).name
    'report.html'
    """
    if not isinstance(comparison, StrategyComparison):
        raise InvalidInputError(
            f"comparison is of type {type(comparison).__name__}, but a "
            "StrategyComparison is expected: pass what compare_strategies returned."
        )
    check_parameters(
        {
            "model_folder": model_folder,
            "title": title,
            "n_mistakes": n_mistakes,
            "overwrite": overwrite,
        },
        _RULES,
    )
    explanations = _check_explanations({} if explanations is None else explanations)
    require_extra("jinja2", "plot", "write_report")
    with on_disk("folder", folder):
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(comparison)
    suspects = _find_suspects(comparison)
    page = _render_page(
        comparison,
        title=title or "Transfer strategies compared",
        pictures=pictures,
        mistakes=list_mistakes(comparison, explanations, n_mistakes),
        suspects=None if suspects is None else list_suspects(suspects[:n_mistakes]),
        n_suspects=0 if suspects is None else len(suspects),
        code=usage(comparison, None if model_folder is None else str(model_folder)),
    )
    # The page comes last: where it is new, all beside it is.
    files = _picture_files(pictures) | {
        TABLE: render_csv(comparison.results),
        **({} if suspects is None else {SUSPECTS: render_csv(suspects)}),
        PAGE: page.encode("utf-8", "replace"),
    }
    write_files(folder, files, overwrite=overwrite)
    return folder / PAGE


def _find_suspects(comparison: StrategyComparison) -> pd.DataFrame | None:
    """All labels that look wrong; None where no strategy can tell."""
    try:
        return comparison.suspects(None)
    except InvalidParameterError:
        return None


def _picture_files(pictures: list[Picture]) -> dict[str, bytes]:
    svgs = {f"{picture.name}.svg": picture.svg.encode() for picture in pictures}
    return svgs | {f"{picture.name}.png": picture.png for picture in pictures}


def _check_explanations(given: object) -> Mapping[int, Explanation]:
    if not isinstance(given, Mapping):
        raise InvalidInputError(
            f"explanations is of type {type(given).__name__}, but a mapping from rows "
            "to explanations is expected, as in {3: explain(model, text)}."
        )
    for row, explanation in given.items():
        if not isinstance(row, Integral):
            raise InvalidInputError(
                f"explanations has the key {show(row)}, but the number of a row, as in "
                "{3: explain(model, text)}, is expected."
            )
        if explanation is not None and not isinstance(explanation, Explanation):
            raise InvalidInputError(
                f"explanations[{row!r}] is of type {type(explanation).__name__}, but "
                "an Explanation is expected: pass what explain returned, not its HTML."
            )
    return given


def _render_page(comparison: StrategyComparison, **parts: object) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    css, script = (
        resources.files("sktransfer.report")
        .joinpath("data", name)
        .read_text(encoding="utf-8")
        .strip()
        for name in ("page.css", "page.js")
    )
    # Marks in explanations carry their colours as attributes; style sheets and scripts
    # are allowed by their digests alone.
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src 'sha256-{_digest(script)}'; "
        f"style-src-elem 'sha256-{_digest(css)}'; style-src-attr 'unsafe-inline'"
    )
    n_strategies = comparison.results["strategy"].nunique()
    lead = f"{n_strategies} strategies on {len(comparison.texts):,} texts"
    if comparison.source is not None:
        lead += f", with {len(comparison.source[0]):,} texts of another domain"
    environment = Environment(
        loader=PackageLoader("sktransfer.report", "data"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html").render(
        parts,
        policy=policy,
        css=css,
        script=script,
        lead=lead,
        verdicts=comparison.verdicts or ["No strategy was run to its end."],
        table=result_table(comparison),
        every_size=result_table(comparison, every_size=True),
        sizes=train_sizes_of(comparison),
        baseline=comparison.baseline,
        best=best_of(comparison),
        ruled_out=any(
            row.get("could_be_best") is False
            for row in comparison.results.to_dict("records")
        ),
        checks=list_checks(comparison),
        facts=list_facts(comparison),
        line_style=LINE_STYLE,
        sign_style=SIGN_STYLE,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=_script_json(comparison),
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _script_json(comparison: StrategyComparison) -> str:
    """The results for programs that read the page; nothing in it ends the script."""
    rows: list[dict[str, Any]] = [
        {str(name): _plain(cell) for name, cell in row.items()}
        for row in comparison.results.to_dict("records")
    ]
    written = json.dumps(rows, allow_nan=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return written


def _plain(cell: Any) -> float | int | str | None:
    if is_number(cell):
        return int(cell) if float(cell).is_integer() else float(cell)
    return cell if isinstance(cell, str) else None
